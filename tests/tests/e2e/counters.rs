//! The edge's own counters, as Prometheus reads them from Envoy.

use kraiter_tests::wait;

use crate::edge_alone::Edge;

#[test]
fn requests_events_and_batches_are_counted_with_labels() {
    let edge = Edge::start("counters", |_| Ok(()));
    edge.open(0..5);
    edge.envoy.get("/o/forged.gif").unwrap();
    let click = edge.forge.click("snd-1", "https://shop.example/").unwrap();
    edge.envoy.get(&click).unwrap();
    edge.envoy.get("/c/forged").unwrap();
    let unsubscribe = edge.forge.unsubscribe("snd-1").unwrap();
    edge.envoy.get(&unsubscribe).unwrap();
    edge.accepted(6);
    let metric = |name: &str, labels: &[(&str, &str)]| edge.envoy.metric(name, labels).unwrap();
    let requests = |kind, result| metric("kraiter_requests", &[("kind", kind), ("result", result)]);
    wait::until("the last batch to be counted", || {
        match metric("kraiter_events", &[("result", "delivered")]) {
            6 => Ok(()),
            other => Err(format!("{other} delivered")),
        }
    })
    .unwrap();
    assert_eq!(
        [requests("open", "valid"), requests("open", "invalid")],
        [5, 1]
    );
    assert_eq!(
        [requests("click", "valid"), requests("click", "invalid")],
        [1, 1]
    );
    assert_eq!(requests("unsubscribe", "valid"), 1);
    let accepted = |kind| metric("kraiter_events", &[("kind", kind), ("result", "accepted")]);
    assert_eq!(
        [accepted("open"), accepted("click"), accepted("unsubscribe")],
        [5, 1, 0]
    );
    assert_eq!(metric("kraiter_events", &[("result", "dropped")]), 0);
    assert!(metric("kraiter_batches", &[("result", "delivered")]) >= 1);
    wait::until("the buffer's gauge to be at zero", || {
        match metric("kraiter_buffered_events", &[]) {
            0 => Ok(()),
            other => Err(format!("{other} buffered")),
        }
    })
    .unwrap();
}
