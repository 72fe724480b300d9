//! Things break between the edge and Postgres: recipients notice nothing, nothing is lost, nothing
//! counts twice.

use std::sync::atomic::{AtomicBool, Ordering};

use kraiter_tests::backend::Backend;
use kraiter_tests::database::{Cluster, Durability, StopMode};
use kraiter_tests::fault_proxy::{Fault, FaultProxy};
use kraiter_tests::http::Request;
use kraiter_tests::stack::{Stack, StackOptions};

use crate::ingest::{Ingest, Pen};
use crate::rewritten::Platform;

const HTML: &str = r#"<a href="https://shop.example/x">x</a>"#;

fn open(stack: &Stack, pixel: &str, times: u64) {
    for _ in 0..times {
        assert_eq!(stack.follow(pixel).unwrap().status, 200);
    }
}

#[test]
fn everything_seen_while_the_backend_is_down_arrives_once_it_is_back() {
    let mut platform = Platform::start("backend-down");
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let (pixel, (click, _)) = (mail.pixel(), mail.links().remove(0));
    open(&platform.stack, &pixel, 3);
    platform.stack.delivered(3).unwrap();

    let ended = platform.stack.backend.stop();
    assert!(
        ended.is_some_and(|status| status.success()),
        "an orderly end"
    );
    open(&platform.stack, &pixel, 40);
    for _ in 0..40 {
        let answer = platform.stack.follow(&click).unwrap();
        assert_eq!(answer.header("location").unwrap(), "https://shop.example/x");
    }
    // Long enough for the edge to have tried and failed.
    kraiter_tests::wait::until("a failed delivery", || {
        match platform
            .stack
            .envoy
            .metric("kraiter_batches", &[("result", "retried")])
            .unwrap()
        {
            0 => Err("none yet".to_owned()),
            _ => Ok(()),
        }
    })
    .unwrap();
    platform.stack.restart_backend().unwrap();
    platform.api = platform.stack.backend.reach(&platform.api);
    platform.stack.delivered(83).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 43, 40]);
}

#[test]
fn an_answer_cut_off_after_the_commit_counts_nothing_twice() {
    let platform = Platform::start("cut-answers");
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let proxy = platform.stack.proxy.as_ref().unwrap();
    for (round, fault) in [
        Fault::CutAnswerAfter(1),
        Fault::CutAnswerAfter(30),
        Fault::Refuse,
    ]
    .into_iter()
    .enumerate()
    {
        proxy.set_fault(fault);
        let before = proxy.faults();
        open(&platform.stack, &mail.pixel(), 10);
        kraiter_tests::wait::until("the fault to hit a delivery", || {
            match proxy.faults() - before {
                0 => Err(format!("{fault:?} has hit none")),
                _ => Ok(()),
            }
        })
        .unwrap();
        proxy.set_fault(Fault::None);
        platform.stack.delivered(10 * (round as u64 + 1)).unwrap();
    }
    assert_eq!(platform.counts("ada@example.com"), [1, 30, 0]);
}

#[test]
fn a_batch_that_comes_again_is_known_line_by_line() {
    let platform = Platform::start("duplicates");
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let ingest = Ingest::of(&platform.stack);
    let mut pen = Pen::new(1);
    let first = pen.opens(&mail.pixel(), 10);
    let second = pen.opens(&mail.pixel(), 5);
    assert_eq!(ingest.post(&first), Some([10, 0, 0]));
    assert_eq!(ingest.post(&first), Some([0, 10, 0]));
    // Both in one, one line of it twice, and one that is no event.
    let line = second.lines().next().unwrap();
    let mixed = format!("{first}{second}{line}\nnonsense\n");
    assert_eq!(ingest.post(&mixed), Some([5, 11, 1]));
    assert_eq!(platform.counts("ada@example.com"), [1, 15, 0]);

    // The same batches from many connections at once.
    let third = pen.opens(&mail.pixel(), 50);
    let accepted: u64 = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ingest.post(&third)))
            .collect();
        let answers = posts.into_iter().map(|post| post.join().unwrap());
        answers
            .map(|answer| answer.map_or(0, |[accepted, _, _]| accepted))
            .sum()
    });
    assert_eq!(accepted, 50);
    assert_eq!(platform.counts("ada@example.com"), [1, 65, 0]);
}

/// Ends the load of a test, however the test ends.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Posts batches of ten until told to stop. Gives how many events were acknowledged, and the
/// batches of which it is not known whether they were taken.
fn keep_posting(ingest: &Ingest, pixel: &str, seed: u8, stop: &AtomicBool) -> (u64, Vec<String>) {
    let mut pen = Pen::new(seed);
    let (mut acknowledged, mut unknown) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let batch = pen.opens(pixel, 10);
        match ingest.post(&batch) {
            Some(counts) => {
                assert_eq!(counts, [10, 0, 0]);
                acknowledged += 10;
            }
            None => {
                unknown.push(batch);
                if unknown.len() > 200 {
                    break;
                }
            }
        }
    }
    (acknowledged, unknown)
}

#[test]
fn a_killed_backend_loses_nothing_that_it_acknowledged() {
    let mut platform = Platform::start("killed-backend");
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let pixel = mail.pixel();
    let (mut sure, mut pending) = (0, Vec::new());
    for round in 0..3 {
        let ingest = Ingest::of(&platform.stack);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let loading = Stop(&stop);
            let posting: Vec<_> = (0..4)
                .map(|n| {
                    scope.spawn({
                        let (ingest, pixel, stop) = (&ingest, &pixel, &stop);
                        move || keep_posting(ingest, pixel, 10 * (round + 1) + n, stop)
                    })
                })
                .collect();
            // In the middle of it: once there is something to lose.
            kraiter_tests::wait::until("events to be counted", || {
                let counted = platform.counts("ada@example.com")[1];
                if counted > sure + 100 {
                    Ok(())
                } else {
                    Err(format!("{counted}"))
                }
            })
            .unwrap();
            platform.stack.backend.kill();
            drop(loading);
            for posted in posting {
                let (acknowledged, unknown) = posted.join().unwrap();
                sure += acknowledged;
                pending.extend(unknown);
            }
        });
        platform.stack.restart_backend().unwrap();
        platform.api = platform.stack.backend.reach(&platform.api);
        let [_, opened, _] = platform.counts("ada@example.com");
        let most = sure + 10 * pending.len() as u64;
        assert!(
            (sure..=most).contains(&opened),
            "{sure} <= {opened} <= {most}"
        );
        // The edge sends again what was not acknowledged.
        let ingest = Ingest::of(&platform.stack);
        for batch in pending.drain(..) {
            let [accepted, duplicates, rejected] = ingest.post(&batch).unwrap();
            assert_eq!((accepted + duplicates, rejected), (10, 0));
            sure += 10;
        }
        assert_eq!(platform.counts("ada@example.com"), [1, sure, 0]);
    }
}

/// A stack on a Postgres of its own behind a proxy, since its port changes when it is restarted.
pub(crate) fn on_own_postgres(name: &str) -> (Platform, Cluster, FaultProxy) {
    let cluster = Cluster::start(Durability::Full).unwrap();
    cluster.migrated("kraiter").unwrap();
    let url = cluster.url("kraiter").unwrap();
    let proxy = FaultProxy::start(address_in(&url)).unwrap();
    let real = address_in(&url).to_string();
    let mut options = StackOptions::for_test(name).unwrap();
    options.database_url = Some(url.replace(&real, &proxy.address().to_string()));
    (Platform::with(options), cluster, proxy)
}

pub(crate) fn address_in(url: &str) -> std::net::SocketAddr {
    let host = url.rsplit('@').next().unwrap().split('/').next().unwrap();
    host.parse().unwrap()
}

#[test]
fn postgres_restarted_under_load_costs_neither_an_answer_nor_an_event() {
    let (mut platform, cluster, proxy) = on_own_postgres("postgres-restart");
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let (pixel, (click, _)) = (mail.pixel(), mail.links().remove(0));
    let stop = AtomicBool::new(false);
    let stack = &platform.stack;
    let load = |url: &str, status: u16| {
        let mut answered = 0;
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(stack.follow(url).unwrap().status, status);
            answered += 1;
        }
        answered
    };
    let delivered = || {
        stack
            .envoy
            .metric("kraiter_events", &[("result", "delivered")])
            .unwrap()
    };
    let [opened, clicked] = std::thread::scope(|scope| {
        let loading = Stop(&stop);
        let opening = scope.spawn(|| load(&pixel, 200));
        let clicking = scope.spawn(|| load(&click, 302));
        for mode in [StopMode::Fast, StopMode::Kill, StopMode::Kill] {
            let before = delivered();
            kraiter_tests::wait::until("events to flow", || match delivered() {
                now if now > before => Ok(()),
                now => Err(format!("{now}")),
            })
            .unwrap();
            cluster.restart(mode).unwrap();
            proxy.set_target(address_in(&cluster.url("kraiter").unwrap()));
        }
        let before = delivered();
        kraiter_tests::wait::until("events to flow again", || match delivered() {
            now if now > before => Ok(()),
            now => Err(format!("{now}")),
        })
        .unwrap();
        drop(loading);
        [opening.join().unwrap(), clicking.join().unwrap()]
    });
    stack.delivered(opened + clicked).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, opened, clicked]);
    assert!(platform.stack.stop(), "an orderly end");
}

#[test]
fn without_its_database_the_backend_says_so_and_comes_back_by_itself() {
    let (platform, cluster, proxy) = on_own_postgres("database-away");
    let address = platform.stack.backend.address();
    let status = |path: &str| Request::get(path).send(address).unwrap().status;
    assert_eq!((status("/healthz"), status("/readyz")), (200, 200));
    proxy.set_fault(Fault::Refuse);
    kraiter_tests::wait::until("not being ready", || match status("/readyz") {
        503 => Ok(()),
        other => Err(format!("{other}")),
    })
    .unwrap();
    assert_eq!(status("/healthz"), 200);
    let answer = platform.api.get("/contacts/ada@example.com").unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(
        answer.header("content-type").unwrap(),
        "application/problem+json"
    );
    proxy.set_fault(Fault::None);
    kraiter_tests::wait::until("being ready again", || match status("/readyz") {
        200 => Ok(()),
        other => Err(format!("{other}")),
    })
    .unwrap();
    platform.rewrite("snd-1", "ada@example.com", HTML);
    assert_eq!(platform.counts("ada@example.com"), [1, 0, 0]);
    drop(cluster);
}

#[test]
fn mail_signed_before_a_rotation_works_until_its_key_is_retired() {
    let mut platform = Platform::start("rotation");
    let old = platform.rewrite("snd-old", "ada@example.com", HTML);
    let run = |backend: &Backend, args: &[&str]| backend.command(args).unwrap();
    run(&platform.stack.backend, &["keyring", "add"]);
    platform.stack.restart_envoy().unwrap();
    run(&platform.stack.backend, &["keyring", "sign", "2"]);
    // The second byte of a token is the key: characters 2 and 3.
    let key_of = |pixel: &str| {
        let token = pixel.rsplit('/').next().unwrap().to_owned();
        token[1..4].to_owned()
    };
    let new = kraiter_tests::wait::until("the new key to sign", || {
        let new = platform.rewrite("snd-new", "ada@example.com", HTML);
        match key_of(&new.pixel()) == key_of(&old.pixel()) {
            true => Err("the old one signs".to_owned()),
            false => Ok(new),
        }
    })
    .unwrap();
    open(&platform.stack, &old.pixel(), 1);
    open(&platform.stack, &new.pixel(), 1);
    platform.stack.delivered(2).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [2, 2, 0]);

    run(&platform.stack.backend, &["keyring", "retire", "1"]);
    platform.stack.restart_envoy().unwrap();
    let (old_click, _) = old.links().remove(0);
    let (new_click, _) = new.links().remove(0);
    assert_eq!(platform.stack.follow(&old_click).unwrap().status, 404);
    assert_eq!(platform.stack.follow(&new_click).unwrap().status, 302);
}
