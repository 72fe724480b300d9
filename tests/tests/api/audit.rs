//! The audit log: what is written down, by whom, and that it names no person.

use kraiter_tests::database;
use kraiter_tests::http::Request;
use serde_json::{Value, json};

use crate::service::{Service, all, rewrite};

const ADA: &str = "ada@example.com";

/// A contact's id as Postgres prints it.
fn uuid(contact: &str) -> String {
    let id: kraiter_wire::ContactId = contact.parse().unwrap();
    id.uuid().to_string()
}

#[test]
fn the_audit_log_tells_what_was_done_and_of_nobody() {
    let url = database::fresh().unwrap();
    let service = Service::on("audit", &url);
    let api = service.tenant("shop");
    let other = service.tenant("other");
    let mail = rewrite(&api, "snd-1", ADA);
    let id = mail["contactId"].as_str().unwrap().to_owned();
    let consent = |method: &str| {
        let request = Request::new(method, format!("/contacts/{ADA}/consent"));
        assert_eq!(api.send(request).unwrap().status, 200);
    };
    consent("DELETE");
    consent("PUT");
    consent("PUT");
    api.write("PATCH", "/settings", &json!({"retentionDays": 30}))
        .unwrap();
    // What changes nothing is not written down.
    api.write("PATCH", "/settings", &json!({"retentionDays": 30}))
        .unwrap();
    let block = json!({"kind": "host", "value": "evil.example", "reason": "Ada Lovelace told us"});
    api.write("PUT", "/blocks", &block).unwrap();
    let unblock = Request::new("DELETE", "/blocks?kind=host&value=evil.example");
    assert_eq!(api.send(unblock).unwrap().status, 204);

    let erase = Request::new("DELETE", format!("/contacts/{ADA}"));
    assert_eq!(api.send(erase).unwrap().status, 200);

    let entries = all(&api, "/audit?");
    let texts = |name: &str| -> Vec<&str> {
        let entries = entries.iter();
        entries.map(|entry| entry[name].as_str().unwrap()).collect()
    };
    assert!(texts("timestamp").is_sorted_by(|a, b| a >= b));
    // Within a millisecond the log has no order.
    let mut actions = texts("action");
    actions.sort_unstable();
    assert_eq!(
        actions,
        [
            "api_key.created",
            "block.lifted",
            "block.set",
            "consent.given",
            "consent.withdrawn",
            "contact.erased",
            "settings.changed",
            "tenant.created",
        ]
    );
    let text = Value::Array(entries.clone()).to_string().to_lowercase();
    for personal in ["ada@", "lovelace", &id.to_lowercase(), &uuid(&id)] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    let entry = |action: &str| entries.iter().find(|entry| entry["action"] == action);
    let entry = |action: &str| entry(action).unwrap().clone();
    assert_eq!(
        entry("settings.changed")["detail"],
        json!({"retentionDays": {"from": 400, "to": 30}})
    );
    assert_eq!(entry("tenant.created")["actor"], "operator");
    assert_eq!(
        entry("api_key.created")["subject"],
        entry("contact.erased")["actor"],
        "the key that did it"
    );
    // Who asks by the id, even after the erasure, learns what was done with that person's data.
    let of_ada = all(&api, &format!("/audit?contact={id}"));
    let mut about_ada = entries.clone();
    about_ada.retain(|entry| entry["subject"] == of_ada[0]["subject"]);
    assert_eq!(of_ada, about_ada);
    assert_eq!(of_ada.len(), 3);
    assert!(of_ada.contains(&entry("contact.erased")));
    assert_eq!(all(&api, "/audit?action=block.set").len(), 1);
    let wrong = api.get("/audit?action=block").unwrap();
    assert_eq!(wrong.json()["code"], "invalid_parameter");
    assert!(wrong.text().contains("block.set"), "{}", wrong.text());
    assert_eq!(all(&other, "/audit?").len(), 2);
}
