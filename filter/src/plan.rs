//! What to do with one request: a pure function of configuration, keys and request head.

use kraiter_wire::{Claims, DecodeError, Kind, Link, SignalsWriter, Verifier};

use crate::answers::Answer;
use crate::policy::Policy;
use crate::request::RequestHead;
use crate::route::Route;

/// Why a token does not count. Clients are never told; operators see it as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidToken {
    /// Not a token at all, or of an unknown version.
    Malformed,
    /// Signed with a key this edge does not hold: a rotation that has not reached it, or an old
    /// key retired too early.
    UnknownKey,
    /// Altered, or signed by somebody else.
    Signature,
    /// A valid token under the path of another kind.
    OtherKind,
}

/// A decision, with nothing done yet.
#[derive(Debug)]
pub(crate) enum Plan<'a> {
    /// Somebody else's path: leave the request as it is.
    PassOn,
    /// A tracked path with a method it does not have.
    WrongMethod { kind: Kind, answer: Answer<'a> },
    /// A tracked path whose token does not count.
    Invalid {
        kind: Kind,
        why: InvalidToken,
        answer: Answer<'a>,
    },
    /// Valid, but not to be served.
    Blocked { kind: Kind, answer: Answer<'a> },
    /// Valid, and of a kind that leaves no trace.
    Serve { kind: Kind, answer: Answer<'a> },
    /// Valid, to be recorded. Where there is no room for the event, `if_full` is the answer; `None`
    /// where the recipient is served all the same.
    Record {
        event: Event<'a>,
        answer: Answer<'a>,
        if_full: Option<Answer<'a>>,
    },
}

/// All of an event line but id and address, which the host knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) kind: Kind,
    pub(crate) token: &'a [u8],
    pub(crate) signals: SignalsWriter<'a>,
    /// The header that the host may know the client's address from.
    pub(crate) external_address: Option<&'a [u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Post,
}

impl Method {
    fn of(method: &[u8]) -> Option<Self> {
        match method {
            b"GET" => Some(Self::Get),
            b"HEAD" => Some(Self::Head),
            b"POST" => Some(Self::Post),
            _ => None,
        }
    }
}

/// Decides. `accept_language`: whether that header may leave the edge.
#[inline]
pub(crate) fn plan<'a>(
    prefix: &str,
    accept_language: bool,
    verifier: &'a mut Verifier,
    policy: &Policy,
    head: &RequestHead<'a>,
) -> Plan<'a> {
    let Some(Route { kind, token }) = Route::of(prefix.as_bytes(), head.path) else {
        return Plan::PassOn;
    };
    let method = match (kind, Method::of(head.method)) {
        (_, Some(method @ (Method::Get | Method::Head)))
        | (Kind::Unsubscribe, Some(method @ Method::Post)) => method,
        _ => {
            let answer = Answer::MethodNotAllowed(kind);
            return Plan::WrongMethod { kind, answer };
        }
    };
    let claims = match verify(verifier, kind, token) {
        Ok(claims) => claims,
        Err(why) => {
            let answer = match kind {
                Kind::Open => Answer::Pixel,
                Kind::Click => Answer::BadClick,
                Kind::Unsubscribe => Answer::BadUnsubscribe,
            };
            return Plan::Invalid { kind, why, answer };
        }
    };
    if policy.blocks(&claims) {
        let answer = Answer::Blocked(kind);
        return Plan::Blocked { kind, answer };
    }
    let (answer, recorded) = match (claims.link, method) {
        (Link::Open, method) => (Answer::Pixel, method == Method::Get),
        (Link::Click { url, .. }, method) => (Answer::Redirect(url), method == Method::Get),
        // Scanners follow every link with GET: only the button, or the mail program's POST, counts.
        (Link::Unsubscribe, Method::Post) => (Answer::Unsubscribed, true),
        (Link::Unsubscribe, _) => (Answer::UnsubscribePage, false),
    };
    if !recorded {
        return Plan::Serve { kind, answer };
    }
    let if_full = match kind {
        Kind::Open | Kind::Click => None,
        // A legal request: said to have been heard only once it is kept.
        Kind::Unsubscribe => Some(Answer::TryLater),
    };
    let signals = SignalsWriter {
        ip: None,
        user_agent: head.user_agent,
        accept_language: head.accept_language.filter(|_| accept_language),
        sec_purpose: head.sec_purpose,
        purpose: head.purpose,
        x_purpose: head.x_purpose,
        x_moz: head.x_moz,
    };
    let event = Event {
        kind,
        token,
        signals,
        external_address: head.external_address,
    };
    Plan::Record {
        event,
        answer,
        if_full,
    }
}

#[inline]
fn verify<'a>(
    verifier: &'a mut Verifier,
    kind: Kind,
    token: &[u8],
) -> Result<Claims<'a>, InvalidToken> {
    let token = verifier.verify(token).map_err(|error| match error {
        DecodeError::UnknownKey { .. } => InvalidToken::UnknownKey,
        DecodeError::Mac => InvalidToken::Signature,
        DecodeError::TooLong { .. }
        | DecodeError::Base64
        | DecodeError::Truncated
        | DecodeError::Trailing
        | DecodeError::Version { .. }
        | DecodeError::Kind { .. }
        | DecodeError::Field { .. }
        | DecodeError::Destination(_) => InvalidToken::Malformed,
    })?;
    let claims = token.into_claims();
    match claims.link.kind() == kind {
        true => Ok(claims),
        false => Err(InvalidToken::OtherKind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::{
        ContactId, Day, Destination, KeyId, Keyring, LinkIndex, Secret, SendId, TenantId,
        TenantSigner,
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
}
