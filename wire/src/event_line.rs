//! The event line: what the edge saw, as one line of JSON.
//!
//! `{"id":"<uuidv7>","k":"o","t":"<token>","ip":"203.0.113.7","ua":"Mozilla/5.0 …"}`
//!
//! The same line is a line of a batch to `/ingest` and a line of the edge's journal. Who, what and
//! where are inside the signed token; the line adds only when (inside the id) and the signals that
//! a verdict about machines needs.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{EventId, EventIdError, Kind};

/// User-Agents longer than this are cut: real ones stay below, and the line has to stay small.
pub const MAX_USER_AGENT_BYTES: usize = 512;
/// Longest `accept-language` that is kept.
pub const MAX_ACCEPT_LANGUAGE_BYTES: usize = 128;
/// Longest value kept of each header that announces a prefetch.
pub const MAX_PURPOSE_BYTES: usize = 64;

/// Why a line is refused. Its neighbours are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("the line is not a JSON object with id, k and t: {message}")]
    Json { message: String },
    #[error("the id {got:?} is not usable: {error}")]
    Id { got: String, error: EventIdError },
    #[error("k is \"o\", \"c\" or \"u\", not {got:?}")]
    Kind { got: String },
}

/// Request headers and address as they were seen, each absent when it was not sent or is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals<'a> {
    pub ip: Option<Cow<'a, str>>,
    pub user_agent: Option<Cow<'a, str>>,
    pub accept_language: Option<Cow<'a, str>>,
    pub sec_purpose: Option<Cow<'a, str>>,
    pub purpose: Option<Cow<'a, str>>,
    pub x_purpose: Option<Cow<'a, str>>,
    pub x_moz: Option<Cow<'a, str>>,
}

/// One event, read from its line. The token is not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLine<'a> {
    pub id: EventId,
    pub kind: Kind,
    pub token: Cow<'a, str>,
    pub signals: Signals<'a>,
}

#[derive(Deserialize)]
struct RawLine<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    k: Cow<'a, str>,
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(borrow, default)]
    ip: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ua: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    al: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pu: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    xp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    xm: Option<Cow<'a, str>>,
}

impl<'a> EventLine<'a> {
    /// Reads one line without its line break. Unknown members are left out, so that an older
    /// backend takes what a newer edge sends.
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        let raw: RawLine<'a> = serde_json::from_slice(line).map_err(|error| LineError::Json {
            message: error.to_string(),
        })?;
        let id = EventId::parse(&raw.id).map_err(|error| LineError::Id {
            got: raw.id.into_owned(),
            error,
        })?;
        let kind = match &*raw.k {
            "o" => Kind::Open,
            "c" => Kind::Click,
            "u" => Kind::Unsubscribe,
            _ => {
                return Err(LineError::Kind {
                    got: raw.k.into_owned(),
                });
            }
        };
        let signals = Signals {
            ip: raw.ip,
            user_agent: raw.ua,
            accept_language: raw.al,
            sec_purpose: raw.sp,
            purpose: raw.pu,
            x_purpose: raw.xp,
            x_moz: raw.xm,
        };
        Ok(Self {
            id,
            kind,
            token: raw.t,
            signals,
        })
    }
}

/// What the edge writes a line from: raw header bytes, which need not be UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignalsWriter<'a> {
    pub ip: Option<&'a str>,
    pub user_agent: Option<&'a [u8]>,
    pub accept_language: Option<&'a [u8]>,
    pub sec_purpose: Option<&'a [u8]>,
    pub purpose: Option<&'a [u8]>,
    pub x_purpose: Option<&'a [u8]>,
    pub x_moz: Option<&'a [u8]>,
}

impl SignalsWriter<'_> {
    /// Appends one event line and its line break. `token` must have verified, which makes it plain
    /// base64url; header values are cut to their limits, and what is not UTF-8 or a control becomes
    /// U+FFFD.
    pub fn write(&self, id: EventId, kind: Kind, token: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":\"");
        let mut id_text = [0; uuid::fmt::Hyphenated::LENGTH];
        out.extend_from_slice(
            id.uuid()
                .as_hyphenated()
                .encode_lower(&mut id_text)
                .as_bytes(),
        );
        out.extend_from_slice(match kind {
            Kind::Open => b"\",\"k\":\"o\",\"t\":\"",
            Kind::Click => b"\",\"k\":\"c\",\"t\":\"",
            Kind::Unsubscribe => b"\",\"k\":\"u\",\"t\":\"",
        });
        out.extend_from_slice(token);
        out.push(b'"');
        let mut member = |name: &[u8], value: Option<&[u8]>, limit: usize| {
            if let Some(value) = value {
                out.extend_from_slice(name);
                write_escaped(value.get(..limit).unwrap_or(value), out);
                out.push(b'"');
            }
        };
        member(b",\"ip\":\"", self.ip.map(str::as_bytes), usize::MAX);
        member(b",\"ua\":\"", self.user_agent, MAX_USER_AGENT_BYTES);
        member(
            b",\"al\":\"",
            self.accept_language,
            MAX_ACCEPT_LANGUAGE_BYTES,
        );
        member(b",\"sp\":\"", self.sec_purpose, MAX_PURPOSE_BYTES);
        member(b",\"pu\":\"", self.purpose, MAX_PURPOSE_BYTES);
        member(b",\"xp\":\"", self.x_purpose, MAX_PURPOSE_BYTES);
        member(b",\"xm\":\"", self.x_moz, MAX_PURPOSE_BYTES);
        out.extend_from_slice(b"}\n");
    }
}

/// JSON string contents (RFC 8259, section 7) of bytes that should be UTF-8.
fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    // Hardly any value has more than this. Without an early exit, so that many bytes are looked at
    // at a time.
    let plain = |byte: &u8| (0x20..0x7F).contains(byte) & !matches!(byte, b'"' | b'\\');
    if bytes.iter().fold(true, |all, byte| all & plain(byte)) {
        return out.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some(at) = rest
            .iter()
            .position(|b| matches!(b, b'"' | b'\\' | 0..0x20 | 0x7F))
        {
            let (plain, special) = rest.split_at(at);
            out.extend_from_slice(plain);
            match special.first() {
                Some(quote @ (b'"' | b'\\')) => out.extend([b'\\', *quote]),
                _ => out.extend_from_slice("\u{FFFD}".as_bytes()),
            }
            rest = special.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMillis;

    fn id() -> EventId {
        crate::EventIdGenerator::new([7; 16]).next(UnixMillis(1_790_000_000_000))
    }

    #[test]
    fn a_line_reads_back_what_was_written() {
        let mut out = Vec::new();
        let signals = SignalsWriter {
            ip: Some("203.0.113.7"),
            user_agent: Some(b"Mozilla/5.0 \"quoted\" \\ \xC3\xA4"),
            x_moz: Some(b"prefetch"),
            ..SignalsWriter::default()
        };
        signals.write(id(), Kind::Click, b"AQEC", &mut out);
        let line = EventLine::parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(line.id, id());
        assert_eq!(line.kind, Kind::Click);
        assert_eq!(line.token, "AQEC");
        assert_eq!(
            line.signals.user_agent.as_deref(),
            Some("Mozilla/5.0 \"quoted\" \\ ä")
        );
        assert_eq!(line.signals.x_moz.as_deref(), Some("prefetch"));
        assert_eq!(line.signals.purpose, None);
    }

    #[test]
    fn bytes_that_are_not_text_never_break_the_line() {
        let mut out = Vec::new();
        let agent = [b"a\n\0\x7F\xFF\xC3".as_slice(), &[b'x'; 600]].concat();
        let signals = SignalsWriter {
            user_agent: Some(&agent),
            ..SignalsWriter::default()
        };
        signals.write(id(), Kind::Open, b"AQEB", &mut out);
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
        let line = EventLine::parse(&out).unwrap();
        let agent = line.signals.user_agent.unwrap();
        assert!(
            agent.starts_with("a\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}x"),
            "{agent}"
        );
        assert_eq!(agent.chars().count(), MAX_USER_AGENT_BYTES);
    }

    #[test]
    fn each_mistake_in_a_line_has_its_own_reason() {
        let parse = |line: &'static str| EventLine::parse(line.as_bytes()).unwrap_err();
        assert!(matches!(parse("{"), LineError::Json { .. }));
        assert!(matches!(
            parse(r#"{"id":"x","k":"o"}"#),
            LineError::Json { .. }
        ));
        assert!(matches!(
            parse(r#"{"id":"x","k":"o","t":""}"#),
            LineError::Id { .. }
        ));
        let kind = r#"{"id":"019a0000-0000-7000-8000-000000000000","k":"x","t":""}"#;
        assert!(matches!(parse(kind), LineError::Kind { .. }));
    }
}
