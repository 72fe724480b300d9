//! What the tokenizer need not read: conditional comments, which are read on their own, and the
//! links. It is shown a probe in the place of each, and tells whether a tag there is one.

use std::ops::Range;

use memchr::memmem;

use super::conditional_comment::{self, Comments};
use super::link_tag::{self, LinkTag};

/// What looks like a conditional comment with a link in it, or like the tag of a link. It is one
/// if a tag in its place is one: the same bytes may stand in an attribute or a style sheet, which
/// only the tokenizer knows.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// All of it: from `<` to `>`. Of a link with nothing but words in it, to its end tag's.
    pub(super) range: Range<usize>,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// With what Outlook would show of it.
    Comment {
        inside: Range<usize>,
    },
    Link(LinkTag),
}

/// In ascending order, none within another.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    pub(super) all: Vec<Cut>,
    /// What looks like a conditional comment is open to the end of the mail.
    pub(super) has_unclosed_comment: bool,
}

/// Finds all of them, links in the usual spelling: others are left to the tokenizer.
pub(super) fn find(html: &[u8]) -> Cuts {
    let mut links = memmem::find_iter(html, b"<a").peekable();
    let mut comments = memmem::find_iter(html, b"<!--").peekable();
    let in_order = std::iter::from_fn(move || {
        let comment = comments.peek().copied().unwrap_or(usize::MAX);
        let link = links.next_if(|link| *link < comment);
        link.map(Start::Link)
            .or_else(|| comments.next().map(Start::Comment))
    });
    among(html, in_order)
}

/// The conditional comments alone, also those in what looks like the tag of a link.
pub(super) fn comments(html: &[u8]) -> Cuts {
    among(html, memmem::find_iter(html, b"<!--").map(Start::Comment))
}

/// Where a cut may start.
enum Start {
    Link(usize),
    Comment(usize),
}

/// Looking for these one by one is faster than looking at all that starts with `<`, of which there
/// is a lot: what comes next is hard to predict.
fn among(html: &[u8], starts: impl Iterator<Item = Start>) -> Cuts {
    let mut cuts = Cuts::default();
    let mut comments = Comments::new(html);
    // Tags in comments are none; one that is not closed leaves no other.
    let mut no_links_before = 0;
    let mut from = 0;
    for start in starts {
        match start {
            Start::Link(start) if start >= from.max(no_links_before) => {
                let Some(name_end) = link_tag::name_end(html, start) else {
                    continue;
                };
                let Some(tag) = LinkTag::read(html, name_end) else {
                    no_links_before = html.len();
                    continue;
                };
                from = link_tag::behind_words(html, tag.end);
                cuts.all.push(Cut {
                    range: start..from,
                    what: What::Link(tag),
                });
            }
            Start::Comment(start) if start >= from => {
                let end = comments.end_of(start);
                let range = start..end.unwrap_or(html.len());
                no_links_before = no_links_before.max(range.end);
                if !conditional_comment::is_conditional(html, start) {
                    continue;
                }
                from = range.end;
                if let Some(inside) = conditional_comment::inside(html, range.clone()) {
                    cuts.has_unclosed_comment |= end.is_none();
                    cuts.all.push(Cut {
                        range,
                        what: What::Comment { inside },
                    });
                }
            }
            Start::Link(_) | Start::Comment(_) => {}
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(html: &str) -> Vec<&str> {
        let cuts = find(html.as_bytes()).all;
        cuts.into_iter()
            .filter_map(|cut| html.get(cut.range))
            .collect()
    }

    #[test]
    fn only_conditional_comments_with_a_link_are_cut_out() {
        assert_eq!(
            texts(
                "<!--[if mso]><a href=x><![endif]--><!--[if IE]><table><![endif]-->\
                 <!-- href --><!--[IF gte mso 9]><v:rect HREF=y><![endif]-->"
            ),
            [
                "<!--[if mso]><a href=x><![endif]-->",
                "<!--[IF gte mso 9]><v:rect HREF=y><![endif]-->"
            ]
        );
    }

    #[test]
    fn one_inside_another_is_part_of_it() {
        assert_eq!(
            texts("<!--[if a]><!--[if b]>href--><!--[if c]>-->"),
            ["<!--[if a]><!--[if b]>href-->"]
        );
        assert_eq!(texts("<!--[if a]> href <!--[if b]>").len(), 1);
    }

    #[test]
    fn tags_of_links_are_cut_out_unless_they_are_in_a_comment() {
        assert_eq!(
            texts("<p><a href='>'>x<i></a><area\nalt><abbr><!-- <a> --><a/><a x='>"),
            ["<a href='>'>", "<area\nalt>", "<a/>"]
        );
    }

    #[test]
    fn a_link_with_words_is_cut_out_to_its_end() {
        assert_eq!(
            texts("<a href=x>some words</a> <a href=y><b>more</b></a><a></a ><a>no end"),
            ["<a href=x>some words</a>", "<a href=y>", "<a>", "<a>"]
        );
    }

    #[test]
    fn what_is_never_closed_is_looked_at_once() {
        assert!(texts(&"<!--[if".repeat(200_000)).is_empty());
        assert!(texts(&"<!-- ".repeat(200_000)).is_empty());
        assert!(texts(&"<a x=".repeat(200_000)).is_empty());
    }
}
