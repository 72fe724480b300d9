//! The filter's VM is gone: recipients still get an image, or a page that says to try again, and a
//! new VM takes over by itself.

use kraiter_tests::http::Request;
use kraiter_tests::upstream::{ANSWER, Upstream};
use kraiter_tests::{artifacts, wait};
use serde_json::json;

use crate::edge_alone::{Edge, JOURNAL, events_in, token_in, tokens};

#[test]
fn while_the_vm_is_away_pixels_are_images_and_clicks_can_be_tried_again() {
    let application = Upstream::start().unwrap();
    let edge = Edge::start("trap", |config| {
        // As shipped, the filter is switched off on other routes; this one lets it be ended.
        config.pass_on_to(application.address())?;
        let routes = config.routes()?.as_array_mut().unwrap();
        let mut elsewhere = routes[0].clone();
        elsewhere["typed_per_filter_config"] = json!({"kraiter": {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true}});
        elsewhere["match"] = json!({"prefix": "/shop"});
        routes.insert(0, elsewhere);
        config.filter_file(&artifacts::trapping_filter()?)?;
        let plugin = config.plugin()?;
        let allowed = "/vm_config/capability_restriction_config/allowed_capabilities";
        plugin.pointer_mut(allowed).unwrap()["proxy_on_request_body"] = json!({});
        // Long enough to be seen.
        plugin["reload_config"]["backoff"]["base_interval"] = json!("0.2s");
        Ok(())
    });
    let click = edge.forge.click("snd-c", "https://shop.example/").unwrap();
    let trap = || {
        let request = Request::new("POST", "/elsewhere").body("text/plain", "x");
        edge.envoy.send(&request).unwrap().status
    };
    let (mut away, mut recorded) = (0, Vec::new());
    for round in 0..40 {
        trap();
        let path = edge.forge.pixel(&format!("snd-{round}")).unwrap();
        let pixel = edge.envoy.get(&path).unwrap();
        assert_eq!((pixel.status, pixel.body.len()), (200, 43), "{round}");
        assert_eq!(pixel.header("content-type").unwrap(), "image/gif");
        recorded.push(token_in(&path));
        assert_eq!(edge.envoy.get("/shop/cart").unwrap().body, ANSWER);
        let answer = edge.envoy.get(&click).unwrap();
        match answer.status {
            302 => assert_eq!(answer.header("location").unwrap(), "https://shop.example/"),
            503 => {
                away += 1;
                assert_eq!(answer.header("retry-after").unwrap(), "2");
                let kind = answer.header("content-type").unwrap();
                assert!(kind.starts_with("text/html"), "{kind}");
                assert!(answer.text().contains("try again"), "{}", answer.text());
            }
            other => panic!("{other}"),
        }
    }
    assert!(away > 0, "the VM was never seen away");
    wait::until("a new VM", || {
        match edge.envoy.get(&click).unwrap().status {
            302 => Ok(()),
            other => Err(format!("{other}")),
        }
    })
    .unwrap();
    // It works as the one before: what it records arrives.
    let last = edge.forge.pixel("snd-last").unwrap();
    edge.envoy.get(&last).unwrap();
    wait::until("the last event", || match tokens(&edge.lines()) {
        lines if lines.contains(&token_in(&last)) => Ok(()),
        lines => Err(format!("{} others", lines.len())),
    })
    .unwrap();
    // A VM takes its buffer with it; what any of them recorded is in the journal.
    let accepted = edge
        .envoy
        .metric("kraiter_events", &[("result", "accepted")])
        .unwrap();
    let journal = wait::until("the journal", || {
        let journal = events_in(&edge.envoy.log().with_file_name(JOURNAL), "");
        let delivered = tokens(&edge.lines());
        match delivered.is_subset(&tokens(&journal)) {
            true => Ok(journal),
            false => Err(format!("{} lines", journal.len())),
        }
    })
    .unwrap();
    assert!(
        journal.len() as u64 >= accepted,
        "{} < {accepted}",
        journal.len()
    );
}
