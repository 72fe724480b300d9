//! Blocks from the operator's and the tenant's hand to the edge: what is blocked is gone, the rest
//! works on, and who wants no more mail is heard all the same.

use kraiter_tests::http::Request;
use kraiter_tests::stack::StackOptions;
use kraiter_tests::wait;
use serde_json::json;

use crate::rewritten::Platform;

const ADA: &str = "ada@example.com";
const HTML: &str =
    r#"<a href="https://shop.example/">a</a> <a href="https://www.evil.example/">b</a>"#;

fn wait_for(platform: &Platform, url: &str, status: u16) {
    let path = platform.stack.path_of(url).unwrap();
    wait::until("the edge to learn of it", || {
        // Asked on many connections, so that every worker answers.
        for _ in 0..10 {
            let answer = platform
                .stack
                .envoy
                .send(&Request::new("HEAD", path))
                .unwrap();
            if answer.status != status {
                return Err(answer.status.to_string());
            }
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_operator_and_tenant_block_is_gone_at_the_edge_until_it_is_unblocked() {
    let options = StackOptions::for_test("blocked-mail").unwrap();
    let platform =
        Platform::with(options.edit(|config| config.set("policy", json!({"interval_ms": 200}))));
    let block = |args: &[&str]| {
        platform
            .stack
            .backend
            .command(&[&["block"], args].concat())
            .unwrap();
    };
    let bad = platform.rewrite("snd-bad", ADA, HTML);
    let good = platform.rewrite("snd-good", ADA, HTML);
    let click = |mail: &crate::rewritten::Rewritten, index: usize| mail.links()[index].0.clone();
    let body = json!({"kind": "send", "value": "snd-bad", "reason": "phishing"});
    platform.api.write("PUT", "/blocks", &body).unwrap();
    wait_for(&platform, &click(&bad, 0), 410);
    block(&["host", "evil.example"]);
    wait_for(&platform, &click(&good, 1), 410);
    assert_eq!(platform.stack.follow(&click(&good, 0)).unwrap().status, 302);
    assert_eq!(platform.stack.follow(&bad.pixel()).unwrap().status, 410);
    let unsubscribe = platform
        .stack
        .path_of(&bad.unsubscribe())
        .unwrap()
        .to_owned();
    let form = Request::new("POST", unsubscribe).body(
        "application/x-www-form-urlencoded",
        "List-Unsubscribe=One-Click",
    );
    assert_eq!(platform.stack.envoy.send(&form).unwrap().status, 200);
    // Nothing of what was blocked: one click and one way out.
    platform.stack.delivered(2).unwrap();
    assert_eq!(platform.counts(ADA), [2, 0, 1]);

    block(&["tenant", "shop"]);
    wait_for(&platform, &click(&good, 0), 410);
    block(&["tenant", "shop", "--remove"]);
    block(&["host", "evil.example", "--remove"]);
    let path = "/blocks?kind=send&value=snd-bad";
    assert_eq!(
        platform
            .api
            .send(Request::new("DELETE", path))
            .unwrap()
            .status,
        204
    );
    for url in [click(&bad, 0), click(&bad, 1), click(&good, 1)] {
        wait_for(&platform, &url, 302);
    }
}
