//! A batch's bytes, line by line, to verified events.

use kraiter_wire::{EventLine, Kind, Link, Verifier};

use super::{Click, EdgeEvent, Rejection, Signals};
use crate::events::EventType;

/// Verifies every line. A bad one is reported with its reason and never fails its neighbours.
pub(crate) fn verify(body: &[u8], verifier: &mut Verifier) -> (Vec<EdgeEvent>, Vec<Rejection>) {
    let mut events = Vec::new();
    let mut rejections = Vec::new();
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    for line in lines.filter(|line| !line.is_empty()) {
        match verify_line(line, verifier) {
            Ok(event) => events.push(event),
            Err(rejection) => rejections.push(rejection),
        }
    }
    (events, rejections)
}

fn verify_line(line: &[u8], verifier: &mut Verifier) -> Result<EdgeEvent, Rejection> {
    let line = EventLine::parse(line).map_err(|error| {
        tracing::debug!(%error, "a line that is no event");
        Rejection::Malformed
    })?;
    let token = verifier.verify(line.token.as_bytes()).map_err(|error| {
        tracing::debug!(%error, id = %line.id, "an event whose token does not verify");
        Rejection::BadToken
    })?;
    let claims = token.into_claims();
    if claims.link.kind() != line.kind {
        return Err(Rejection::KindMismatch);
    }
    let click = match claims.link {
        Link::Click { index, url } => Some(Click {
            index: index.0,
            url: url.as_str().to_owned(),
        }),
        Link::Open | Link::Unsubscribe => None,
    };
    let kind = match line.kind {
        Kind::Open => EventType::Opened,
        Kind::Click => EventType::Clicked,
        Kind::Unsubscribe => EventType::Unsubscribed,
    };
    // Postgres takes every character but this one.
    let text =
        |value: Option<std::borrow::Cow<'_, str>>| value.map(|text| text.replace('\0', "\u{FFFD}"));
    let signals = Signals {
        // An address that is none is left out; the event counts all the same.
        ip: line.signals.ip.and_then(|ip| ip.parse().ok()),
        user_agent: text(line.signals.user_agent),
        accept_language: text(line.signals.accept_language),
        sec_purpose: text(line.signals.sec_purpose),
        purpose: text(line.signals.purpose),
        x_purpose: text(line.signals.x_purpose),
        x_moz: text(line.signals.x_moz),
    };
    Ok(EdgeEvent {
        tenant: claims.tenant,
        id: line.id,
        kind,
        contact: claims.contact,
        send: claims.send.as_str().to_owned(),
        day: claims.day,
        click,
        signals,
        reasons: None,
    })
}
