//! Mail on its way out: registered as sends, rewritten, given its headers. Knows no SQL.

pub(crate) mod batch;
pub(crate) mod http;
mod large;
mod rewrite;

use std::collections::BTreeMap;

use serde::Serialize;

/// What the sender of a mail should know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Warning {
    /// Larger than what Gmail shows: it cuts the end off, and a pixel there with it.
    GmailClip,
    /// One-click unsubscribing needs an https tracking origin (RFC 8058).
    OriginNotHttps,
    /// The contact has unsubscribed.
    ContactUnsubscribed,
    /// An earlier mail to the contact bounced or was complained about.
    ContactSuppressed,
    /// The tenant has switched tracking off: nothing is tracked.
    TrackingDisabled,
    /// The contact has withdrawn its consent: the mail is returned untracked.
    NoConsent,
}

/// What a request says of its own way to unsubscribe.
pub(crate) enum OwnUnsubscribe<'a> {
    None,
    /// A mailbox, which stands beside ours.
    Mailto(&'a str),
    /// A page of the sender's, which is used instead of ours.
    Page(&'a str),
}

impl<'a> OwnUnsubscribe<'a> {
    /// Takes a URL, alone or in the angle brackets of a header.
    pub(crate) fn parse(text: Option<&'a str>) -> Result<Self, String> {
        let Some(text) = text else {
            return Ok(Self::None);
        };
        let bare = text.trim().trim_start_matches('<').trim_end_matches('>');
        let invalid = || format!("{text:?} is not a http, https or mailto URL");
        if bare
            .bytes()
            .any(|byte| !(0x21..=0x7E).contains(&byte) || matches!(byte, b'<' | b'>' | b','))
        {
            return Err(invalid());
        }
        match url::Url::parse(bare).map_err(|_| invalid())?.scheme() {
            "mailto" => Ok(Self::Mailto(bare)),
            "http" | "https" => Ok(Self::Page(bare)),
            _ => Err(invalid()),
        }
    }

    /// `List-Unsubscribe` (RFC 2369) and, where the page is ours and so answers a POST,
    /// `List-Unsubscribe-Post` (RFC 8058).
    pub(crate) fn headers(&self, ours: &str) -> BTreeMap<&'static str, String> {
        let (value, one_click) = match self {
            Self::None => (format!("<{ours}>"), true),
            Self::Mailto(mailto) => (format!("<{ours}>, <{mailto}>"), true),
            Self::Page(page) => (format!("<{page}>"), false),
        };
        let mut headers = BTreeMap::from([("List-Unsubscribe", value)]);
        if one_click {
            headers.insert(
                "List-Unsubscribe-Post",
                "List-Unsubscribe=One-Click".to_owned(),
            );
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_senders_own_page_takes_the_place_of_ours() {
        let headers = |text| {
            OwnUnsubscribe::parse(text)
                .unwrap()
                .headers("https://t.example/u/x")
        };
        assert_eq!(headers(None)["List-Unsubscribe"], "<https://t.example/u/x>");
        assert_eq!(
            headers(None)["List-Unsubscribe-Post"],
            "List-Unsubscribe=One-Click"
        );
        let both = headers(Some("<mailto:stop@example.com>"));
        assert_eq!(
            both["List-Unsubscribe"],
            "<https://t.example/u/x>, <mailto:stop@example.com>"
        );
        let own = headers(Some("https://example.com/stop"));
        assert_eq!(own["List-Unsubscribe"], "<https://example.com/stop>");
        assert!(!own.contains_key("List-Unsubscribe-Post"));
    }

    #[test]
    fn nothing_is_injected_into_a_header() {
        for text in [
            "https://a/\r\nX-Evil: 1",
            "javascript:alert(1)",
            "https://a/>, <https://b",
            "",
        ] {
            assert!(OwnUnsubscribe::parse(Some(text)).is_err(), "{text}");
        }
    }
}
