//! The HTTP API against its own OpenAPI document: a linter reads the document, and schemathesis asks
//! the running service thousands of things that are made from it.

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
use service::{Service, rewrite};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contract")
}

#[test]
fn the_openapi_document_is_in_order() {
    let service = Service::start("contract-lint");
    let document = Request::get("/openapi.json")
        .send(service.backend.address())
        .unwrap();
    let path = service.backend.data_dir().join("openapi.json");
    std::fs::write(&path, document.body).unwrap();
    let status = Command::new("node")
        .arg("node_modules/@redocly/cli/bin/cli.js")
        .args([
            "lint",
            "--max-problems",
            "1000",
            "--format",
            "stylish",
            "--config",
            "redocly.yaml",
        ])
        .arg(&path)
        .current_dir(folder())
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .status()
        .unwrap();
    assert!(status.success(), "the linter ended with {status}");
}

#[test]
fn every_answer_is_documented() {
    let service = Service::start("contract");
    let api = service.tenant("shop");
    populate(&service, &api);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/schemathesis");
    let address = service.backend.address();
    let status = Command::new("python3")
        .args([
            "-m",
            "schemathesis.cli",
            "--config-file",
            "schemathesis.toml",
            "run",
        ])
        .arg(format!("http://{address}/openapi.json"))
        .args([
            "--seed",
            "1",
            "--max-examples",
            "25",
            "--workers",
            "2",
            "--no-color",
        ])
        .args(["--checks", CHECKS])
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

/// Something to ask about: sends with opens and clicks, a block, and a bounced mail.
fn populate(service: &Service, api: &Api) {
    let mut edge = Edge::of(service, 1);
    for (send, contact) in [
        ("known-1", "ada@example.com"),
        ("known-2", "grace@example.com"),
    ] {
        let body = json!({"sendId": send, "contact": contact, "campaign": "spring-sale",
            "html": r#"<p><a href="https://shop.example/x">x</a></p>"#});
        let (pixel, clicks, page) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
    }
}
