//! Collectors that hang, dawdle, talk nonsense or are asked too much at once: every event arrives
//! in the end, and recipients notice nothing.

use std::time::Duration;

use kraiter_tests::envoy_config::{BACKEND_CLUSTER, EnvoyConfig};
use kraiter_tests::http_server::Reaction;
use kraiter_tests::trouble::Outcome;
use serde_json::{Value, json};

use crate::edge_alone::{Edge, tokens};

fn answer(status: u16) -> Reaction {
    Reaction::Answer {
        status,
        body: b"{}".to_vec(),
    }
}

fn impatient(config: &mut EnvoyConfig) -> Outcome<()> {
    config.set("batch", json!({"max_age_ms": 20, "max_events": 10}))?;
    let mut collector = config.settings()?["collector"].take();
    collector["timeout_ms"] = json!(200);
    config.set("collector", collector)
}

/// All of these events arrive although the collector first does that.
fn survived(name: &str, reactions: Vec<Reaction>) -> Edge {
    let edge = Edge::start(name, impatient);
    edge.collector.next_reactions(reactions);
    edge.open(0..60);
    kraiter_tests::wait::until("every event to arrive", || {
        match tokens(&edge.lines()).len() {
            60 => Ok(()),
            other => Err(format!("{other}")),
        }
    })
    .unwrap();
    let dropped = edge
        .envoy
        .metric("kraiter_events", &[("result", "dropped")]);
    assert_eq!(dropped.unwrap(), 0);
    edge
}

#[test]
fn a_collector_that_hangs_is_asked_again() {
    let hang = Reaction::After(Duration::from_secs(2), Box::new(answer(200)));
    survived("hanging", vec![hang; 4]);
}

#[test]
fn a_collector_that_is_slow_but_in_time_is_asked_once() {
    let slow = Reaction::After(Duration::from_millis(60), Box::new(answer(503)));
    survived("slow", vec![slow; 3]);
}

#[test]
fn a_collector_that_talks_nonsense_is_asked_again() {
    let raw = |text: &str| Reaction::Raw(text.as_bytes().to_vec());
    survived(
        "nonsense",
        vec![
            raw("\0\u{1}garbage\r\n\r\n"),
            raw("HTTP/1.1 banana\r\n\r\n"),
            raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
            raw("SSH-2.0-OpenSSH_9\r\n"),
            raw("HTTP/1.1 503 x\r\nretry-after: \u{7f}\u{7f}\r\n\r\n"),
            raw(""),
        ],
    );
}

#[test]
fn every_passing_failure_is_survived_in_a_row() {
    let statuses = [500, 502, 503, 504, 429, 408];
    survived("statuses", statuses.into_iter().map(answer).collect());
}

/// More calls than the cluster's circuit breaker lets through: Envoy refuses them on the spot.
#[test]
fn a_circuit_breaker_that_opens_costs_nothing_but_time() {
    let edge = Edge::start("breaker", |config| {
        let batch = json!({"max_age_ms": 20, "max_events": 5, "in_flight": 8});
        config.set("batch", batch)?;
        let clusters = config.json_mut().pointer_mut("/static_resources/clusters");
        let clusters = clusters.and_then(Value::as_array_mut).into_iter().flatten();
        for cluster in clusters.filter(|cluster| cluster["name"] == BACKEND_CLUSTER) {
            cluster["circuit_breakers"]["thresholds"] =
                json!([{"max_connections": 1, "max_pending_requests": 1, "max_requests": 1}]);
        }
        Ok(())
    });
    let slow = Reaction::After(Duration::from_millis(100), Box::new(answer(503)));
    edge.collector.next_reactions(vec![slow; 6]);
    edge.open(0..200);
    edge.accepted(200);
    assert_eq!(tokens(&edge.lines()).len(), 200);
    let text = edge.envoy.prometheus().unwrap();
    let overflows: u64 = (text.lines())
        .filter(|line| line.starts_with("envoy_cluster_upstream_rq_pending_overflow"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(overflows > 0, "the breaker never opened");
}
