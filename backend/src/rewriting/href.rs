//! What a browser makes of the text of a link: the URL it would follow, kept to the byte where
//! the author's bytes can stand in a redirect.
//!
//! After the URL Standard as far as it decides where a link leads. Nothing is normalised beyond
//! what a `location` header needs: single-use links must arrive as they were written.

use url::Url;

use super::characters::{
    BEYOND_NAMES, BLANK, BREAK, HYPHEN, TEMPLATE, UNSAFE, decode_ampersands, decode_entities,
    encode, has_only_plain_characters, kind, kinds,
};
use super::placeholder::has_placeholder;
use super::span::Span;

/// What kind of link a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An absolute http or https URL, printable ASCII only.
    Web(UrlText),
    /// Our own placeholder for the signed unsubscribe link.
    KraiterUnsubscribe,
    /// `mailto:` and all other schemes.
    OtherScheme(UrlText),
    /// Within the mail: `#…`.
    Anchor,
    /// No scheme and no host: leads nowhere from a mail.
    Relative,
    Placeholder,
    Invalid,
}

/// Where the text of a URL is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlText {
    /// In the mail part, as the author wrote it.
    Source(Span),
    /// Among the URLs that had to be written anew.
    Arena(Span),
}

impl UrlText {
    pub(super) fn of<'t>(self, source: &'t str, arena: &'t str) -> &'t str {
        match self {
            Self::Source(span) => span.of(source),
            Self::Arena(span) => span.of(arena),
        }
    }
}

/// Resolves links one after the other. URLs that differ from their source are collected in one
/// string, so that a usual link costs no allocation of its own.
#[derive(Default)]
pub(super) struct Resolver {
    arena: String,
    /// The last host that [`plain_host`] found to be one: the links of a mail share a few.
    host: String,
}

impl Resolver {
    pub(super) fn arena(&self) -> &str {
        &self.arena
    }

    pub(super) fn into_arena(self) -> String {
        self.arena
    }

    /// Resolves an attribute's value, with entities, that stands at `span` of `html`.
    pub(super) fn attribute(&mut self, html: &str, span: Span) -> Target {
        let value = span.of(html);
        let ampersand = memchr::memchr(b'&', value.as_bytes());
        let start = self.arena.len();
        if self.is_plain_url(value) {
            if ampersand.is_none() {
                return Target::Web(UrlText::Source(span));
            }
            if decode_ampersands(value, &mut self.arena) {
                return Target::Web(UrlText::Arena(Span::new(start..self.arena.len())));
            }
            self.arena.truncate(start);
        }
        if ampersand.is_none() {
            return self.resolve(value, span);
        }
        decode_entities(value, &mut self.arena);
        let decoded = self.arena.split_off(start);
        if self.is_plain_url(&decoded) {
            self.arena.push_str(&decoded);
            return Target::Web(UrlText::Arena(Span::new(start..self.arena.len())));
        }
        self.rewritten(&decoded)
    }

    /// Resolves what stands at `span` of a plain text.
    pub(super) fn plain(&mut self, text: &str, span: Span) -> Target {
        self.resolve(span.of(text), span)
    }

    /// The usual case, told quickly: nothing to decode, to strip or to encode, and a plain host.
    fn is_plain_url(&mut self, text: &str) -> bool {
        let after = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let Some(rest) = after.filter(|rest| has_only_plain_characters(rest)) else {
            return false;
        };
        if let Some(path) = rest.strip_prefix(&self.host)
            && !self.host.is_empty()
            && ends_authority(path.as_bytes().first())
        {
            return true;
        }
        let host = plain_host(rest);
        if let Some(host) = host {
            self.host.clear();
            self.host.push_str(host);
        }
        host.is_some()
    }

    fn resolve(&mut self, value: &str, span: Span) -> Target {
        if self.is_plain_url(value) {
            return Target::Web(UrlText::Source(span));
        }
        let found = kinds(value);
        if found & BLANK != 0 {
            return self.rewritten(value);
        }
        match Parts::of(value, found) {
            Ok(parts) if found & UNSAFE == 0 && parts.is_canonical() && parts.plain_host => {
                Target::Web(UrlText::Source(span))
            }
            Ok(parts) => self.web(&parts, found),
            Err(NotWeb::OtherScheme) => Target::OtherScheme(UrlText::Source(span)),
            Err(other) => other.target(),
        }
    }

    /// Resolves a text that is not the author's bytes (any more).
    pub(super) fn rewritten(&mut self, text: &str) -> Target {
        let found = kinds(text);
        let mut text = text;
        let without_breaks;
        if found & BLANK != 0 {
            // A null is no null any more: the tokenizer of a browser has replaced it.
            text = text.trim_matches(|c| ('\u{1}'..=' ').contains(&c));
        }
        if found & BREAK != 0 {
            without_breaks = text.replace(['\t', '\n', '\r'], "");
            text = &without_breaks;
        }
        match Parts::of(text, found) {
            Ok(parts) => self.web(&parts, found),
            Err(NotWeb::OtherScheme) => {
                let start = self.arena.len();
                self.arena.push_str(text);
                Target::OtherScheme(UrlText::Arena(Span::new(start..self.arena.len())))
            }
            Err(other) => other.target(),
        }
    }

    /// Writes the URL into the arena in a form that can stand in a header.
    fn web(&mut self, parts: &Parts<'_>, found: u8) -> Target {
        let start = self.arena.len();
        self.arena.push_str(parts.scheme);
        self.arena.push_str("://");
        if !parts.plain_host {
            if !self.unusual_host(parts) {
                self.arena.truncate(start);
                return Target::Invalid;
            }
        } else if found & UNSAFE == 0 {
            self.arena.push_str(parts.rest);
        } else {
            encode(parts.rest, &mut self.arena);
        }
        Target::Web(UrlText::Arena(Span::new(start..self.arena.len())))
    }

    /// Lets the URL Standard's parser judge hosts other than plain names; a host with letters
    /// beyond ASCII is replaced by its punycode.
    fn unusual_host(&mut self, parts: &Parts<'_>) -> bool {
        let authority = parts.authority;
        let Ok(parsed) = Url::parse(&format!("{}://{authority}/", parts.scheme)) else {
            return false;
        };
        let host_start = authority.rfind('@').map_or(0, |at| at + 1);
        let Some((userinfo, host_and_port)) = authority.split_at_checked(host_start) else {
            return false;
        };
        let after = parts.rest.get(authority.len()..).unwrap_or_default();
        if host_and_port.is_ascii() {
            encode(parts.rest, &mut self.arena);
            return true;
        }
        let port = match host_and_port.rsplit_once(':') {
            Some((_, port)) => port,
            None => "",
        };
        encode(userinfo, &mut self.arena);
        self.arena.push_str(parsed.host_str().unwrap_or_default());
        if !port.is_empty() {
            self.arena.push(':');
            self.arena.push_str(port);
        }
        encode(after, &mut self.arena);
        true
    }
}

/// What a URL has at its start if it is a host that needs no closer look, told in one go over it.
fn plain_host(rest: &str) -> Option<&str> {
    let bytes = rest.as_bytes();
    let mut found = 0;
    let ends = |byte: &u8| {
        found |= kind(*byte);
        kind(*byte) & BEYOND_NAMES != 0
    };
    let end = bytes.iter().position(ends).unwrap_or(bytes.len());
    let host = rest.get(..end)?;
    let has_end = ends_authority(bytes.get(end));
    let has_punycode = found & HYPHEN != 0 && has_punycode(host);
    (has_end && has_named_label(host) && !has_punycode).then_some(host)
}

fn ends_authority(byte: Option<&u8>) -> bool {
    matches!(byte, None | Some(b'/' | b'\\' | b'?' | b'#'))
}

/// What stands between the slashes and the path.
fn authority_of(rest: &str) -> &str {
    let ends = |byte: &u8| matches!(byte, b'/' | b'\\' | b'?' | b'#');
    let end = rest.as_bytes().iter().position(ends).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

enum NotWeb {
    KraiterUnsubscribe,
    OtherScheme,
    Anchor,
    Relative,
    Placeholder,
    Invalid,
}

impl NotWeb {
    fn target(self) -> Target {
        match self {
            Self::KraiterUnsubscribe => Target::KraiterUnsubscribe,
            Self::Anchor => Target::Anchor,
            Self::Relative => Target::Relative,
            Self::Placeholder => Target::Placeholder,
            Self::OtherScheme | Self::Invalid => Target::Invalid,
        }
    }
}

/// A web URL taken apart.
struct Parts<'t> {
    /// As written: `https`, `HTTP`.
    scheme: &'t str,
    /// What stands between scheme and host, `//` as a rule.
    slashes: &'t str,
    /// From the host, or the userinfo before it, to the end.
    rest: &'t str,
    /// Host, and userinfo and port if there are any.
    authority: &'t str,
    /// A name that needs no closer look: no IP address, nothing international, no encoding.
    plain_host: bool,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str, found: u8) -> Result<Self, NotWeb> {
        if found & TEMPLATE != 0 && has_placeholder(text) {
            return Err(NotWeb::Placeholder);
        }
        if text.starts_with('#') {
            return Err(NotWeb::Anchor);
        }
        if text.eq_ignore_ascii_case("kraiter:unsubscribe") {
            return Err(NotWeb::KraiterUnsubscribe);
        }
        let (scheme, after) = match split_scheme(text) {
            Some(split) => split,
            // `//host/…` takes the scheme of where the mail is read, which is https.
            None if text.starts_with(['/', '\\']) => {
                let (slashes, rest) = split_slashes(text);
                return match slashes.len() {
                    1 => Err(NotWeb::Relative),
                    _ => Self::checked("https", "", rest),
                };
            }
            None => return Err(NotWeb::Relative),
        };
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(NotWeb::OtherScheme);
        }
        let (slashes, rest) = split_slashes(after);
        if slashes.is_empty() {
            return Err(NotWeb::Invalid);
        }
        Self::checked(scheme, slashes, rest)
    }

    fn checked(scheme: &'t str, slashes: &'t str, rest: &'t str) -> Result<Self, NotWeb> {
        let authority = authority_of(rest);
        if authority.is_empty() {
            return Err(NotWeb::Invalid);
        }
        Ok(Self {
            scheme,
            slashes,
            rest,
            authority,
            plain_host: has_plain_host(authority),
        })
    }

    /// Whether the text itself is the URL.
    fn is_canonical(&self) -> bool {
        self.slashes == "//"
    }
}

fn has_plain_host(authority: &str) -> bool {
    let host_and_port = match authority.rsplit_once('@') {
        Some((_, host_and_port)) => host_and_port,
        None => authority,
    };
    let (host, port) = host_and_port.split_once(':').unwrap_or((host_and_port, ""));
    is_plain_name(host) && (port.is_empty() || port.parse::<u16>().is_ok())
}

fn is_plain_name(host: &str) -> bool {
    has_named_label(host) && kinds(host) & BEYOND_NAMES == 0 && !has_punycode(host)
}

/// A last label that starts with a digit may make the host an IPv4 address.
fn has_named_label(host: &str) -> bool {
    let mut labels = host.as_bytes().rsplit(|byte| *byte == b'.');
    let last_label = labels.find(|label| !label.is_empty());
    last_label.is_some_and(|label| !label.first().is_some_and(u8::is_ascii_digit))
}

fn has_punycode(host: &str) -> bool {
    host.as_bytes().array_windows().any(|pair| pair == b"--")
}

/// Scheme and what follows its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, after) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let starts = bytes.next()?.is_ascii_alphabetic();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    (starts && bytes.all(allowed)).then_some((scheme, after))
}

/// Browsers take any number of slashes, and backslashes for slashes.
fn split_slashes(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(['/', '\\']);
    text.split_at_checked(text.len() - rest.len())
        .unwrap_or((text, ""))
}
