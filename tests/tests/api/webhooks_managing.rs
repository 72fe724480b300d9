//! Webhooks as they are made, shown, changed, paused and deleted.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::Request;
use kraiter_tests::receiver::Receiver;
use serde_json::{Value, json};

use crate::service::{Service, all, register, texts};
use crate::webhooks::{arrive, hook, order, path, service};

const URL: &str = "https://1.1.1.1/hook";

fn make(api: &Api, body: Value) -> Value {
    api.write("POST", "/webhooks", &body).unwrap()
}

#[test]
fn a_webhook_is_made_shown_changed_and_deleted_and_its_secret_is_shown_once() {
    let service = Service::start("webhooks-managed");
    let api = service.tenant("shop");
    let body = json!({"url": URL, "description": "to the CRM", "types": ["email.clicked",
        "email.bounced", "email.clicked"], "verdicts": ["human"], "batchSize": 7});
    let answer = api.post("/webhooks", &body).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let mut made = answer.json();
    assert_eq!(answer.header("location").unwrap(), path(&made));
    assert_eq!(answer.header("cache-control").unwrap(), "no-store");
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "{secret}"
    );
    made.as_object_mut().unwrap().remove("secret");
    assert_eq!(api.read(&path(&made)).unwrap(), made);
    let expected = json!({"id": made["id"], "url": URL, "description": "to the CRM",
        "types": ["email.clicked", "email.bounced"], "verdicts": ["human"], "batchSize": 7,
        "createdAt": made["createdAt"], "paused": null, "failures": 0, "failingSince": null,
        "lastAcceptedAt": null, "lastFailedAt": null, "lastError": null,
        "previousSecretUntil": null});
    assert_eq!(made, expected);
    let other = make(&api, json!({"url": URL}));
    let first = api.read("/webhooks?limit=1").unwrap();
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = api.read(&format!("/webhooks?limit=1&cursor={cursor}"));
    let listed = [&first, &second.unwrap()].map(|page| page["items"][0].clone());
    assert_eq!(
        texts(&listed, "id"),
        [&made["id"], &other["id"]].map(|id| id.as_str().unwrap())
    );
    assert!(listed.iter().all(|hook| hook.get("secret").is_none()));

    let change = json!({"url": "https://1.0.0.1/", "description": null, "types": null});
    let changed = api.write("PATCH", &path(&made), &change).unwrap();
    assert_eq!(changed["url"], "https://1.0.0.1/");
    assert!(
        changed["description"].is_null() && changed["types"].is_null(),
        "{changed}"
    );
    assert_eq!(
        (&changed["verdicts"], &changed["batchSize"]),
        (&json!(["human"]), &json!(7))
    );
    api.write("PATCH", &path(&made), &change).unwrap();
    let rotation = api
        .write("POST", &format!("{}/secret", path(&made)), &json!({}))
        .unwrap();
    let new_secret = rotation["secret"].as_str().unwrap();
    assert_eq!(
        order(&api, &format!("{}/pause", path(&made)))["paused"]["by"],
        "tenant"
    );
    order(&api, &format!("{}/pause", path(&made)));

    let deleted = api.send(Request::new("DELETE", path(&made))).unwrap();
    assert_eq!(deleted.status, 204);
    assert_eq!(
        api.get(&path(&made)).unwrap().json()["code"],
        "unknown_webhook"
    );
    let audit = all(&api, "/audit");
    let mut actions = texts(&audit, "action");
    actions.retain(|action| action.starts_with("webhook."));
    actions.sort();
    assert_eq!(
        actions,
        [
            "webhook.changed",
            "webhook.created",
            "webhook.created",
            "webhook.deleted",
            "webhook.paused",
            "webhook.secret_rotated"
        ]
    );
    let log = service.log();
    for text in [secret.as_str(), new_secret] {
        let bare = text.strip_prefix("whsec_").unwrap();
        assert!(!log.contains(bare), "a secret is in the log");
        assert!(!json!(audit).to_string().contains(bare));
    }
}

#[test]
fn what_cannot_be_meant_is_refused_and_named() {
    let service = Service::start("webhooks-mistakes");
    let api = service.tenant("shop");
    let with = |name: &str, value: Value| {
        let mut body = json!({"url": URL});
        body[name] = value;
        body
    };
    let long = "x".repeat(501);
    for (body, code, field) in [
        (json!({}), "missing_field", "."),
        (with("url", json!("hooks.example")), "invalid_value", "url"),
        (with("url", json!("ftp://1.1.1.1/")), "invalid_value", "url"),
        (
            with("url", json!("https://a:b@1.1.1.1/")),
            "invalid_value",
            "url",
        ),
        (
            with("url", json!("https://1.1.1.1/#x")),
            "invalid_value",
            "url",
        ),
        (with("types", json!([])), "invalid_value", "types"),
        (
            with("types", json!(["email.lost"])),
            "invalid_value",
            "types",
        ),
        (with("types", json!("email.sent")), "wrong_type", "types"),
        (with("verdicts", json!([])), "invalid_value", "verdicts"),
        (
            with("verdicts", json!(["robot"])),
            "invalid_value",
            "verdicts",
        ),
        (with("batchSize", json!(0)), "invalid_value", "batchSize"),
        (with("batchSize", json!(501)), "invalid_value", "batchSize"),
        (
            with("description", json!("")),
            "invalid_value",
            "description",
        ),
        (
            with("description", json!(long)),
            "invalid_value",
            "description",
        ),
        (with("secret", json!("mine")), "unknown_field", "secret"),
    ] {
        let answer = api.post("/webhooks", &body).unwrap();
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (422, &json!(code)),
            "{body}: {problem}"
        );
        if field != "." {
            assert_eq!(problem["field"], field, "{body}: {problem}");
        }
    }
    let made = make(&api, json!({"url": URL}));
    let at = |rest: &str| format!("{}{rest}", path(&made));
    for (path, body, field) in [
        (
            at("/secret"),
            json!({"overlapSeconds": 604_801}),
            "overlapSeconds",
        ),
        (
            at("/secret"),
            json!({"overlapSeconds": -1}),
            "overlapSeconds",
        ),
        (at("/replay"), json!({"deliveries": ["x"]}), "deliveries"),
    ] {
        let problem = api.post(&path, &body).unwrap().json();
        assert_eq!(
            (&problem["code"], &problem["field"]),
            (&json!("invalid_value"), &json!(field))
        );
    }
    let unknown = ["whk_AZmzxNXmf4ChssPU5fYHGA", "nonsense"];
    for id in unknown {
        for (method, rest) in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/deliveries"),
            ("POST", "/secret"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/ping"),
            ("POST", "/replay"),
        ] {
            let answer = api
                .send(Request::new(method, format!("/webhooks/{id}{rest}")))
                .unwrap();
            let code = answer.json()["code"].clone();
            assert_eq!(
                (answer.status, code),
                (404, json!("unknown_webhook")),
                "{method} {id}{rest}"
            );
        }
    }
    let answer = api.get(&at("/deliveries?status=lost")).unwrap();
    assert_eq!(
        (answer.status, answer.json()["field"].clone()),
        (400, json!("status"))
    );
    for _ in 1..10 {
        make(&api, json!({"url": URL}));
    }
    let answer = api.post("/webhooks", &json!({"url": URL})).unwrap();
    assert_eq!(
        (answer.status, answer.json()["code"].clone()),
        (409, json!("too_many_webhooks"))
    );
    assert_eq!(all(&api, "/webhooks").len(), 10);
}

#[test]
fn a_paused_webhook_gets_what_it_missed_and_a_deleted_one_nothing() {
    let url = database::fresh().unwrap();
    let service = service("webhooks-paused", &url);
    let api = service.tenant("shop");
    let [paused, deleted, whole] = [(); 3].map(|()| Receiver::start().unwrap());
    let [to_pause, to_delete, _] = [&paused, &deleted, &whole]
        .map(|receiver| hook(&api, receiver, json!({"types": ["email.sent"]})));
    order(&api, &format!("{}/pause", path(&to_pause)));
    order(&api, &format!("{}/pause", path(&to_delete)));
    for number in 0..3 {
        register(&api, &format!("snd-{number}"), "ada@example.com");
    }
    let ids = texts(&all(&api, "/events"), "id");
    arrive(&whole, ids.clone());
    assert!(paused.calls().is_empty() && deleted.calls().is_empty());
    // A test goes out all the same.
    assert_eq!(
        order(&api, &format!("{}/ping", path(&to_delete)))["accepted"],
        true
    );
    api.send(Request::new("DELETE", path(&to_delete))).unwrap();
    order(&api, &format!("{}/resume", path(&to_pause)));
    arrive(&paused, ids);
    assert_eq!(deleted.calls().len(), 1);
    assert_eq!(paused.calls().len(), 1, "what waited came together");
}
