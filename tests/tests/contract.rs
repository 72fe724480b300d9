//! The HTTP API against its own OpenAPI document: a linter reads the document, and schemathesis asks
//! the running service thousands of things that are made from it. `tests/contract/` says how.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    dead_code,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "some of what the API's suite has is not needed here"
)]

#[path = "api/edge.rs"]
mod edge;
#[path = "api/service.rs"]
mod service;

use std::path::{Path, PathBuf};
use std::process::Command;

use kraiter_tests::api::Api;
use kraiter_tests::http::Request;
use serde_json::json;

use edge::{Edge, tokens};
use service::Service;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contract")
}

#[test]
fn the_linter_finds_nothing_wrong_with_the_document() {
    let service = Service::start("contract-lint");
    let document = Request::get("/openapi.json");
    let document = document.send(service.backend.address()).unwrap();
    let path = service.backend.data_dir().join("openapi.json");
    std::fs::write(&path, document.text()).unwrap();
    let status = Command::new("node")
        .args(["node_modules/@redocly/cli/bin/cli.js", "lint"])
        .args(["--config", "redocly.yaml", "--format", "stylish"])
        .arg(&path)
        .current_dir(folder())
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .status()
        .unwrap();
    assert!(status.success(), "the linter ended with {status}");
}

#[test]
fn whatever_is_asked_the_answer_is_a_documented_one() {
    let service = Service::start("contract");
    let api = service.tenant("shop");
    populate(&service, &api);
    let address = service.backend.address();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/schemathesis");
    let status = Command::new("python3")
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("http://{address}/openapi.json"))
        .args(["--seed", "1", "--no-color"])
        .current_dir(folder())
        .env("PYTHONPATH", tools)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("KRAITER_API_KEY", &api.key)
        .env(
            "KRAITER_INGEST_SECRET",
            service.backend.ingest_secret().unwrap(),
        )
        .status()
        .unwrap();
    assert!(status.success(), "schemathesis ended with {status}");
}

/// What `tests/contract/hooks.py` asks about: sends of a campaign, opened and clicked.
fn populate(service: &Service, api: &Api) {
    let mut edge = Edge::of(service, 1);
    let html = r#"<p><a href="https://shop.example/x">x</a></p>"#;
    for (send, contact) in [
        ("known-1", "ada@example.com"),
        ("known-2", "grace@example.com"),
    ] {
        let body =
            json!({"sendId": send, "contact": contact, "campaign": "spring-sale", "html": html});
        let (pixel, clicks, page) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
        edge.record("o", &pixel, 3);
        for click in clicks {
            edge.record("c", &click, 2);
        }
        edge.record("u", &page, 1);
    }
}
