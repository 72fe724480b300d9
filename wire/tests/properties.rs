//! What must hold for every token and every event line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kraiter_wire::{
    ContactId, Day, Destination, EventIdGenerator, EventLine, KeyId, Keyring, Kind, Link,
    LinkIndex, SendId, SignalsWriter, TenantId, TenantSigner, UnixMillis, Verifier,
};
use proptest::prelude::*;

const KEYRING: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,\
                       9:__________________________________________8";

#[derive(Clone, Debug)]
struct Fields {
    key: u8,
    tenant: u32,
    send: String,
    contact: [u8; 16],
    day: u16,
    index: u32,
    url: String,
    kind: Kind,
}

fn fields() -> impl Strategy<Value = Fields> {
    (
        prop_oneof![Just(1_u8), Just(9)],
        1..=u32::MAX,
        sends(),
        any::<[u8; 16]>(),
        any::<u16>(),
        any::<u32>(),
        "https?://[a-z]{1,20}[!-~]{0,200}",
        prop_oneof![Just(Kind::Open), Just(Kind::Click), Just(Kind::Unsubscribe)],
    )
        .prop_map(
            |(key, tenant, send, contact, day, index, url, kind)| Fields {
                key,
                tenant,
                send,
                contact,
                day,
                index,
                url,
                kind,
            },
        )
}

/// Every send that is allowed; `.` and `..` are not, since paths lose them.
fn sends() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._:~-]{1,64}".prop_filter("dots alone", |send| SendId::parse(send.as_str()).is_ok())
}

fn sign(fields: &Fields) -> String {
    let keyring: Keyring = KEYRING.parse().unwrap();
    let key = KeyId::new(fields.key).unwrap();
    let tenant = TenantId::new(fields.tenant).unwrap();
    let signer = TenantSigner::new(key, keyring.secret(key).unwrap(), tenant);
    let send = SendId::parse(fields.send.as_str()).unwrap();
    let contact = ContactId::from_bytes(fields.contact);
    let mail = signer.for_mail(&send, contact, Day(fields.day));
    mail.token(&link(fields))
}

fn link(fields: &Fields) -> Link<'_> {
    match fields.kind {
        Kind::Open => Link::Open,
        Kind::Click => Link::Click {
            index: LinkIndex(fields.index),
            url: Destination::parse(fields.url.as_str()).unwrap(),
        },
        Kind::Unsubscribe => Link::Unsubscribe,
    }
}

fn verifier() -> Verifier {
    Verifier::new(&KEYRING.parse().unwrap())
}

proptest! {
    #[test]
    fn what_was_signed_is_what_verifies(fields in fields()) {
        let text = sign(&fields);
        let mut verifier = verifier();
        // Twice: the second time from a cached state.
        for _ in 0..2 {
            let token = verifier.verify(text.as_bytes()).unwrap();
            let claims = token.claims();
            prop_assert_eq!(claims.tenant.get(), fields.tenant);
            prop_assert_eq!(claims.send.as_str(), &fields.send);
            prop_assert_eq!(claims.contact.as_bytes(), &fields.contact);
            prop_assert_eq!(claims.day, Day(fields.day));
            prop_assert_eq!(&claims.link, &link(&fields));
        }
    }

    #[test]
    fn any_changed_byte_is_refused(fields in fields(), at in any::<prop::sample::Index>(), to: u8) {
        let mut text = sign(&fields).into_bytes();
        let at = at.index(text.len());
        prop_assume!(text[at] != to);
        text[at] = to;
        prop_assert!(verifier().verify(&text).is_err());
    }

    #[test]
    fn any_cut_or_added_byte_is_refused(fields in fields(), at in any::<prop::sample::Index>(), byte: u8) {
        let text = sign(&fields).into_bytes();
        let at = at.index(text.len());
        let mut verifier = verifier();
        prop_assert!(verifier.verify(&text[..at]).is_err());
        let mut longer = text.clone();
        longer.insert(at, byte);
        prop_assert!(verifier.verify(&longer).is_err());
        prop_assert!(verifier.verify(&[text.as_slice(), &[byte]].concat()).is_err());
    }

    #[test]
    fn different_fields_never_give_the_same_token(a in fields(), b in fields()) {
        let comparable = |f: &Fields| (f.key, f.tenant, f.send.clone(), f.contact, f.day, format!("{:?}", link(f)));
        prop_assert_eq!(sign(&a) == sign(&b), comparable(&a) == comparable(&b));
    }

    #[test]
    fn garbage_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000), text in "[A-Za-z0-9_-]{0,300}") {
        let mut verifier = verifier();
        prop_assert!(verifier.verify(&bytes).is_err());
        prop_assert!(verifier.verify(text.as_bytes()).is_err());
    }

    #[test]
    fn any_header_bytes_give_one_line_that_reads_back(
        agent in prop::collection::vec(any::<u8>(), 0..700),
        language in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        millis in 0_u64..1 << 48,
    ) {
        let id = EventIdGenerator::new([3; 16]).next(UnixMillis(millis));
        let writer = SignalsWriter {
            user_agent: Some(&agent),
            accept_language: language.as_deref(),
            ..SignalsWriter::default()
        };
        let mut out = Vec::new();
        writer.write(id, Kind::Open, b"AQEB", &mut out);
        prop_assert_eq!(out.iter().position(|b| *b == b'\n'), Some(out.len() - 1));
        let line = EventLine::parse(&out).unwrap();
        prop_assert_eq!(line.id, id);
        prop_assert_eq!(line.id.time(), UnixMillis(millis));
        prop_assert_eq!(line.signals.accept_language.is_some(), language.is_some());
        prop_assert!(!line.signals.user_agent.unwrap().contains(|c: char| c.is_ascii_control()));
    }

    #[test]
    fn garbage_lines_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(EventLine::parse(&bytes).is_err());
    }
}
