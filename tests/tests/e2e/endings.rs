//! An edge that is asked to end: what it had not delivered is in its log, to the event.

use std::sync::atomic::{AtomicBool, Ordering};

use kraiter_tests::http_server::Reaction;
use kraiter_tests::wait;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::edge_alone::{Edge, LOG_MARK, events_in, keep_opening, tokens};

/// Loads the edge, ends it with SIGTERM in the middle, and checks that each answered request is
/// with the collector or in the log. Gives how many are in the log.
fn ended_under_load(name: &str, refusing: bool) -> usize {
    let mut edge = Edge::start(name, |config| {
        config.set("batch", json!({"max_age_ms": 300}))
    });
    if refusing {
        edge.collector
            .next_reactions(vec![Reaction::Close; 100_000]);
    }
    let stop = AtomicBool::new(false);
    let (address, forge) = (edge.envoy.edge(), &edge.forge);
    let answered = std::thread::scope(|scope| {
        let opening = scope.spawn(|| keep_opening(address, forge, "snd", &stop));
        wait::until("some load", || {
            match edge
                .envoy
                .metric("kraiter_events", &[("result", "accepted")])
            {
                Ok(accepted) if accepted > 300 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .unwrap();
        stop.store(true, Ordering::Relaxed);
        edge.envoy.process().signal_alone(Signal::SIGTERM);
        opening.join().unwrap()
    });
    wait::until("Envoy to end", || {
        (edge.envoy.process().exited()).ok_or_else(|| "it runs".to_owned())
    })
    .unwrap();
    let spilled = events_in(edge.envoy.log(), LOG_MARK);
    let mut kept = tokens(&spilled);
    kept.extend(tokens(&edge.lines()));
    let missing = answered.iter().filter(|(token, _)| !kept.contains(token));
    assert_eq!(missing.count(), 0, "of {}", answered.len());
    assert!(answered.len() > 300);
    spilled.len()
}

#[test]
fn sigterm_with_a_working_collector_loses_nothing() {
    ended_under_load("sigterm-warm", false);
}

#[test]
fn sigterm_with_a_collector_that_was_never_there_leaves_everything_in_the_log() {
    assert!(ended_under_load("sigterm-cold", true) > 300);
}

/// As the operator's page says to end an edge: drain first, then the signal.
#[test]
fn a_drained_edge_ends_with_nothing_left_to_log() {
    let mut edge = Edge::start("drained", |_| Ok(()));
    edge.open(0..100);
    let ended = edge.envoy.stop();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    edge.accepted(100);
    assert_eq!(events_in(edge.envoy.log(), LOG_MARK).len(), 0);
}
