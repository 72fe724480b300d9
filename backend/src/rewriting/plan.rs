//! A mail read once: its bytes, and the places where something is put in for each recipient.

use std::borrow::Cow;

use super::document::{self, Document};
use super::href::{Resolver, Target};
use super::judgement::{Judge, Marks, SkipReason, Verdict};
use super::pixel;
use super::plain_text::{self, Mention};
use super::span::Span;
use super::{Options, RewriteError, TrackingBase};

/// Largest part of a mail. Ten times what the largest newsletters have; mail servers commonly
/// refuse 25 MB.
pub const MAX_MAIL_BYTES: usize = 32 * 1024 * 1024;

/// What decides how a mail is rewritten, the same for all its recipients.
#[derive(Clone, Debug)]
pub struct Rules<'r> {
    pub options: &'r Options,
    pub base: &'r TrackingBase,
    /// The mail's own unsubscribe URL, alone or as a `List-Unsubscribe` header holds it. Links
    /// equal to it are left alone.
    pub list_unsubscribe: Option<&'r str>,
}

/// One link and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedLink {
    /// What the author wrote.
    pub(super) source: Span,
    pub(super) verdict: Verdict,
}

/// A mail, ready to be rendered for any number of recipients.
#[derive(Clone, Debug)]
pub struct Plan<'m> {
    pub(super) html: Cow<'m, str>,
    pub(super) text: Option<Cow<'m, str>>,
    pub(super) base: TrackingBase,
    /// URLs that are not spelled as in the mail.
    pub(super) arena: String,
    pub(super) html_links: Vec<PlannedLink>,
    pub(super) text_links: Vec<PlannedLink>,
    /// Where the pixel goes in; `None` if there is to be none, or is one already.
    pub(super) pixel: Option<usize>,
}

impl<'m> Plan<'m> {
    /// Reads a mail. An owned mail makes a plan that borrows nothing.
    pub fn parse(
        html: impl Into<Cow<'m, str>>,
        text: Option<impl Into<Cow<'m, str>>>,
        rules: &Rules<'_>,
    ) -> Result<Self, RewriteError> {
        let html = html.into();
        let text = text.map(Into::into);
        for part in [Some(&html), text.as_ref()].into_iter().flatten() {
            if part.len() > MAX_MAIL_BYTES {
                return Err(RewriteError::TooLarge {
                    got: part.len(),
                    max: MAX_MAIL_BYTES,
                });
            }
        }
        let pixel_source = format!("{}/o/", rules.base.as_str());
        let document = document::read(&html, &pixel_source)?;
        let pixel = match rules.options.track_opens && !document.has_own_pixel {
            true => Some(pixel::place(&html, &document, rules.options.pixel)?),
            false => None,
        };
        let judge = Judge::new(rules);
        let mut resolver = Resolver::default();
        let html_links = html_links(&html, &document, rules, &judge, &mut resolver);
        let text_links = text.as_ref().map_or_else(Vec::new, |text| {
            text_links(text, rules, &judge, &mut resolver)
        });
        Ok(Self {
            base: rules.base.clone(),
            arena: resolver.into_arena(),
            html,
            text,
            html_links,
            text_links,
            pixel,
        })
    }

    /// How large the mail is that was read.
    pub fn source_bytes(&self) -> usize {
        self.html.len() + self.text.as_ref().map_or(0, |text| text.len())
    }

    /// How many URLs a recipient's copy has signed in it, the pixel's included.
    pub fn signed_urls(&self) -> usize {
        let links = self.html_links.iter().chain(&self.text_links);
        let skipped = |link: &&PlannedLink| matches!(link.verdict, Verdict::Skip(..));
        links.filter(|link| !skipped(link)).count() + usize::from(self.pixel.is_some())
    }

    /// The same mail for a recipient who is not tracked: no pixel, no wrapped link; what ends the
    /// subscription works.
    pub fn untracked(&self) -> Plan<'_> {
        let kept = |links: &[PlannedLink]| {
            let signed = |link: &&PlannedLink| link.verdict == Verdict::SignUnsubscribe;
            links.iter().filter(signed).copied().collect()
        };
        Plan {
            html: Cow::Borrowed(&self.html),
            text: self.text.as_deref().map(Cow::Borrowed),
            base: self.base.clone(),
            arena: String::new(),
            html_links: kept(&self.html_links),
            text_links: kept(&self.text_links),
            pixel: None,
        }
    }

    /// Without the mail's borrowed bytes, so that it can be kept.
    pub fn into_owned(self) -> Plan<'static> {
        Plan {
            html: Cow::Owned(self.html.into_owned()),
            text: self.text.map(|text| Cow::Owned(text.into_owned())),
            base: self.base,
            arena: self.arena,
            html_links: self.html_links,
            text_links: self.text_links,
            pixel: self.pixel,
        }
    }
}

fn html_links(
    html: &str,
    document: &Document,
    rules: &Rules<'_>,
    judge: &Judge<'_>,
    resolver: &mut Resolver,
) -> Vec<PlannedLink> {
    let mut links = Vec::with_capacity(document.links.len());
    for link in &document.links {
        let target = resolver.attribute(html, link.value);
        let marks = Marks {
            no_track: link.no_track,
            unsubscribe: link.unsubscribe,
        };
        let verdict = judge.judge(target, marks, |url| url.of(html, resolver.arena()));
        if rules.options.track_clicks || verdict == Verdict::SignUnsubscribe {
            links.push(PlannedLink {
                source: link.value,
                verdict,
            });
        }
    }
    links
}

fn text_links(
    text: &str,
    rules: &Rules<'_>,
    judge: &Judge<'_>,
    resolver: &mut Resolver,
) -> Vec<PlannedLink> {
    let wrapping = rules.options.track_clicks && rules.options.track_text;
    let mut links = Vec::new();
    for mention in plain_text::mentions(text) {
        let (range, target) = match mention {
            Mention::KraiterUnsubscribe(range) => (range, Target::KraiterUnsubscribe),
            _ if !wrapping => continue,
            Mention::UnfinishedUrl(range) => (range, Target::Placeholder),
            Mention::Url(range) => {
                let target = resolver.plain(text, Span::new(range.clone()));
                (range, target)
            }
        };
        let verdict = judge.judge(target, Marks::default(), |url| {
            url.of(text, resolver.arena())
        });
        links.push(PlannedLink {
            source: Span::new(range),
            verdict,
        });
    }
    links
}

impl PlannedLink {
    pub(super) fn reason(&self) -> Option<SkipReason> {
        match self.verdict {
            Verdict::Skip(reason, _) => Some(reason),
            // Listed with the links that end the subscription, though it is replaced.
            Verdict::SignUnsubscribe => Some(SkipReason::Unsubscribe),
            Verdict::Wrap(_) => None,
        }
    }
}
