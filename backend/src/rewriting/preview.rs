//! A mail to look at: what all recipients share, each tracked link marked by its index.

use super::judgement::Verdict;
use super::plan::Plan;

/// What stands in place of a tracked link's URL, with the link's index after it. It leads nowhere.
pub const LINK_MARK: &str = "#kraiter-link-";

/// The HTML of a mail without anything that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub html: String,
    /// Where the tracked links lead, by their index; those of the text part are not among them.
    pub urls: Vec<String>,
}

impl Plan<'_> {
    pub fn preview(&self) -> Preview {
        let mut html = String::with_capacity(self.html.len());
        let mut urls = Vec::new();
        let mut copied = 0;
        for link in &self.html_links {
            let Verdict::Wrap(url) = link.verdict else {
                continue;
            };
            html.push_str(
                self.html
                    .get(copied..link.source.start())
                    .unwrap_or_default(),
            );
            html.push_str(LINK_MARK);
            html.push_str(&urls.len().to_string());
            copied = link.source.end();
            urls.push(url.of(&self.html, &self.arena).to_owned());
        }
        html.push_str(self.html.get(copied..).unwrap_or_default());
        Preview { html, urls }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Rules, TrackingBase};
    use super::*;

    #[test]
    fn tracked_links_are_marked_by_their_index_and_every_other_byte_stays() {
        let html = "<body class=x><a href='https://a.example/?a=1&amp;b=2'>a</a>\
                    <a href=mailto:b@b.example>b</a><a href=https://c.example/>c</a>\
                    <a href=\"kraiter:unsubscribe\">d</a><a href=\"https://a.example/\">ä</a></body>";
        let base = TrackingBase::new(&"https://t.example".parse().unwrap(), &"".parse().unwrap());
        let rules = Rules {
            options: &Options::default(),
            base: &base,
            list_unsubscribe: None,
        };
        let plan = Plan::parse(html, None::<String>, &rules).unwrap();
        let preview = plan.preview();
        assert_eq!(
            preview.html,
            "<body class=x><a href='#kraiter-link-0'>a</a>\
             <a href=mailto:b@b.example>b</a><a href=#kraiter-link-1>c</a>\
             <a href=\"kraiter:unsubscribe\">d</a><a href=\"#kraiter-link-2\">ä</a></body>"
        );
        let urls = [
            "https://a.example/?a=1&b=2",
            "https://c.example/",
            "https://a.example/",
        ];
        assert_eq!(preview.urls, urls);
    }
}
