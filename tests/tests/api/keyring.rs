//! Rotating the signing keys of a service that runs.

use kraiter_tests::api::Api;
use kraiter_tests::wait;
use kraiter_wire::{Keyring, Verifier};
use serde_json::{Value, json};

use crate::edge::{Edge, tokens};
use crate::service::{Service, counts, rewrite};

/// The key that new mail is signed with.
fn signer(service: &Service, api: &Api) -> u8 {
    let (pixel, ..) = tokens(&rewrite(api, "snd-probe", "probe@example.com"));
    let keyring: Keyring = service.backend.keyring().unwrap().parse().unwrap();
    let mut verifier = Verifier::new(&keyring);
    verifier.verify(pixel.as_bytes()).unwrap().key().get()
}

fn states(keys: &Value) -> Vec<(u64, &str)> {
    let keys = keys.as_array().unwrap().iter();
    keys.map(|key| (key["id"].as_u64().unwrap(), key["state"].as_str().unwrap()))
        .collect()
}

#[test]
fn keys_are_added_signed_with_and_retired_while_the_service_runs() {
    let service = Service::start("rotation");
    let backend = &service.backend;
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let (old, ..) = tokens(&rewrite(&api, "snd-old", "ada@example.com"));
    assert_eq!(signer(&service, &api), 1);

    let keys = backend.json(&["keyring", "add", "--json"]).unwrap();
    assert_eq!(states(&keys), [(1, "signs"), (2, "verifies")]);
    assert_eq!(signer(&service, &api), 1, "an added key does not sign yet");
    let keys = backend.json(&["keyring", "sign", "2", "--json"]).unwrap();
    assert_eq!(states(&keys), [(1, "verifies"), (2, "signs")]);
    wait::until("the new key to sign", || match signer(&service, &api) {
        2 => Ok(()),
        other => Err(format!("{other} signs")),
    })
    .unwrap();
    let (new, ..) = tokens(&rewrite(&api, "snd-new", "ada@example.com"));
    let batch = edge.line("o", &old) + &edge.line("o", &new);
    assert_eq!(edge.post(batch)["accepted"], 2, "old mail and new");

    let keys = backend.json(&["keyring", "retire", "1", "--json"]).unwrap();
    assert_eq!(states(&keys), [(2, "signs")]);
    wait::until("the old key to be forgotten", || {
        let answer = edge.record("o", &old, 1);
        match answer["reasons"]["bad_token"].as_u64() {
            Some(1) => Ok(()),
            _ => Err(answer.to_string()),
        }
    })
    .unwrap();
    let before = counts(&api, "ada@example.com")[1];
    let batch = edge.line("o", &old) + &edge.line("o", &new);
    let expected =
        json!({"accepted": 1, "duplicates": 0, "rejected": 1, "reasons": {"bad_token": 1}});
    assert_eq!(edge.post(batch), expected);
    assert_eq!(counts(&api, "ada@example.com")[1], before + 1);
}

#[test]
fn a_keyring_that_cannot_be_read_leaves_the_one_in_use() {
    let service = Service::start("broken-keyring");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    std::fs::write(
        service.backend.data_dir().join("keyring.json"),
        "{\"keys\": [",
    )
    .unwrap();
    wait::until("the service to notice", || match service.log() {
        log if log.contains("the changed keyring is not usable") => Ok(()),
        log => Err(log),
    })
    .unwrap();
    let mut edge = Edge::of(&service, 1);
    let line = edge.line("o", &pixel);
    assert_eq!(edge.post(line)["accepted"], 1);
    assert_eq!(tokens(&rewrite(&api, "snd-1", "ada@example.com")).0, pixel);
    let error = service.backend.command(&["keyring", "show"]).unwrap_err();
    assert!(
        error.to_string().contains("keyring.json is not a keyring"),
        "{error}"
    );
}

#[test]
fn a_key_that_signs_is_not_retired_and_an_unknown_one_is_named() {
    let service = Service::start("keyring-errors");
    for (command, id, expected) in [
        ("retire", "1", "key 1 signs new mail"),
        ("retire", "9", "there is no key 9"),
        ("sign", "9", "there is no key 9"),
        ("sign", "0", "a key id is a whole number from 1 to 255"),
    ] {
        let error = service
            .backend
            .command(&["keyring", command, id])
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
