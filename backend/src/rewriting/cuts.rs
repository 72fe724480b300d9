//! What the tokenizer need not read: conditional comments, which are read on their own, and the
//! tags of links. It is shown a probe in the place of each, and tells whether a tag there is one.

use std::ops::Range;

use super::conditional_comment::{self, Comments};
use super::document::PROBE;
use super::link_tag::{self, LinkTag};

/// What looks like a conditional comment with a link in it, or like the tag of a link. It is one
/// if a tag in its place is one: the same bytes may stand in an attribute or a style sheet, which
/// only the tokenizer knows.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// All of it: from `<` to `>`.
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
    /// No tag of the mail is named like the probe.
    pub(super) probes_are_ours: bool,
}

pub(super) fn find(html: &[u8], may_be_markers: bool) -> Cuts {
    find_from(html, 0, may_be_markers)
}

/// The conditional comments alone, also those in what looks like the tag of a link.
pub(super) fn comments(html: &[u8]) -> Cuts {
    find_from(html, html.len(), false)
}

fn find_from(html: &[u8], first_link: usize, may_be_markers: bool) -> Cuts {
    let mut cuts = Cuts {
        probes_are_ours: true,
        ..Cuts::default()
    };
    let mut comments = Comments::new(html);
    // Tags in comments are none; one that is not closed leaves no other.
    let mut no_links_before = first_link;
    let mut from = 0;
    for start in memchr::memchr_iter(b'<', html) {
        if start < from {
            continue;
        }
        from = start + 1;
        match html.get(from) {
            Some(b'a' | b'A' | b'v' | b'V') if start >= no_links_before => {
                let name = link_tag::name(html, from);
                if !link_tag::is_link(name) {
                    continue;
                }
                let Some(tag) = LinkTag::read(html, from + name.len(), may_be_markers) else {
                    no_links_before = html.len();
                    continue;
                };
                from = tag.end;
                cuts.all.push(Cut {
                    range: start..tag.end,
                    what: What::Link(tag),
                });
            }
            Some(b'!') => {
                let Some(end) = comments.end_of(start) else {
                    continue;
                };
                no_links_before = no_links_before.max(end.unwrap_or(html.len()));
                if !comments.is_conditional(start) {
                    continue;
                }
                let range = start..end.unwrap_or(html.len());
                from = range.end;
                if let Some(inside) = conditional_comment::inside(html, range.clone()) {
                    cuts.has_unclosed_comment |= end.is_none();
                    cuts.all.push(Cut {
                        range,
                        what: What::Comment { inside },
                    });
                }
            }
            Some(b'k') => {
                let rest = html.get(start..).unwrap_or_default();
                cuts.probes_are_ours &=
                    !rest.starts_with(PROBE.get(..PROBE.len() - 1).unwrap_or_default());
            }
            _ => {}
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(html: &str) -> Vec<&str> {
        let cuts = find(html.as_bytes(), true).all;
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
            texts("<p><a href='>'>x</a><AREA\nalt><abbr><v:rect/><!-- <a> --><a/><v:fill><a x='>"),
            ["<a href='>'>", "<AREA\nalt>", "<v:rect/>", "<a/>"]
        );
    }

    #[test]
    fn what_is_never_closed_is_looked_at_once() {
        assert!(texts(&"<!--[if".repeat(200_000)).is_empty());
        assert!(texts(&"<!-- ".repeat(200_000)).is_empty());
        assert!(texts(&"<a x=".repeat(200_000)).is_empty());
    }
}
