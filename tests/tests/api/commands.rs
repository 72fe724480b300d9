//! The operator's command line: what it prints for people and programs, and what it refuses.

use kraiter_tests::backend::Backend;
use kraiter_tests::database;
use serde_json::{Value, json};

use crate::service::{Service, options, refused, register};

/// The message of a command that has to fail.
fn failure(backend: &Backend, args: &[&str]) -> String {
    match backend.command(args) {
        Err(error) => error.to_string(),
        Ok(output) => panic!("{args:?} succeeded: {output}"),
    }
}

#[test]
fn commands_answer_programs_in_json() {
    let service = Service::start("cli-json");
    let backend = &service.backend;
    let create = [
        "tenant",
        "create",
        "shop",
        "--tracking-origin",
        "https://T.example:443",
        "--json",
    ];
    let mut tenant = backend.json(&create).unwrap();
    assert!(tenant["createdAt"].take().is_string());
    let expected = json!({"id": 1, "name": "shop", "createdAt": null,
        "trackingOrigin": "https://t.example", "trackingPathPrefix": "", "trackingEnabled": true,
        "addressMode": "full", "retentionDays": 400, "recordingMaxAgeDays": null,
        "verdicts": {"tooSoonMillis": 2000, "burstMillis": 2000, "sweepMillis": 30000,
            "manyRecipients": 8, "manyRecipientsMillis": 600_000}});
    assert_eq!(tenant, expected);
    let tenants = backend.json(&["tenant", "list", "--json"]).unwrap();
    assert_eq!(
        (tenants.as_array().unwrap().len(), &tenants[0]["name"]),
        (1, &json!("shop"))
    );

    let create = [
        "api-key",
        "create",
        "--tenant",
        "1",
        "--scopes",
        "read,render,read",
        "--name",
        "app",
        "--json",
    ];
    let made = backend.json(&create).unwrap();
    assert_eq!(
        (&made["name"], &made["scopes"]),
        (&json!("app"), &json!(["render", "read"]))
    );
    assert!(made["key"].as_str().unwrap().starts_with("krt_"));
    let id = made["id"].as_str().unwrap();
    let listed = backend
        .json(&["api-key", "list", "--tenant", "shop", "--json"])
        .unwrap();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["revokedAt"]),
        (&made["id"], &Value::Null)
    );
    assert_eq!(listed[0].get("key"), None, "a key is shown once");
    let revoke = ["api-key", "revoke", "--tenant", "shop", id, "--json"];
    let revoked = backend.json(&revoke).unwrap();
    assert!(revoked["revokedAt"].is_string(), "{revoked}");
    assert_eq!(
        backend.json(&revoke).unwrap(),
        revoked,
        "the first time stays"
    );

    let applied = backend.json(&["migrate", "--json"]).unwrap();
    assert_eq!(applied, json!({"applied": []}));
    let exposed = backend
        .json(&["keyring", "show", "--expose", "--json"])
        .unwrap();
    assert_eq!(exposed, backend.keyring().unwrap());
}

#[test]
fn commands_tell_people_what_came_of_it() {
    let service = Service::start("cli-text");
    let backend = &service.backend;
    let create = [
        "tenant",
        "create",
        "shop",
        "--tracking-origin",
        "https://t.example",
    ];
    let made = backend.command(&create).unwrap();
    assert!(made.contains("Made tenant shop with id 1"), "{made}");
    let key = backend
        .command(&["api-key", "create", "--tenant", "shop", "--scopes", "read"])
        .unwrap();
    assert!(
        key.starts_with("krt_") && key.trim().lines().count() == 1,
        "{key}"
    );
    let keys = backend
        .command(&["api-key", "list", "--tenant", "shop"])
        .unwrap();
    assert!(keys.contains("SCOPES") && !keys.contains("krt_"), "{keys}");
    let ring = backend.command(&["keyring", "show"]).unwrap();
    assert!(ring.contains("signs and verifies"), "{ring}");
}

#[test]
fn a_command_that_cannot_do_its_work_fails_and_says_what_to_do() {
    let service = Service::start("cli-errors");
    let backend = &service.backend;
    service.tenant("shop");
    for (args, expected) in [
        (
            &[
                "tenant",
                "create",
                "shop",
                "--tracking-origin",
                "https://x.example",
            ][..],
            "there is a tenant shop already, with id 1",
        ),
        (
            &[
                "tenant",
                "create",
                "a shop",
                "--tracking-origin",
                "https://x.example",
            ],
            "cannot be a tenant's name",
        ),
        (
            &[
                "tenant",
                "create",
                "12",
                "--tracking-origin",
                "https://x.example",
            ],
            "at least one letter",
        ),
        (
            &[
                "tenant",
                "create",
                "other",
                "--tracking-origin",
                "https://x.example/path",
            ],
            "a tracking origin looks like https://",
        ),
        (&["tenant", "create", "other"], "--tracking-origin"),
        (
            &["api-key", "create", "--tenant", "shoe", "--scopes", "read"],
            "error: there is no tenant \"shoe\"\n  tip: kraiter tenant list shows all",
        ),
        (
            &["api-key", "list", "--tenant", "2"],
            "there is no tenant \"2\"",
        ),
        (
            &["api-key", "create", "--tenant", "shop", "--scopes", "write"],
            "scopes are render, read and admin",
        ),
        (&["api-key", "create", "--tenant", "shop"], "--scopes"),
        (
            &["api-key", "revoke", "--tenant", "shop", "mine"],
            "it looks like key_",
        ),
        (
            &[
                "api-key",
                "revoke",
                "--tenant",
                "shop",
                "key_AAAAAAAAAAAAAAAAAAAAAA",
            ],
            "tenant shop has no key key_AAAAAAAAAAAAAAAAAAAAAA",
        ),
        (&["keyrings"], "keyring"),
    ] {
        let message = failure(backend, args);
        assert!(message.contains(expected), "{args:?}: {message}");
    }
    let tenants = backend.json(&["tenant", "list", "--json"]).unwrap();
    assert_eq!(tenants.as_array().unwrap().len(), 1);
}

#[test]
fn another_tenants_key_cannot_be_revoked() {
    let service = Service::start("cli-foreign-key");
    let backend = &service.backend;
    service.tenant("shop");
    service.tenant("other");
    let keys = backend
        .json(&["api-key", "list", "--tenant", "other", "--json"])
        .unwrap();
    let id = keys[0]["id"].as_str().unwrap();
    let message = failure(backend, &["api-key", "revoke", "--tenant", "shop", id]);
    assert!(message.contains("tenant shop has no key"), "{message}");
    let keys = backend
        .json(&["api-key", "list", "--tenant", "other", "--json"])
        .unwrap();
    assert_eq!(keys[0]["revokedAt"], Value::Null);
}

#[test]
fn tenants_made_at_the_same_time_get_different_ids() {
    let service = Service::start("cli-race");
    let backend = &service.backend;
    std::thread::scope(|scope| {
        for number in 0..6 {
            let name = format!("shop-{}", number / 2);
            // Each name twice: one of the two is told that it is taken.
            scope.spawn(move || {
                let origin = ["--tracking-origin", "https://t.example"];
                let _ = backend.command(&["tenant", "create", &name, origin[0], origin[1]]);
            });
        }
    });
    let tenants = backend.json(&["tenant", "list", "--json"]).unwrap();
    let ids: Vec<u64> = tenants
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn mistakes_in_the_configuration_are_all_named_before_anything_starts() {
    let mut wrong = options("cli-config", Some("mysql://user:hunter2@db.example/x"));
    wrong
        .env
        .push(("KRAITER_INGEST_SECRET".into(), "short".into()));
    let error = refused("cli-config", wrong);
    assert!(
        error.contains("DATABASE_URL: starts with \"mysql\""),
        "{error}"
    );
    assert!(
        error.contains("the ingest secret has 5 characters"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn commands_work_beside_a_service_and_without_one() {
    let url = database::fresh().unwrap();
    let mut service = Service::on("cli-beside", &url);
    let api = service.tenant("shop");
    service.backend.stop();
    service.backend.api_key("shop", "read").unwrap();
    service.backend.start_again().unwrap();
    register(&service.backend.reach(&api), "snd-1", "ada@example.com");
    let keys = service
        .backend
        .json(&["api-key", "list", "--tenant", "shop", "--json"])
        .unwrap();
    assert_eq!(keys.as_array().unwrap().len(), 2);
}
