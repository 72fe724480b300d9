//! The public address under which a tenant's tracking URLs stand.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// Why a text is no place for tracking URLs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    #[error("a tracking origin looks like https://track.example.com, not {got:?}")]
    Origin { got: String },
    #[error(
        "a path prefix starts with / and holds letters, digits and . _ ~ - / only, not {got:?}"
    )]
    Prefix { got: String },
}

/// Scheme, host and port that recipients reach the edge by, with no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TrackingOrigin(String);

impl TrackingOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One-click unsubscribing is only honoured over https (RFC 8058).
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for TrackingOrigin {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        let refused = || BaseError::Origin {
            got: text.to_owned(),
        };
        let url = Url::parse(text).map_err(|_| refused())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare || !anonymous {
            return Err(refused());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

impl TryFrom<String> for TrackingOrigin {
    type Error = BaseError;

    fn try_from(text: String) -> Result<Self, BaseError> {
        text.parse()
    }
}

/// Longest path prefix in bytes: it is paid in every link. The filter's limit is the same.
const MAX_PREFIX_BYTES: usize = 128;

/// What stands between the origin and `/o/`, `/c/` and `/u/`: empty, or like `/mail`. The edge has
/// the same setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(String);

impl PathPrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPrefix {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        let path = text.trim_end_matches('/');
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-' | '/');
        let dotted = path.split('/').any(|part| matches!(part, "." | ".."));
        let rooted = path.is_empty() || path.starts_with('/');
        let short = path.len() <= MAX_PREFIX_BYTES;
        if !rooted || dotted || !short || path.contains("//") || !path.chars().all(allowed) {
            return Err(BaseError::Prefix {
                got: text.to_owned(),
            });
        }
        Ok(Self(path.to_owned()))
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = BaseError;

    fn try_from(text: String) -> Result<Self, BaseError> {
        text.parse()
    }
}

/// Origin and path prefix, without a slash at the end: `https://track.example.com/mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingBase {
    text: String,
    /// How much of `text` is scheme and host, which are compared without regard to case.
    origin_bytes: usize,
}

impl TrackingBase {
    pub fn new(origin: &TrackingOrigin, prefix: &PathPrefix) -> Self {
        Self {
            text: format!("{}{}", origin.0, prefix.0),
            origin_bytes: origin.0.len(),
        }
    }

    /// Reads both from text.
    pub fn parse(origin: &str, prefix: &str) -> Result<Self, BaseError> {
        Ok(Self::new(&origin.parse()?, &prefix.parse()?))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `url` is a tracking URL of this base already, whoever it was signed for.
    pub(super) fn made(&self, url: &str) -> bool {
        let Some((start, rest)) = url.as_bytes().split_at_checked(self.text.len()) else {
            return false;
        };
        let ours = self.text.as_bytes();
        let (Some((origin, path)), Some((our_origin, our_path))) = (
            start.split_at_checked(self.origin_bytes),
            ours.split_at_checked(self.origin_bytes),
        ) else {
            return false;
        };
        let token = match rest {
            [b'/', b'o' | b'c' | b'u', b'/', token, ..] => token,
            _ => return false,
        };
        origin.eq_ignore_ascii_case(our_origin)
            && path == our_path
            && (token.is_ascii_alphanumeric() || matches!(token, b'-' | b'_'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_origin_and_a_path() {
        let base = |origin, prefix| TrackingBase::parse(origin, prefix).map(|base| base.text);
        assert_eq!(
            base("https://Track.Example.com/", "").as_deref(),
            Ok("https://track.example.com")
        );
        assert_eq!(
            base("http://127.0.0.1:10000", "/mail/").as_deref(),
            Ok("http://127.0.0.1:10000/mail")
        );
        for origin in [
            "track.example.com",
            "ftp://a.example",
            "https://a.example/p",
            "https://u@a.example",
            "https://a.example?q",
        ] {
            assert!(matches!(base(origin, ""), Err(BaseError::Origin { .. })));
        }
        for prefix in ["mail", "/a b", "/a//b", "/../b", "/?x"] {
            let got = base("https://a.example", prefix);
            assert!(matches!(got, Err(BaseError::Prefix { .. })), "{prefix}");
        }
    }

    #[test]
    fn only_its_own_urls_are_recognised() {
        let base = TrackingBase::parse("https://t.example", "/m").unwrap();
        for url in [
            "https://t.example/m/c/AQE",
            "HTTPS://T.Example/m/o/AQE.gif",
            "https://t.example/m/u/_x",
        ] {
            assert!(base.made(url), "{url}");
        }
        for url in [
            "https://t.example/m/c/",
            "https://t.example/c/AQE",
            "https://t.example/M/c/AQE",
            "https://t.example.evil/m/c/AQE",
            "http://t.example/m/c/AQE",
            "https://t.example/m",
        ] {
            assert!(!base.made(url), "{url}");
        }
    }
}
