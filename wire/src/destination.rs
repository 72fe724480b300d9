//! Where a click leads: the one rule that says which URLs may stand in a `location` header.

use std::borrow::Cow;

use crate::all_bytes;

/// Longest destination in bytes. Longer `location` headers are refused by common clients.
pub const MAX_DESTINATION_BYTES: usize = 4096;

/// Why a URL cannot be a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    #[error("a destination starts with http:// or https://")]
    Scheme,
    #[error("a destination has a host after the scheme")]
    NoHost,
    #[error("a destination has at most {MAX_DESTINATION_BYTES} bytes; this one has {got}")]
    TooLong { got: usize },
    #[error("byte 0x{byte:02X} at position {at} cannot stand in a redirect; percent-encode it")]
    Byte { byte: u8, at: usize },
}

/// An absolute http or https URL, kept to the byte, that is safe to put into a header: no control,
/// no space, no byte outside 0x21-0x7E. Envoy passes header values on unchecked, so a CR LF let
/// through here would be an injected header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination<'a>(Cow<'a, str>);

impl<'a> Destination<'a> {
    pub fn parse(url: impl Into<Cow<'a, str>>) -> Result<Self, DestinationError> {
        let url = url.into();
        check(url.as_bytes())?;
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_owned(self) -> Destination<'static> {
        Destination(Cow::Owned(self.0.into_owned()))
    }

    /// The host as it stands in the URL: without userinfo and port, case kept.
    pub fn host(&self) -> &str {
        let (_, rest) = self.0.split_once("://").unwrap_or(("", ""));
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
        let host_port = authority.rsplit('@').next().unwrap_or("");
        match host_port
            .strip_prefix('[')
            .and_then(|v6| v6.split_once(']'))
        {
            Some((v6, _)) => v6,
            None => host_port.split(':').next().unwrap_or(""),
        }
    }
}

fn check(url: &[u8]) -> Result<(), DestinationError> {
    if url.len() > MAX_DESTINATION_BYTES {
        return Err(DestinationError::TooLong { got: url.len() });
    }
    let printable = |byte: u8| byte.wrapping_sub(0x21) <= 0x7E - 0x21;
    if !all_bytes(url, printable) {
        let at = url.iter().position(|byte| !printable(*byte)).unwrap_or(0);
        let byte = url.get(at).copied().unwrap_or(0);
        return Err(DestinationError::Byte { byte, at });
    }
    let after = |scheme: &[u8]| match url.split_at_checked(scheme.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => Some(rest),
        _ => None,
    };
    let rest = after(b"https://")
        .or_else(|| after(b"http://"))
        .ok_or(DestinationError::Scheme)?;
    match rest.first() {
        None | Some(b'/' | b'?' | b'#' | b'\\') => Err(DestinationError::NoHost),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_web_urls_with_printable_ascii_are_destinations() {
        let reason = |url: &'static str| Destination::parse(url).err();
        assert_eq!(reason("https://example.com/a?b=%20#c"), None);
        assert_eq!(reason("HTTP://EXAMPLE.COM"), None);
        assert_eq!(
            reason("javascript:alert(1)"),
            Some(DestinationError::Scheme)
        );
        assert_eq!(reason("//example.com"), Some(DestinationError::Scheme));
        assert_eq!(reason("https:example.com"), Some(DestinationError::Scheme));
        assert_eq!(reason("https:///path"), Some(DestinationError::NoHost));
        assert_eq!(
            reason("https://a/\r\nx: y"),
            Some(DestinationError::Byte {
                byte: b'\r',
                at: 10
            })
        );
        assert_eq!(
            reason("https://a/ä"),
            Some(DestinationError::Byte { byte: 0xC3, at: 10 })
        );
    }

    #[test]
    fn the_longest_destination_is_4096_bytes() {
        let url = |len: usize| format!("https://a/{}", "x".repeat(len - 10));
        assert!(Destination::parse(url(4096)).is_ok());
        assert_eq!(
            Destination::parse(url(4097)),
            Err(DestinationError::TooLong { got: 4097 })
        );
    }

    #[test]
    fn the_host_stands_alone() {
        let host = |url: &'static str| Destination::parse(url).unwrap().host().to_owned();
        assert_eq!(
            host("https://user:pw@shop.example:8443/p@q"),
            "shop.example"
        );
        assert_eq!(host("http://[2001:db8::1]:80/"), "2001:db8::1");
        assert_eq!(host("https://a.example?x"), "a.example");
    }
}
