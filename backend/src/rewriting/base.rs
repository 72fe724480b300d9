//! The public address under which a tenant's tracking URLs stand.

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

/// Origin and path prefix, without a slash at the end: `https://track.example.com/mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingBase {
    text: String,
    /// How much of `text` is scheme and host, which are compared without regard to case.
    origin_bytes: usize,
}

impl TrackingBase {
    /// `origin` is scheme, host and perhaps a port; `prefix` is empty or a path.
    pub fn new(origin: &str, prefix: &str) -> Result<Self, BaseError> {
        let refused = || BaseError::Origin {
            got: origin.to_owned(),
        };
        let url = Url::parse(origin).map_err(|_| refused())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare || !anonymous {
            return Err(refused());
        }
        let mut text = url.origin().ascii_serialization();
        let origin_bytes = text.len();
        let prefix_path = prefix.trim_end_matches('/');
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-' | '/');
        let dotted = prefix_path
            .split('/')
            .any(|part| matches!(part, "." | ".."));
        let rooted = prefix_path.is_empty() || prefix_path.starts_with('/');
        if !rooted || dotted || prefix_path.contains("//") || !prefix_path.chars().all(allowed) {
            return Err(BaseError::Prefix {
                got: prefix.to_owned(),
            });
        }
        text.push_str(prefix_path);
        Ok(Self { text, origin_bytes })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// One-click unsubscribing is only honoured over https (RFC 8058).
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
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
        let base = |origin, prefix| TrackingBase::new(origin, prefix).map(|base| base.text);
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
        let base = TrackingBase::new("https://t.example", "/m").unwrap();
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
