//! Any bytes as a token, as the fields of a token with a good signature, and any fields signed.

#![no_main]

use arbitrary::Arbitrary;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use kraiter_wire::{
    Claims, ContactId, Day, Destination, KeyId, Keyring, Link, LinkIndex, Secret, SendId, TenantId,
    TenantSigner, Verifier,
};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;

const SECRET: [u8; 32] = [7; 32];
const KEY: u8 = 3;
const TENANT: u32 = 0x0102;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// What a client sends.
    Text(&'a [u8]),
    /// Everything that the signature covers, after version and key, with a good signature.
    Signed { kind: u8, rest: &'a [u8] },
    Fields {
        kind: u8,
        send: &'a str,
        contact: [u8; 16],
        day: u16,
        index: u32,
        url: &'a str,
    },
}

/// HMAC-SHA256, spelled out independently of the code under test.
fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn token_over(claims: &[u8]) -> String {
    let derivation = [&b"kraiter tenant key 1\0"[..], &TENANT.to_be_bytes()].concat();
    let tenant_key = mac(&SECRET, &derivation);
    let signature = mac(&tenant_key, claims);
    URL_SAFE_NO_PAD.encode([claims, &signature[..16]].concat())
}

fn signer() -> TenantSigner {
    let key = KeyId::new(KEY).unwrap();
    let tenant = TenantId::new(TENANT).unwrap();
    TenantSigner::new(key, &Secret::from_bytes(SECRET), tenant)
}

fn sign(claims: &Claims<'_>) -> String {
    let signer = signer();
    let mail = signer.for_mail(&claims.send, claims.contact, claims.day);
    mail.token(&claims.link)
}

fn verifier() -> Verifier {
    let key = KeyId::new(KEY).unwrap();
    let ring = Keyring::new([(key, Secret::from_bytes(SECRET))]).unwrap();
    Verifier::new(&ring)
}

/// A token that is taken is the one that signing its fields makes: no second spelling.
fn accepted_only_if_canonical(token: &str, must_be_signed: bool) {
    let mut verifier = verifier();
    if let Ok(accepted) = verifier.verify(token.as_bytes()) {
        assert!(must_be_signed, "{token} was not signed");
        let claims = accepted.into_claims();
        assert_eq!(claims.tenant.get(), TENANT);
        assert_eq!(sign(&claims), token);
    }
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Text(text) => {
        // Nobody guesses a signature of 16 bytes.
        assert!(verifier().verify(text).is_err());
    }
    Input::Signed { kind, rest } => {
        let tenant = [&[2][..], &TENANT.to_be_bytes()[2..]].concat();
        let claims = [&[1, KEY, kind][..], &tenant, rest].concat();
        let token = token_over(&claims);
        accepted_only_if_canonical(&token, true);
        // Any single altered character is one too many.
        if let Some(at) = rest.first().map(|at| usize::from(*at) % token.len()) {
            let other = if token.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            let mut altered = token.clone();
            altered.replace_range(at..=at, other);
            accepted_only_if_canonical(&altered, false);
        }
    }
    Input::Fields {
        kind,
        send,
        contact,
        day,
        index,
        url,
    } => {
        let Ok(send) = SendId::parse(send) else {
            return;
        };
        let index = LinkIndex(index);
        let link = match (kind % 3, Destination::parse(url)) {
            (0, _) => Link::Open,
            (1, Ok(url)) => Link::Click { index, url },
            _ => Link::Unsubscribe,
        };
        let claims = Claims {
            tenant: TenantId::new(TENANT).unwrap(),
            send,
            contact: ContactId::from_bytes(contact),
            day: Day(day),
            link,
        };
        let token = sign(&claims);
        let mut verifier = verifier();
        let accepted = verifier.verify(token.as_bytes()).unwrap();
        assert_eq!(accepted.claims(), &claims);
    }
});
