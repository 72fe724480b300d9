//! Keys and secrets: what is refused, and how.

use insta::assert_snapshot;
use kraiter_tests::database;
use kraiter_tests::http::Request;
use kraiter_tests::wait;
use serde_json::json;

use crate::answers::Answers;
use crate::edge::Edge;
use crate::service::{Service, options};

fn read_with(service: &Service, authorization: Option<&str>) -> kraiter_tests::http::Response {
    let request = Request::get("/events");
    let request = match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    };
    request.send(service.backend.address()).unwrap()
}

#[test]
fn each_wrong_key_has_its_code() {
    let service = Service::start("keys");
    let backend = &service.backend;
    let api = service.tenant("shop");
    let other = service.tenant("other");
    let made = |scopes: &str| {
        let create = [
            "api-key", "create", "--tenant", "shop", "--json", "--scopes", scopes,
        ];
        let made = backend.json(&create).unwrap();
        ["id", "key"].map(|name| made[name].as_str().unwrap().to_owned())
    };
    let [render_id, render] = made("render");
    let [revoked_id, revoked] = made("read");
    let revoke = [
        "api-key",
        "revoke",
        "--tenant",
        "shop",
        &revoked_id,
        "--json",
    ];
    let revoked_at = backend.json(&revoke).unwrap()["revokedAt"].clone();

    let mut answers = Answers::default()
        .hide(&render_id, "render key")
        .hide(&revoked_id, "revoked key")
        .hide(revoked_at.as_str().unwrap(), "time");
    // Another tenant's number in front of a key that is right otherwise.
    let forged = format!("{}{}", &other.key[..10], &api.key[10..]);
    let altered = format!("{}AAAA", &api.key[..api.key.len() - 4]);
    for (case, value) in [
        ("no key", None),
        ("no bearer", Some(format!("Basic {}", api.key))),
        ("bearer of nothing", Some("Bearer ".to_owned())),
        ("not a key", Some("Bearer secret".to_owned())),
        ("a key cut off", Some(format!("Bearer {}", &api.key[..20]))),
        ("another secret", Some(format!("Bearer {altered}"))),
        ("another tenant's number", Some(format!("Bearer {forged}"))),
        ("a revoked key", Some(format!("Bearer {revoked}"))),
        ("a key of another scope", Some(format!("Bearer {render}"))),
        (
            "the ingest secret",
            Some(format!("Bearer {}", backend.ingest_secret().unwrap())),
        ),
    ] {
        answers.add(case, &read_with(&service, value.as_deref()));
    }
    assert_snapshot!(answers.text());
    let lower_case = format!("bearer {}", api.key);
    assert_eq!(read_with(&service, Some(&lower_case)).status, 200);
}

#[test]
fn only_the_ingest_secret_lets_events_in() {
    let service = Service::start("ingest-secret");
    let api = service.tenant("shop");
    let edge = Edge::of(&service, 1);
    let with = |secret: Option<&str>| {
        let request = Request::new("POST", "/ingest").body("application/x-ndjson", "x\n");
        let request = match secret {
            Some(secret) => request.header("authorization", format!("Bearer {secret}")),
            None => request,
        };
        request.send(edge.address).unwrap()
    };
    let mut answers = Answers::default();
    answers.add("no secret", &with(None));
    answers.add("another secret", &with(Some("not-the-secret-at-all")));
    answers.add("a part of the secret", &with(Some(&edge.secret[..10])));
    answers.add("an API key", &with(Some(&api.key)));
    answers.add("the secret", &with(Some(&edge.secret)));
    assert_snapshot!(answers.text());
}

#[test]
fn a_key_in_use_is_refused_soon_after_it_is_revoked() {
    let service = Service::start("revoked");
    let backend = &service.backend;
    service.tenant("shop");
    let create = [
        "api-key", "create", "--tenant", "shop", "--json", "--scopes", "read",
    ];
    let made = backend.json(&create).unwrap();
    let key = made["key"].as_str().unwrap();
    let status = |key: &str| {
        let answer = read_with(&service, Some(&format!("Bearer {key}")));
        (answer.status, answer.json()["code"].clone())
    };
    assert_eq!(status(key).0, 200);
    // What is remembered of a key does not let another secret in.
    let altered = format!("{}AAAA", &key[..key.len() - 4]);
    assert_eq!(status(&altered), (401, json!("invalid_api_key")));
    assert_eq!(status(key).0, 200);

    let id = made["id"].as_str().unwrap();
    let revoke = ["api-key", "revoke", "--tenant", "shop", id];
    backend.command(&revoke).unwrap();
    let refused = wait::until("the refusal", || match status(key) {
        (401, code) => Ok(code),
        (other, _) => Err(other.to_string()),
    });
    assert_eq!(refused.unwrap(), "revoked_api_key");
}

#[test]
fn no_secret_is_ever_logged() {
    let mut options = options("quiet-log", Some(&database::fresh().unwrap()));
    options.env.push(("KRAITER_LOG".into(), "trace".into()));
    let mut service = Service::with("quiet-log", options);
    let api = service.tenant("shop");
    let edge = Edge::of(&service, 1);
    edge.post("not an event\n");
    assert_eq!(api.get("/events").unwrap().status, 200);
    assert_eq!(api.get("/contacts/ada@example.com").unwrap().status, 404);
    service.backend.stop();
    let log = service.log();
    assert!(log.contains("/ingest"), "requests are logged: {log}");
    let keyring = service.backend.keyring().unwrap();
    let secret = keyring.split_once(':').unwrap().1;
    for hidden in [&api.key, &edge.secret, secret] {
        assert!(!log.contains(hidden), "{log}");
    }
}
