//! The journal: what was recorded is also a line of a file, whatever becomes of the edge.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kraiter_tests::http::Request;
use kraiter_tests::http_server::Reaction;
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::edge_alone::{Edge, JOURNAL, events_in, keep_opening, tokens};

/// How often Envoy writes its files here, and time for it to get the processor.
const FLUSH: Duration = Duration::from_millis(200 + 800);

fn journal_of(edge: &Edge) -> Vec<Value> {
    events_in(&edge.envoy.log().with_file_name(JOURNAL), "")
}

fn journal_has(edge: &Edge, lines: usize) -> Vec<Value> {
    wait::until("the journal to be written", || match journal_of(edge) {
        journal if journal.len() == lines => Ok(journal),
        journal => Err(format!("{} of {lines} lines", journal.len())),
    })
    .unwrap()
}

#[test]
fn every_recorded_event_is_a_line_and_nothing_else_is() {
    let edge = Edge::start("journal", |_| Ok(()));
    edge.open(0..20);
    let click = edge.forge.click("snd-1", "https://shop.example/").unwrap();
    let unsubscribe = edge.forge.unsubscribe("snd-1").unwrap();
    edge.envoy.get(&click).unwrap();
    edge.envoy
        .send(&Request::new("POST", unsubscribe.as_str()))
        .unwrap();
    // None of these is an event.
    edge.envoy
        .send(&Request::new("HEAD", click.as_str()))
        .unwrap();
    for path in ["/", "/o/forged.gif", "/c/forged", unsubscribe.as_str()] {
        edge.envoy.get(path).unwrap();
    }
    edge.accepted(22);
    let mut journal = journal_has(&edge, 22);
    let mut delivered = edge.lines();
    let id = |line: &Value| line["id"].as_str().unwrap().to_owned();
    journal.sort_by_key(id);
    delivered.sort_by_key(id);
    assert_eq!(journal, delivered);
}

/// What may be lost is what was answered within the flush interval before the end, and no more.
#[test]
fn an_edge_that_is_killed_loses_at_most_what_was_not_flushed() {
    let mut edge = Edge::start("killed", |config| {
        config.set("batch", json!({"max_age_ms": 400}))
    });
    let stop = AtomicBool::new(false);
    let (address, forge) = (edge.envoy.edge(), &edge.forge);
    let (answered, killed) = std::thread::scope(|scope| {
        let opening = scope.spawn(|| keep_opening(address, forge, "snd", &stop));
        wait::until("a second of load", || {
            match edge.collector.accepted_lines() {
                lines if lines > 300 => Ok(()),
                lines => Err(format!("{lines} events")),
            }
        })
        .unwrap();
        stop.store(true, Ordering::Relaxed);
        let killed = Instant::now();
        edge.envoy.process().kill();
        (opening.join().unwrap(), killed)
    });
    let mut kept = tokens(&edge.lines());
    let delivered = kept.len();
    kept.extend(tokens(&journal_of(&edge)));
    for (token, at) in &answered {
        let age = killed.saturating_duration_since(*at);
        assert!(kept.contains(token) || age < FLUSH, "lost, {age:?} old");
    }
    assert!(delivered > 0 && answered.len() > 300, "{delivered}");
}

#[test]
fn a_journal_that_cannot_be_written_costs_neither_an_answer_nor_an_event() {
    let edge = Edge::start("journal-full", |config| {
        config.journal(Path::new("/dev/full"))
    });
    edge.open(0..500);
    edge.accepted(500);
    let failed = edge.envoy.metric("envoy_filesystem_write_failed", &[]);
    wait::until("the failed write to be counted", || match failed {
        Ok(1..) => Ok(()),
        _ => match edge.envoy.metric("envoy_filesystem_write_failed", &[]) {
            Ok(1..) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    })
    .unwrap();
    edge.open(500..600);
    edge.accepted(600);
}

/// What finds no room in the buffer is dropped and counted, but the journal has it.
#[test]
fn ten_times_the_cap_while_the_collector_is_away_is_all_in_the_journal() {
    let edge = Edge::start("journal-cap", |config| {
        let batch = json!({"max_age_ms": 50, "max_bytes": 16384, "buffer_bytes": 65536});
        config.set("batch", batch)
    });
    let refusal = Reaction::Answer {
        status: 503,
        body: Vec::new(),
    };
    edge.collector.next_reactions(vec![refusal; 1000]);
    const EVENTS: u32 = 4000;
    edge.open(0..EVENTS);
    let journal = journal_has(&edge, EVENTS as usize);
    assert_eq!(tokens(&journal).len(), EVENTS as usize);
    let count = |labels: &[(&str, &str)]| edge.envoy.metric("kraiter_events", labels).unwrap();
    let accepted = wait::until("all to be counted", || {
        let accepted = count(&[("result", "accepted")]);
        match accepted + count(&[("result", "dropped"), ("reason", "full")]) {
            sum if sum == u64::from(EVENTS) => Ok(accepted),
            sum => Err(format!("{sum}")),
        }
    })
    .unwrap();
    assert!(accepted * 8 < u64::from(EVENTS), "{accepted} found room");
    edge.collector.accept_from_now_on();
    edge.accepted(accepted);
    let all: BTreeSet<_> = tokens(&journal);
    assert!(tokens(&edge.lines()).is_subset(&all));
}
