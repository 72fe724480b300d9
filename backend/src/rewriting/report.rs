//! What became of each link, in the form the API answers with.

use serde::Serialize;

use super::judgement::{SkipReason, Verdict};
use super::plan::Plan;
use super::render::Rewritten;

/// One link: `{index, source, url, trackedUrl}` if it is wrapped, `{source, url?, skipped}` if not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Link)]
pub struct LinkReport<'r> {
    /// The place among the wrapped links, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub index: Option<u32>,
    /// What the author wrote, entities and all.
    #[schema(example = "https://example.com/?a=1&amp;b=2")]
    pub source: &'r str,
    /// What a browser would follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://example.com/?a=1&b=2")]
    pub url: Option<&'r str>,
    /// What the mail has in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tracked_url: Option<&'r str>,
    /// Why the link was left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skipped: Option<SkipReason>,
}

impl Plan<'_> {
    /// The links of the HTML in document order, then those of the text. `rewritten` is what this
    /// plan was rendered to.
    pub fn links<'r>(&'r self, rewritten: &'r Rewritten) -> impl Iterator<Item = LinkReport<'r>> {
        let text = self.text.as_deref().unwrap_or_default();
        let rewritten_text = rewritten.text.as_deref().unwrap_or_default();
        let of_html = self.html_links.iter();
        let of_html = of_html.map(|link| (link, &*self.html, &*rewritten.html));
        let of_text = self.text_links.iter();
        let of_text = of_text.map(move |link| (link, text, rewritten_text));
        let mut signed = rewritten.signed.iter();
        let mut indices = 0..;
        of_html.chain(of_text).map(move |(link, source, output)| {
            let mut report = LinkReport {
                index: None,
                source: link.source.of(source),
                url: None,
                tracked_url: None,
                skipped: link.reason(),
            };
            match link.verdict {
                Verdict::Skip(_, url) => {
                    report.url = url.map(|url| url.of(source, &self.arena));
                }
                Verdict::SignUnsubscribe => {
                    signed.next();
                }
                Verdict::Wrap(url) => {
                    report.index = indices.next();
                    report.url = Some(url.of(source, &self.arena));
                    report.tracked_url = signed.next().map(|span| span.of(output));
                }
            }
            report
        })
    }
}
