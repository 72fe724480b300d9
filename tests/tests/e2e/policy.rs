//! The policy feed: what is blocked answers 410, and a feed that fails stops nothing.

use kraiter_tests::collector::PolicyDocument;
use kraiter_tests::http::Request;
use kraiter_tests::wait;
use serde_json::json;

use crate::edge_alone::Edge;

fn document(version: &str, policy: &str) -> PolicyDocument {
    PolicyDocument {
        version: version.to_owned(),
        body: format!("{{\"version\":\"{version}\",{policy}}}").into_bytes(),
    }
}

fn polled(edge: &Edge, result: &str, times: u64) {
    wait::until("the policy to be asked for", || {
        match edge.envoy.metric("kraiter_policy", &[("result", result)]) {
            Ok(seen) if seen >= times => Ok(()),
            other => Err(format!("{result}: {other:?}")),
        }
    })
    .unwrap();
}

fn start(name: &str) -> Edge {
    Edge::start(name, |config| {
        config.set("policy", json!({"interval_ms": 100}))
    })
}

#[test]
fn what_is_blocked_answers_410_is_counted_and_leaves_no_event() {
    let edge = start("blocked");
    edge.collector.set_policy(document(
        "p1",
        r#""sends":[[7,"bad-send"]],"hosts":["evil.example"],"tenantHosts":[[8,"shop.example"]]"#,
    ));
    // Two VMs ask, the worker's and the main thread's.
    polled(&edge, "changed", 2);
    let status = |path: &str| edge.envoy.get(path).unwrap();
    let click = |send, url| edge.forge.click(send, url).unwrap();

    let pixel = status(&edge.forge.pixel("bad-send").unwrap());
    assert_eq!((pixel.status, pixel.body.len()), (410, 43));
    assert_eq!(pixel.header("content-type").unwrap(), "image/gif");
    for path in [
        click("bad-send", "https://shop.example/"),
        click("good", "https://evil.example/x"),
        click("good", "https://www.EVIL.example:8443/x"),
    ] {
        let page = status(&path);
        assert_eq!(
            (page.status, page.header("location")),
            (410, None),
            "{path}"
        );
        assert!(page.text().contains("blocked"), "{}", page.text());
    }
    let blocked = || {
        let labels = [("result", "blocked")];
        edge.envoy.metric("kraiter_requests", &labels).unwrap()
    };
    wait::until("all four to be counted", || match blocked() {
        4 => Ok(()),
        other => Err(format!("{other}")),
    })
    .unwrap();

    // Everything else goes on, and everybody can opt out.
    assert_eq!(status(&click("good", "https://shop.example/")).status, 302);
    let unsubscribe = edge.forge.unsubscribe("bad-send").unwrap();
    assert_eq!(status(&unsubscribe).status, 200);
    let post = Request::new("POST", unsubscribe.as_str());
    assert_eq!(edge.envoy.send(&post).unwrap().status, 200);
    edge.accepted(2);

    // Nothing new, then a tenant, then nothing at all.
    polled(&edge, "not_modified", 2);
    let polls = edge.collector.policy_polls();
    assert!(polls.contains(&None) && polls.contains(&Some("\"p1\"".to_owned())));
    edge.collector
        .set_policy(document("p2", r#""tenants":[7]"#));
    polled(&edge, "changed", 4);
    assert_eq!(status(&click("good", "https://shop.example/")).status, 410);
    edge.collector.set_policy(document("p3", r#""tenants":[]"#));
    polled(&edge, "changed", 6);
    assert_eq!(status(&click("good", "https://evil.example/")).status, 302);
}

#[test]
fn a_feed_that_fails_stops_nothing_and_what_was_blocked_stays_blocked() {
    let edge = start("stale-policy");
    polled(&edge, "failed", 2);
    let good = edge.forge.click("good", "https://shop.example/").unwrap();
    let bad = edge.forge.click("good", "https://evil.example/").unwrap();
    assert_eq!(edge.envoy.get(&bad).unwrap().status, 302);
    edge.collector
        .set_policy(document("p1", r#""hosts":["evil.example"]"#));
    polled(&edge, "changed", 2);
    assert_eq!(edge.envoy.get(&bad).unwrap().status, 410);
    let failed = || {
        edge.envoy
            .metric("kraiter_policy", &[("result", "failed")])
            .unwrap()
    };
    for broken in [b"not json".to_vec(), vec![b'['; 5 << 20], b"{}".to_vec()] {
        let before = failed();
        edge.collector.set_policy(PolicyDocument {
            version: "broken".to_owned(),
            body: broken,
        });
        polled(&edge, "failed", before + 2);
        assert_eq!(edge.envoy.get(&bad).unwrap().status, 410);
        assert_eq!(edge.envoy.get(&good).unwrap().status, 302);
    }
}
