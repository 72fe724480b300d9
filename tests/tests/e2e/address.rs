//! The recipient's address: whose word it is, and how much of it leaves the edge.

use kraiter_tests::envoy_config::EnvoyConfig;
use kraiter_tests::trouble::Outcome;
use serde_json::{Value, json};

use crate::edge_alone::Edge;

/// What the edge recorded for a request with this `x-forwarded-for`.
fn recorded(name: &str, mode: &str, hops: Option<u32>, forwarded: &str) -> Value {
    let mode = json!(mode);
    let edge = Edge::start(name, |config| {
        config.set("address", mode)?;
        hops.map_or(Ok(()), |hops| trust(config, hops))
    });
    edge.open_with("snd-1", &[("x-forwarded-for", forwarded.as_bytes())]);
    edge.accepted(1);
    edge.lines()[0]["ip"].clone()
}

/// As an edge behind that many proxies of one's own is set up.
fn trust(config: &mut EnvoyConfig, hops: u32) -> Outcome<()> {
    let manager = config.connection_manager()?.as_object_mut().unwrap();
    manager.insert("xff_num_trusted_hops".to_owned(), json!(hops));
    Ok(())
}

#[test]
fn a_forged_x_forwarded_for_is_not_believed() {
    assert_eq!(recorded("forged", "full", None, "203.0.113.9"), "127.0.0.1");
    assert_eq!(
        recorded("forged-list", "full", None, "203.0.113.9, 198.51.100.4"),
        "127.0.0.1"
    );
}

#[test]
fn behind_a_trusted_proxy_the_address_is_the_one_that_the_proxy_saw() {
    let forwarded = "6.6.6.6, 203.0.113.77";
    assert_eq!(
        recorded("trusted", "full", Some(1), forwarded),
        "203.0.113.77"
    );
}

#[test]
fn a_truncated_address_is_its_network() {
    let ip = |name, forwarded| recorded(name, "truncated", Some(1), forwarded);
    assert_eq!(ip("truncated-4", "203.0.113.77"), "203.0.113.0");
    assert_eq!(
        ip("truncated-6", "2001:db8:aaaa:bbbb::1"),
        "2001:db8:aaaa::"
    );
}

#[test]
fn no_address_is_no_member_at_all() {
    assert_eq!(
        recorded("none", "none", Some(1), "203.0.113.77"),
        Value::Null
    );
}
