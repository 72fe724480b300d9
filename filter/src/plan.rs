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
mod tests;
