//! What the edge delivers, and how it goes on when the collector does not take it.

use std::collections::HashSet;

use kraiter_tests::http_server::Reaction;
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::edge_alone::{Edge, SECRET, lines_of};

fn refusal(status: u16) -> Reaction {
    Reaction::Answer {
        status,
        body: b"{}".to_vec(),
    }
}

fn ids(lines: &[Value]) -> HashSet<String> {
    lines
        .iter()
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_batch_says_who_sends_it_and_what_it_is() {
    let edge = Edge::start("batch", |_| Ok(()));
    edge.open_with("snd-1", &[("user-agent", b"Mail/1 \xFF\"\n".trim_ascii())]);
    let click = edge.forge.click("snd-1", "https://shop.example/").unwrap();
    assert_eq!(edge.envoy.get(&click).unwrap().status, 302);
    edge.accepted(2);
    let request = &edge.collector.batches()[0].request;
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/ingest")
    );
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(request.header("authorization").unwrap(), bearer.as_bytes());
    assert_eq!(
        request.header("content-type").unwrap(),
        b"application/x-ndjson"
    );

    let lines = edge.lines();
    let line = |kind: &str| lines.iter().find(|line| line["k"] == kind).unwrap();
    assert_eq!(line("o")["ua"], "Mail/1 \u{FFFD}\"");
    assert_eq!(line("c")["t"], click[3..]);
    assert_eq!(ids(&lines).len(), 2);
}

#[test]
fn a_compressed_batch_holds_the_same_lines() {
    let edge = Edge::start("compressed", |config| {
        config.set("batch", json!({"max_age_ms": 50, "compress": true}))
    });
    edge.open(0..20);
    edge.accepted(20);
    for batch in edge.collector.batches() {
        assert_eq!(
            batch.request.header("content-encoding").unwrap(),
            b"deflate"
        );
    }
    assert_eq!(ids(&edge.lines()).len(), 20);
}

#[test]
fn a_batch_that_was_not_taken_comes_again_with_the_same_bytes() {
    let edge = Edge::start("retry", |_| Ok(()));
    edge.collector.next_reactions([
        refusal(503),
        refusal(429),
        refusal(500),
        refusal(408),
        Reaction::Close,
        Reaction::CloseMidBody,
    ]);
    edge.open(0..1);
    edge.accepted(1);
    let batches = edge.collector.batches();
    assert_eq!(batches.len(), 7);
    for batch in &batches {
        assert_eq!(batch.lines, batches[0].lines);
    }
    let text = edge.envoy.prometheus().unwrap();
    let retried = edge
        .envoy
        .metric("kraiter_batches", &[("result", "retried")])
        .unwrap();
    assert!(retried >= 6, "{retried} in {text}");
}

#[test]
fn everything_seen_while_the_collector_fails_arrives_once_it_works() {
    let edge = Edge::start("many-failures", |config| {
        config.set("batch", json!({"max_age_ms": 20, "max_events": 10}))
    });
    let failures = (0..12).map(|number| match number % 3 {
        0 => refusal(503),
        1 => Reaction::Close,
        _ => Reaction::CloseMidBody,
    });
    edge.collector.next_reactions(failures);
    edge.open(0..100);
    edge.accepted(100);
    assert_eq!(ids(&edge.lines()).len(), 100);
}

#[test]
fn a_collector_that_knows_neither_secret_nor_route_raises_an_alert_and_loses_nothing() {
    let edge = Edge::start("alerts", |_| Ok(()));
    edge.collector.next_reactions([refusal(401)]);
    edge.open(0..3);
    wait::until("the alert", || {
        match edge.envoy.metric("kraiter_alerts", &[("reason", "auth")]) {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .unwrap();
    edge.accepted(3);
    assert_eq!(ids(&edge.lines()).len(), 3);
}

#[test]
fn a_batch_that_is_too_large_is_split_until_it_fits() {
    let edge = Edge::start("split", |config| {
        config.set("batch", json!({"max_age_ms": 500, "max_events": 8}))
    });
    edge.collector.next_reactions([refusal(413)]);
    edge.open(0..8);
    edge.accepted(8);
    let batches = edge.collector.batches();
    let sizes: Vec<usize> = batches.iter().map(|batch| lines_of(batch).len()).collect();
    assert!(sizes[1..].iter().all(|size| *size < sizes[0]), "{sizes:?}");
    assert_eq!(ids(&edge.lines()).len(), 8);
}

#[test]
fn a_batch_that_the_collector_calls_malformed_is_dropped_loudly() {
    let edge = Edge::start("dropped", |_| Ok(()));
    edge.collector.next_reactions([refusal(400)]);
    edge.open(0..1);
    wait::until("the drop to be counted", || {
        let labels = [("result", "dropped"), ("reason", "rejected")];
        match edge.envoy.metric("kraiter_events", &labels) {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .unwrap();
    // What comes after it is delivered.
    edge.open(1..3);
    edge.accepted(2);
    let log = std::fs::read_to_string(edge.envoy.log()).unwrap();
    assert!(log.contains("400"), "{log}");
}

/// Every line has some 200 bytes here: the buffer of 64 kB cannot hold 1000 of them.
#[test]
fn at_the_cap_events_are_dropped_and_counted_and_every_request_is_answered() {
    let edge = Edge::start("cap", |config| {
        let batch = json!({"max_age_ms": 50, "max_bytes": 16384, "buffer_bytes": 65536});
        config.set("batch", batch)
    });
    edge.collector
        .next_reactions((0..1000).map(|_| refusal(503)));
    edge.open(0..1000);
    let count = |labels: &[(&str, &str)]| edge.envoy.metric("kraiter_events", labels).unwrap();
    let (accepted, full) = wait::until("all requests to be counted", || {
        let accepted = count(&[("result", "accepted")]);
        let full = count(&[("result", "dropped"), ("reason", "full")]);
        match accepted + full {
            1000 => Ok((accepted, full)),
            sum => Err(format!("{sum} of 1000")),
        }
    })
    .unwrap();
    assert!(
        accepted > 50 && full > 50,
        "{accepted} accepted, {full} dropped"
    );
    edge.collector.accept_from_now_on();
    edge.accepted(accepted);
    assert_eq!(ids(&edge.lines()).len() as u64, accepted);
}
