//! Whether a link is wrapped, and if not, why.

use kraiter_wire::{Destination, DestinationError};
use serde::Serialize;

use super::href::{Resolver, Target, UrlText};
use super::plan::Rules;
use super::unsubscribe::{listed_urls, says_unsubscribe};

/// Why a link was left as it is. The names are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// `mailto:`, `tel:` and whatever else is not http or https.
    Scheme,
    /// A place within the mail.
    Anchor,
    /// No scheme and no host.
    Relative,
    /// Marked by the author, or within something marked.
    NoTrack,
    /// Ends the subscription.
    Unsubscribe,
    /// A tracking URL of the tenant.
    AlreadyTracked,
    /// No browser would know where to go.
    InvalidUrl,
    /// Longer than a redirect may be.
    TooLong,
    /// Template syntax that was never filled in.
    Placeholder,
}

impl SkipReason {
    pub const ALL: [Self; 9] = [
        Self::Scheme,
        Self::Anchor,
        Self::Relative,
        Self::NoTrack,
        Self::Unsubscribe,
        Self::AlreadyTracked,
        Self::InvalidUrl,
        Self::TooLong,
        Self::Placeholder,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Anchor => "anchor",
            Self::Relative => "relative",
            Self::NoTrack => "no_track",
            Self::Unsubscribe => "unsubscribe",
            Self::AlreadyTracked => "already_tracked",
            Self::InvalidUrl => "invalid_url",
            Self::TooLong => "too_long",
            Self::Placeholder => "placeholder",
        }
    }
}

/// What becomes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wrap(UrlText),
    /// Replaced by the signed unsubscribe link.
    SignUnsubscribe,
    Skip(SkipReason, Option<UrlText>),
}

/// What is known of a link beside its text.
#[derive(Clone, Copy, Default)]
pub(super) struct Marks {
    pub(super) no_track: bool,
    pub(super) unsubscribe: bool,
}

/// Judges the links of one mail.
pub(super) struct Judge<'r> {
    rules: &'r Rules<'r>,
    /// The request's own unsubscribe URLs, in the form links are compared in.
    listed: Vec<String>,
}

impl<'r> Judge<'r> {
    pub(super) fn new(rules: &'r Rules<'r>) -> Self {
        let mut resolver = Resolver::default();
        let mut listed = Vec::new();
        for url in rules.list_unsubscribe.into_iter().flat_map(listed_urls) {
            if let Target::Web(url) = resolver.rewritten(url) {
                listed.push(url.of("", resolver.arena()).to_owned());
            }
        }
        Self { rules, listed }
    }

    /// `url_of` gives the text of a URL.
    pub(super) fn judge<'t>(
        &self,
        target: Target,
        marks: Marks,
        url_of: impl Fn(UrlText) -> &'t str,
    ) -> Verdict {
        let skip = |reason| Verdict::Skip(reason, None);
        let text = match target {
            Target::KraiterUnsubscribe => return Verdict::SignUnsubscribe,
            Target::Anchor => return skip(SkipReason::Anchor),
            Target::Relative => return skip(SkipReason::Relative),
            Target::Placeholder => return skip(SkipReason::Placeholder),
            Target::Invalid => return skip(SkipReason::InvalidUrl),
            Target::OtherScheme(text) => {
                return Verdict::Skip(SkipReason::Scheme, Some(text));
            }
            Target::Web(text) => text,
        };
        let url = url_of(text);
        let unsubscribes = || {
            marks.unsubscribe
                || self.listed.iter().any(|listed| listed == url)
                || (self.rules.options.detect_unsubscribe && says_unsubscribe(url))
        };
        match Destination::parse(url) {
            Err(DestinationError::TooLong { .. }) => return skip(SkipReason::TooLong),
            Err(_) => return skip(SkipReason::InvalidUrl),
            Ok(_) => {}
        }
        if self.rules.base.made(url) {
            Verdict::Skip(SkipReason::AlreadyTracked, Some(text))
        } else if marks.no_track {
            Verdict::Skip(SkipReason::NoTrack, Some(text))
        } else if unsubscribes() {
            Verdict::Skip(SkipReason::Unsubscribe, Some(text))
        } else {
            Verdict::Wrap(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_name() {
        for reason in SkipReason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("{:?}", reason.as_str()));
        }
    }
}
