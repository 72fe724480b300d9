//! What each request is answered with, and whether it is recorded.

use super::*;
use kraiter_wire::{
    ContactId, Day, Destination, KeyId, Keyring, LinkIndex, Secret, SendId, TenantId, TenantSigner,
};

const URL: &str = "https://example.com/a?b=c";

fn secret(byte: u8) -> Secret {
    Secret::from_bytes([byte; 32])
}

fn key(id: u8) -> KeyId {
    KeyId::new(id).unwrap()
}

fn sign(key_id: u8, secret_byte: u8, link: Link<'_>) -> String {
    let tenant = TenantId::new(7).unwrap();
    let signer = TenantSigner::new(key(key_id), &secret(secret_byte), tenant);
    let send = SendId::parse("snd_1").unwrap();
    let contact = ContactId::from_bytes([9; 16]);
    let mail = signer.for_mail(&send, contact, Day(20_000));
    mail.token(&link)
}

fn click() -> Link<'static> {
    Link::Click {
        index: LinkIndex(0),
        url: Destination::parse(URL).unwrap(),
    }
}

fn path(kind: Kind, token: &str) -> String {
    match kind {
        Kind::Open => format!("/o/{token}.gif"),
        Kind::Click => format!("/c/{token}"),
        Kind::Unsubscribe => format!("/u/{token}"),
    }
}

/// Decides with one key in the ring and hands the plan to `check`.
fn planned<T>(method: &str, path: &str, check: impl FnOnce(Plan<'_>) -> T) -> T {
    let ring = Keyring::new([(key(1), secret(1))]).unwrap();
    let mut verifier = Verifier::new(&ring);
    let head = RequestHead {
        method: method.as_bytes(),
        path: path.as_bytes(),
        user_agent: Some(b"agent"),
        accept_language: Some(b"de"),
        purpose: Some(b"prefetch"),
        ..RequestHead::default()
    };
    check(plan("", false, &mut verifier, &Policy::default(), &head))
}

/// The answer, and whether the request is recorded.
fn answered(method: &str, path: &str) -> Option<(Answer<'static>, bool)> {
    planned(method, path, |plan| {
        let (answer, recorded) = match plan {
            Plan::PassOn => return None,
            Plan::Record { answer, .. } => (answer, true),
            Plan::WrongMethod { answer, .. }
            | Plan::Blocked { answer, .. }
            | Plan::Invalid { answer, .. }
            | Plan::Serve { answer, .. } => (answer, false),
        };
        let answer = match answer {
            Answer::Redirect(url) => Answer::Redirect(url.into_owned()),
            Answer::Pixel => Answer::Pixel,
            Answer::BadClick => Answer::BadClick,
            Answer::UnsubscribePage => Answer::UnsubscribePage,
            Answer::Unsubscribed => Answer::Unsubscribed,
            Answer::BadUnsubscribe => Answer::BadUnsubscribe,
            Answer::TryLater => Answer::TryLater,
            Answer::Blocked(kind) => Answer::Blocked(kind),
            Answer::MethodNotAllowed(kind) => Answer::MethodNotAllowed(kind),
        };
        Some((answer, recorded))
    })
}

fn redirect() -> Answer<'static> {
    Answer::Redirect(Destination::parse(URL).unwrap())
}

#[test]
fn get_is_answered_and_recorded_head_is_answered_only() {
    for (link, answer) in [(Link::Open, Answer::Pixel), (click(), redirect())] {
        let path = path(link.kind(), &sign(1, 1, link));
        assert_eq!(answered("GET", &path), Some((answer.clone(), true)));
        assert_eq!(answered("HEAD", &path), Some((answer, false)));
    }
}

#[test]
fn only_a_post_unsubscribes() {
    let path = path(Kind::Unsubscribe, &sign(1, 1, Link::Unsubscribe));
    let page = Some((Answer::UnsubscribePage, false));
    assert_eq!(answered("GET", &path), page);
    assert_eq!(answered("HEAD", &path), page);
    assert_eq!(answered("POST", &path), Some((Answer::Unsubscribed, true)));
}

#[test]
fn only_an_unsubscribe_fails_when_there_is_no_room() {
    for (method, link, expected) in [
        ("GET", Link::Open, None),
        ("GET", click(), None),
        ("POST", Link::Unsubscribe, Some(Answer::TryLater)),
    ] {
        let path = path(link.kind(), &sign(1, 1, link));
        planned(method, &path, |plan| match plan {
            Plan::Record { if_full, .. } => assert_eq!(if_full, expected),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn what_is_invalid_is_never_recorded_and_never_redirects() {
    let open = sign(1, 1, Link::Open);
    let mut altered = open.clone();
    altered.replace_range(
        20..21,
        if altered.get(20..21) == Some("A") {
            "B"
        } else {
            "A"
        },
    );
    for token in [
        altered.as_str(),
        "",
        "x",
        &sign(1, 2, click()),
        &sign(2, 2, click()),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = |kind| answered(method, &path(kind, token));
            assert_eq!(answer(Kind::Open), Some((Answer::Pixel, false)));
            assert_eq!(answer(Kind::Click), Some((Answer::BadClick, false)));
            assert_eq!(
                answer(Kind::Unsubscribe),
                Some((Answer::BadUnsubscribe, false))
            );
        }
        let post = answered("POST", &path(Kind::Unsubscribe, token));
        assert_eq!(post, Some((Answer::BadUnsubscribe, false)));
    }
}

#[test]
fn a_token_counts_only_under_its_own_kind() {
    for link in [Link::Open, click(), Link::Unsubscribe] {
        let token = sign(1, 1, link.clone());
        for kind in [Kind::Open, Kind::Click, Kind::Unsubscribe] {
            let invalid = planned("GET", &path(kind, &token), |plan| match plan {
                Plan::Invalid { why, .. } => Some(why),
                _ => None,
            });
            let expected = (kind != link.kind()).then_some(InvalidToken::OtherKind);
            assert_eq!(invalid, expected, "{link:?} under {kind:?}");
        }
    }
}

#[test]
fn operators_see_why_a_token_was_invalid() {
    let why = |token: &str| {
        planned("GET", &path(Kind::Open, token), |plan| match plan {
            Plan::Invalid { why, .. } => why,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(why(&sign(1, 9, Link::Open)), InvalidToken::Signature);
    assert_eq!(why(&sign(2, 1, Link::Open)), InvalidToken::UnknownKey);
    assert_eq!(why("no-token"), InvalidToken::Malformed);
}

#[test]
fn other_methods_are_refused_before_the_token_is_looked_at() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", ""] {
        for kind in [Kind::Open, Kind::Click] {
            let expected = Some((Answer::MethodNotAllowed(kind), false));
            assert_eq!(answered(method, &path(kind, "x")), expected, "{method}");
        }
    }
    let expected = Some((Answer::MethodNotAllowed(Kind::Unsubscribe), false));
    assert_eq!(answered("PUT", "/u/x"), expected);
}

#[test]
fn other_paths_pass_untouched_with_any_method() {
    for method in ["GET", "POST", "BREW"] {
        assert_eq!(answered(method, "/shop/c/1"), None);
    }
}

#[test]
fn what_is_blocked_is_not_recorded_and_an_unsubscribe_never_is_blocked() {
    let ring = Keyring::new([(key(1), secret(1))]).unwrap();
    let policy = Policy::parse(br#"{"version":"1","tenants":[7]}"#).unwrap();
    for (method, link, blocked) in [
        ("GET", Link::Open, true),
        ("HEAD", Link::Open, true),
        ("GET", click(), true),
        ("GET", Link::Unsubscribe, false),
        ("POST", Link::Unsubscribe, false),
    ] {
        let path = path(link.kind(), &sign(1, 1, link));
        let head = RequestHead {
            method: method.as_bytes(),
            path: path.as_bytes(),
            ..RequestHead::default()
        };
        let mut verifier = Verifier::new(&ring);
        let plan = plan("", false, &mut verifier, &policy, &head);
        let is_blocked = matches!(plan, Plan::Blocked { .. });
        assert_eq!(is_blocked, blocked, "{method} {path}");
    }
}

#[test]
fn headers_leave_the_edge_only_as_configured() {
    let ring = Keyring::new([(key(1), secret(1))]).unwrap();
    let path = path(Kind::Open, &sign(1, 1, Link::Open));
    let head = RequestHead {
        method: b"GET",
        path: path.as_bytes(),
        accept_language: Some(b"de"),
        purpose: Some(b"prefetch"),
        ..RequestHead::default()
    };
    for (allowed, expected) in [(false, None), (true, Some(b"de".as_slice()))] {
        let mut verifier = Verifier::new(&ring);
        match plan("", allowed, &mut verifier, &Policy::default(), &head) {
            Plan::Record { event, .. } => {
                assert_eq!(event.signals.accept_language, expected);
                assert_eq!(event.signals.purpose, Some(b"prefetch".as_slice()));
            }
            other => panic!("{other:?}"),
        }
    }
}
