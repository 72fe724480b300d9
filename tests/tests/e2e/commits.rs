//! Processes killed and connections cut at the worst moments between the edge and a commit. Nothing
//! may be lost and nothing counted twice: an event is acknowledged only once it is committed, and
//! one that comes again is known.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kraiter_tests::database::{self, StopMode};
use kraiter_tests::envoy::Envoy;
use kraiter_tests::fault_proxy::{Fault, FaultProxy};
use kraiter_tests::wait;

use crate::ingest::{Ingest, Pen};
use crate::outages::{Stop, address_in, on_own_postgres};
use crate::rewritten::Platform;

const HTML: &str = r#"<a href="https://shop.example/x">x</a>"#;
const ADA: &str = "ada@example.com";

fn delivered(envoy: &Envoy) -> u64 {
    envoy
        .metric("kraiter_events", &[("result", "delivered")])
        .unwrap()
}

fn wait_for_more(envoy: &Envoy) {
    let before = delivered(envoy);
    wait::until("events to flow", || match delivered(envoy) {
        now if now > before => Ok(()),
        now => Err(format!("{now}")),
    })
    .unwrap();
}

/// Asks for it until told to stop, and counts the answers; every one has to be right.
fn visit(envoy: &Envoy, path: &str, status: u16, stop: &AtomicBool) -> u64 {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(envoy.get(path).unwrap().status, status);
        answered += 1;
    }
    answered
}

#[test]
fn a_backend_killed_over_and_over_mid_batch_costs_neither_an_answer_nor_an_event() {
    let mut platform = Platform::start("killed-mid-batch");
    let mail = platform.rewrite("snd-1", ADA, HTML);
    let (pixel, (click, _)) = (mail.pixel(), mail.links().remove(0));
    let [pixel, click] =
        [&pixel, &click].map(|url| platform.stack.path_of(url).unwrap().to_owned());
    let stop = AtomicBool::new(false);
    let stack = &mut platform.stack;
    let (envoy, backend) = (&stack.envoy, &mut stack.backend);
    let proxy = stack.proxy.as_ref().unwrap();
    let [opened, clicked] = std::thread::scope(|scope| {
        let loading = Stop(&stop);
        let opening = scope.spawn(|| visit(envoy, &pixel, 200, &stop));
        let clicking = scope.spawn(|| visit(envoy, &click, 302, &stop));
        for round in 0..8 {
            wait_for_more(envoy);
            // Batches follow each other closely, so each of these moments falls into another part
            // of one.
            std::thread::sleep(Duration::from_millis(round * 7));
            backend.kill();
            backend.start_again().unwrap();
            proxy.set_target(backend.address());
        }
        wait_for_more(envoy);
        drop(loading);
        [opening.join().unwrap(), clicking.join().unwrap()]
    });
    platform.stack.delivered(opened + clicked).unwrap();
    platform.api = platform.stack.backend.reach(&platform.api);
    assert_eq!(platform.counts(ADA), [1, opened, clicked]);
}

#[test]
fn postgres_killed_in_the_middle_of_commits_costs_neither_an_answer_nor_an_event() {
    let (platform, cluster, proxy) = on_own_postgres("killed-mid-commit");
    let url = || cluster.url("kraiter").unwrap();
    // What runs at the end of a commit, made to take long enough to be hit.
    let slow = "create function linger() returns trigger language plpgsql as \
                  $$ begin perform pg_sleep(0.15); return null; end $$; \
                create constraint trigger linger after update on contacts deferrable initially \
                  deferred for each row execute function linger()";
    database::execute(&url(), slow).unwrap();
    let mail = platform.rewrite("snd-1", ADA, HTML);
    let (pixel, (click, _)) = (mail.pixel(), mail.links().remove(0));
    let [pixel, click] = [&pixel, &click].map(|url| platform.stack.path_of(url).unwrap());
    let envoy = &platform.stack.envoy;
    let stop = AtomicBool::new(false);
    let [opened, clicked] = std::thread::scope(|scope| {
        let loading = Stop(&stop);
        let opening = scope.spawn(|| visit(envoy, pixel, 200, &stop));
        let clicking = scope.spawn(|| visit(envoy, click, 302, &stop));
        for _ in 0..4 {
            wait_for_more(envoy);
            let committing = "do $$ begin if not exists (select from pg_stat_activity \
                where state = 'active' and upper(query) like 'COMMIT%') \
                then raise 'nobody commits'; end if; end $$";
            wait::until("a commit to be under way", || {
                database::execute(&url(), committing).map_err(|error| error.to_string())
            })
            .unwrap();
            cluster.restart(StopMode::Kill).unwrap();
            proxy.set_target(address_in(&url()));
        }
        wait_for_more(envoy);
        drop(loading);
        [opening.join().unwrap(), clicking.join().unwrap()]
    });
    platform.stack.delivered(opened + clicked).unwrap();
    assert_eq!(platform.counts(ADA), [1, opened, clicked]);
}

/// Opens that are counted. A connection that was cut a moment ago may fail the first question.
fn opened(platform: &Platform) -> u64 {
    wait::until("the contact", || match platform.api.contact(ADA) {
        Ok(contact) => Ok(contact["emailsOpenedCount"].as_u64().unwrap()),
        Err(error) => Err(error.to_string()),
    })
    .unwrap()
}

/// Posts a batch while what Postgres answers meets a fault, again until it is taken. What came of it, and
/// whether the fault hit.
fn post_into(proxy: &FaultProxy, fault: Fault, ingest: &Ingest, batch: &str) -> ([u64; 3], bool) {
    let faults = proxy.faults();
    proxy.set_fault(fault);
    let outcome = std::thread::scope(|scope| {
        let posting = scope.spawn(|| ingest.post(batch));
        wait::until("the fault to hit, or the batch to be taken", || {
            match proxy.faults() > faults || posting.is_finished() {
                true => Ok(()),
                false => Err("neither".to_owned()),
            }
        })
        .unwrap();
        proxy.set_fault(Fault::None);
        posting.join().unwrap()
    });
    let outcome = outcome.unwrap_or_else(|| {
        // It gave up and said so: the sender has the batch still.
        wait::until("the batch to be taken", || {
            ingest.post(batch).ok_or_else(|| "not yet".to_owned())
        })
        .unwrap()
    });
    (outcome, proxy.faults() > faults)
}

#[test]
fn answers_of_postgres_cut_off_at_any_byte_lose_nothing_and_count_nothing_twice() {
    let (platform, _cluster, proxy) = on_own_postgres("cut-answers");
    let mail = platform.rewrite("snd-1", ADA, HTML);
    let ingest = Ingest::of(&platform.stack);
    let mut pen = Pen::new(1);
    let mut total = 0;
    // Until all that Postgres says while it takes a batch fits in.
    for bytes in (7..).step_by(7) {
        let batch = pen.opens(&mail.pixel(), 10);
        let fault = Fault::CutAnswerAfter(bytes);
        let ([accepted, duplicates, rejected], hit) = post_into(&proxy, fault, &ingest, &batch);
        assert_eq!((accepted + duplicates, rejected), (10, 0), "{bytes}");
        total += 10;
        assert_eq!(opened(&platform), total, "{bytes}");
        if !hit {
            break;
        }
    }
}

#[test]
fn a_commit_whose_answer_is_lost_counts_nothing_twice() {
    let (platform, _cluster, proxy) = on_own_postgres("cut-commits");
    let mail = platform.rewrite("snd-1", ADA, HTML);
    let ingest = Ingest::of(&platform.stack);
    let mut pen = Pen::new(1);
    let mut total = 0;
    // The backend commits other things, too, and one of those may be hit instead of the batch.
    wait::until("a commit to lose its answer", || {
        let batch = pen.opens(&mail.pixel(), 10);
        let fault = Fault::CutAnswerAt(b"COMMIT\0");
        let ([accepted, duplicates, rejected], _) = post_into(&proxy, fault, &ingest, &batch);
        total += 10;
        let counted = (accepted + duplicates, rejected, opened(&platform));
        assert_eq!(counted, (10, 0, total));
        match duplicates {
            10 => Ok(()),
            _ => Err(format!("{accepted} of a batch were new")),
        }
    })
    .unwrap();
}
