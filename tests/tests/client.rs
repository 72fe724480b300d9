//! The JavaScript client: its own tests in Node.js, with a running service that has some data.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    dead_code,
    clippy::panic,
    clippy::string_slice,
    reason = "some of what the API's suite has is not needed here"
)]

#[path = "api/edge.rs"]
mod edge;
#[path = "api/service.rs"]
mod service;

use std::path::Path;
use std::process::Command;

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_wire::UnixMillis;
use serde_json::json;

use edge::{Edge, now, tokens};
use service::{Service, options};

/// Node's summary of a run.
const CLOSING_LINES: usize = 8;

#[test]
fn the_javascript_client_passes_its_own_tests() {
    let mut options = options("client", Some(&database::fresh().unwrap()));
    // Webhooks of the tests lead to a receiver within Node.js.
    let allowed = ("KRAITER_WEBHOOK_ALLOW_PRIVATE".into(), "127.0.0.0/8".into());
    options.env.push(allowed);
    let service = Service::with("client", options);
    let mut edge = Edge::of(&service, 1);
    // Examples have tenants of their own: they say what is listed.
    let [api, readme, first] = ["shop", "readme", "first"].map(|name| service.tenant(name));
    for api in [&api, &readme] {
        one_reader(api, &mut edge);
    }
    let output = Command::new("npm")
        .arg("test")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../client"))
        .env(
            "KRAITER_API",
            format!("http://{}", service.backend.address()),
        )
        .env("KRAITER_API_KEY", &api.key)
        .env("KRAITER_README_KEY", &readme.key)
        .env("KRAITER_FIRST_KEY", &first.key)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaints}");
    let lines: Vec<&str> = said.trim_end().lines().collect();
    println!(
        "{}",
        lines[lines.len().saturating_sub(CLOSING_LINES)..].join("\n")
    );
}

/// A mail that was opened by a machine and a person, and clicked by the person.
fn one_reader(api: &Api, edge: &mut Edge) {
    let html = r#"<a href="https://shop.example/shoes?a=1&amp;b=2">Shoes</a>"#;
    let body = json!({"sendId": "spring-sale-1", "contact": "reader@example.com",
        "campaign": "spring-sale", "html": html});
    let (pixel, clicks, _) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
    let person =
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0";
    let machine = "Mozilla/5.0 (compatible; Googlebot/2.1)";
    let start = now().0;
    let mut batch = String::new();
    for (kind, token, after, agent) in [
        ("o", &pixel, 1, machine),
        ("o", &pixel, 2, person),
        ("c", &clicks[0], 3, person),
    ] {
        let at = UnixMillis(start + after);
        batch += &edge.line_with(kind, token, at, json!({"ua": agent, "ip": "198.51.100.7"}));
    }
    let answer = edge.post(batch);
    assert_eq!(answer["accepted"], 3, "{answer}");
}
