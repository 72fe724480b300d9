//! `Idempotency-Key`: what is sent twice is done once, also beside itself and through a crash.

use std::thread;

use kraiter_tests::api::Api;
use kraiter_tests::http::{Request, Response};
use kraiter_tests::{database, wait};
use serde_json::{Value, json};

use crate::service::{Service, counts};

const ADA: &str = "ada@example.com";

fn request(path: &str, key: &str, body: &Value) -> Request {
    Request::new("POST", path)
        .header("idempotency-key", key)
        .body("application/json", body.to_string())
}

fn post(api: &Api, path: &str, key: &str, body: &Value) -> Response {
    api.send(request(path, key, body)).unwrap()
}

fn mail() -> Value {
    json!({"contact": ADA, "html": r#"<a href="https://shop.example/x">x</a>"#})
}

/// Fails unless the condition holds in the database.
fn holds(url: &str, condition: &str) {
    let check = format!("do $$ begin assert ({condition}); end $$");
    database::execute(url, &check).unwrap();
}

fn assert_refused(answer: &Response, status: u16, code: &str) {
    let seen = (answer.status, answer.json()["code"].clone());
    assert_eq!(seen, (status, json!(code)), "{}", answer.text());
}

#[test]
fn the_same_request_with_the_same_key_makes_one_send() {
    let service = Service::start("same-key");
    let api = service.tenant("shop");
    let send = json!({"contact": ADA});
    let first = post(&api, "/sends", "\"k-1\"", &send);
    assert_eq!(first.status, 200, "{}", first.text());
    // In quotes or bare, it is the same key.
    assert_eq!(post(&api, "/sends", "k-1", &send).json(), first.json());
    let first = post(&api, "/rewrite", "k-2", &mail());
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(post(&api, "/rewrite", "k-2", &mail()).json(), first.json());
    assert_eq!(counts(&api, ADA), [2, 0, 0]);
    let other = post(&api, "/rewrite", "k-3", &mail());
    assert_ne!(other.json()["sendId"], first.json()["sendId"]);
    assert_eq!(counts(&api, ADA), [3, 0, 0]);
}

#[test]
fn a_key_belongs_to_one_request_of_one_tenant() {
    let service = Service::start("other-request");
    let api = service.tenant("shop");
    let send = json!({"contact": ADA});
    assert_eq!(post(&api, "/sends", "k", &send).status, 200);
    for (path, body) in [
        ("/sends", json!({"contact": "grace@example.com"})),
        ("/rewrite", mail()),
    ] {
        let answer = post(&api, path, "k", &body);
        assert_refused(&answer, 422, "idempotency_key_reused");
    }
    assert_eq!(counts(&api, ADA), [1, 0, 0]);
    let other = service.tenant("another");
    assert_eq!(
        post(
            &other,
            "/sends",
            "k",
            &json!({"contact": "grace@example.com"})
        )
        .status,
        200
    );
    for bad in ["", "\"\""] {
        assert_refused(&post(&api, "/sends", bad, &send), 400, "invalid_header");
    }
}

#[test]
fn a_request_that_failed_can_be_sent_again_with_its_key() {
    let service = Service::start("failed-key");
    let api = service.tenant("shop");
    let known = json!({"contact": ADA, "sendId": "snd-1"});
    api.write("POST", "/sends", &known).unwrap();
    let taken = json!({"contact": "grace@example.com", "sendId": "snd-1"});
    for _ in 0..2 {
        assert_refused(&post(&api, "/sends", "k", &taken), 409, "send_conflict");
    }
    // A dry run makes nothing, so there is nothing to remember.
    let mut dry = mail();
    dry["dryRun"] = json!(true);
    assert_eq!(post(&api, "/rewrite", "dry", &dry).status, 200);
    assert_eq!(post(&api, "/rewrite", "dry", &mail()).status, 200);
}

#[test]
fn a_webhook_that_is_made_twice_with_one_key_is_one() {
    let service = Service::start("key-webhook");
    let api = service.tenant("shop");
    let hook = json!({"url": "https://1.1.1.1/hook", "types": ["email.complained"]});
    let first = post(&api, "/webhooks", "k", &hook);
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(post(&api, "/webhooks", "k", &hook).json(), first.json());
    let listed = api.read("/webhooks").unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[test]
fn requests_with_one_key_at_once_make_one_send() {
    let service = Service::start("key-race");
    let api = service.tenant("shop");
    for round in 0..10 {
        let key = format!("round-{round}");
        let answers: Vec<Response> = thread::scope(|scope| {
            let ask = || post(&api, "/rewrite", &key, &mail());
            let asking: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let (done, busy): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
        assert!(!done.is_empty());
        for answer in &done {
            assert_eq!(answer.json()["sendId"], done[0].json()["sendId"]);
        }
        for answer in busy {
            assert_refused(answer, 409, "idempotency_key_in_use");
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
        }
    }
    assert_eq!(counts(&api, ADA), [10, 0, 0]);
}

#[test]
fn a_request_cut_short_by_a_crash_is_finished_by_the_next_one() {
    let mut service = Service::start("key-crash");
    let mut api = service.tenant("shop");
    const ROUNDS: u64 = 4;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        thread::scope(|scope| {
            for number in 0..4 {
                let (api, key) = (&api, format!("{key}-{number}"));
                scope.spawn(move || api.send(request("/sends", &key, &json!({"contact": ADA}))));
            }
            thread::sleep(std::time::Duration::from_millis(5 * round));
            service.backend.kill();
        });
        service.backend.start_again().unwrap();
        api = service.backend.reach(&api);
        for number in 0..4 {
            wait::until("the request to be done", || {
                let answer = post(
                    &api,
                    "/sends",
                    &format!("{key}-{number}"),
                    &json!({"contact": ADA}),
                );
                match answer.status {
                    200 => Ok(()),
                    409 => Err(answer.text()),
                    _ => panic!("{}", answer.text()),
                }
            })
            .unwrap();
        }
    }
    assert_eq!(counts(&api, ADA), [4 * ROUNDS, 0, 0]);
}

#[test]
fn keys_are_forgotten_after_a_day_and_with_their_contact() {
    let url = database::fresh().unwrap();
    let service = Service::on("key-age", &url);
    let api = service.tenant("shop");
    let sent = post(
        &api,
        "/sends",
        "ada@example.com-1",
        &json!({"contact": ADA}),
    );
    assert_eq!(sent.status, 200);
    let other = json!({"contact": "grace@example.com"});
    let first = post(&api, "/sends", "k", &other).json();
    holds(&url, "(select count(*) from idempotency_keys) = 2");
    holds(
        &url,
        "not exists (select from idempotency_keys k where k::text like '%example%')",
    );
    let erase = Request::new("DELETE", format!("/contacts/{ADA}"));
    assert_eq!(api.send(erase).unwrap().status, 200);
    holds(&url, "(select count(*) from idempotency_keys) = 1");

    let age = "update idempotency_keys set created_at = created_at - interval '25 hours'";
    database::execute(&url, age).unwrap();
    // Not removed yet, it means nothing any more.
    let second = post(&api, "/sends", "k", &other).json();
    assert_ne!(first["id"], second["id"]);
    database::execute(&url, age).unwrap();
    service.backend.command(&["retention"]).unwrap();
    holds(&url, "not exists (select from idempotency_keys)");
}
