//! Golden vectors, made by an independent implementation of the format: they bind every later one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use kraiter_wire::{
    Claims, ContactId, Day, DecodeError, Destination, KeyId, Keyring, Link, LinkIndex, SendId,
    TenantId, TenantSigner, Verifier,
};
use serde_json::Value;

struct Vectors {
    keyring: Keyring,
    json: Value,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/tokens.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let keyring = json["keyring"].as_str().unwrap().parse().unwrap();
    Vectors { keyring, json }
}

fn claims(json: &Value) -> (KeyId, Claims<'_>) {
    let number = |name: &str| json[name].as_u64().unwrap();
    let hex = json["contact"].as_str().unwrap();
    let contact: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect();
    let link = match json["kind"].as_str().unwrap() {
        "open" => Link::Open,
        "click" => Link::Click {
            index: LinkIndex(number("index") as u32),
            url: Destination::parse(json["url"].as_str().unwrap()).unwrap(),
        },
        "unsubscribe" => Link::Unsubscribe,
        other => panic!("kind {other}"),
    };
    let claims = Claims {
        tenant: TenantId::new(number("tenant") as u32).unwrap(),
        send: SendId::parse(json["send"].as_str().unwrap()).unwrap(),
        contact: ContactId::from_bytes(contact.try_into().unwrap()),
        day: Day(number("day") as u16),
        link,
    };
    (KeyId::new(number("key") as u8).unwrap(), claims)
}

fn reason(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::TooLong { .. } => "too_long",
        DecodeError::Base64 => "base64",
        DecodeError::Truncated => "truncated",
        DecodeError::Trailing => "trailing",
        DecodeError::Version { .. } => "version",
        DecodeError::Kind { .. } => "kind",
        DecodeError::UnknownKey { .. } => "unknown_key",
        DecodeError::Field { .. } => "field",
        DecodeError::Mac => "mac",
        DecodeError::Destination(_) => "destination",
    }
}

#[test]
fn golden_tokens_verify_to_their_claims_and_sign_to_the_same_text() {
    let Vectors { keyring, json } = vectors();
    let mut verifier = Verifier::new(&keyring);
    let valid = json["valid"].as_array().unwrap();
    assert!(valid.len() >= 12);
    for vector in valid {
        let name = &vector["name"];
        let (key, expected) = claims(&vector["claims"]);
        let text = vector["token"].as_str().unwrap();
        let token = verifier
            .verify(text.as_bytes())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(token.key(), key, "{name}");
        assert_eq!(token.claims(), &expected, "{name}");

        let signer = TenantSigner::new(key, keyring.secret(key).unwrap(), expected.tenant);
        let Claims {
            send,
            contact,
            day,
            link,
            ..
        } = &expected;
        let signed = signer.for_mail(send, *contact, *day).token(link);
        assert_eq!(signed, text, "{name}");
    }
}

#[test]
fn golden_forgeries_are_refused_each_for_its_reason() {
    let Vectors { keyring, json } = vectors();
    let mut verifier = Verifier::new(&keyring);
    let invalid = json["invalid"].as_array().unwrap();
    assert!(invalid.len() >= 20);
    for vector in invalid {
        let text = vector["token"].as_str().unwrap();
        let error = verifier.verify(text.as_bytes()).unwrap_err();
        assert_eq!(
            reason(&error),
            vector["error"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
    }
}
