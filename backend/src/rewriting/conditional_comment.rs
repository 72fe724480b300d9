//! Conditional comments (`<!--[if mso]> … <![endif]-->`): Outlook shows what stands in them, so
//! their links are links, while an HTML parser sees one comment.

use std::ops::Range;

use memchr::memmem;

use super::any_case::{self, differs};

#[inline]
fn differs_from_href([first, _, third, last]: [u8; any_case::LETTERS]) -> u8 {
    differs(first, b'h') | differs(third, b'e') | differs(last, b'f')
}

const OPENING: &[u8] = b"<!--[if";
const DASHES: &[u8] = b"--";

/// What looks like a conditional comment with a link in it. It is one if it is a comment at all:
/// the same bytes may stand in an attribute or a style sheet, which only the tokenizer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// From `<!--` to `>`.
    pub(super) comment: Range<usize>,
    /// What Outlook would show.
    pub(super) inside: Range<usize>,
    /// It is not open to the end of the mail.
    pub(super) closed: bool,
}

/// In ascending order, none within another.
pub(super) fn candidates(html: &[u8]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let dashes = memmem::Finder::new(DASHES);
    let mut end = 0;
    for start in memmem::find_iter(html, b"<!--[") {
        let rest = html.get(start..).unwrap_or_default();
        if start < end || !starts_with_ignoring_case(rest, OPENING) {
            continue;
        }
        let bytes = comment_bytes(&dashes, rest);
        let closed = bytes.is_some();
        end = bytes.map_or(html.len(), |bytes| start + bytes);
        let comment = start..end;
        if let Some(inside) = inside(html, comment.clone()) {
            found.push(Candidate {
                comment,
                inside,
                closed,
            });
        }
    }
    found
}

/// The part of the comment at `comment` that Outlook would show, if it is a conditional comment
/// that may hold a link. `comment` is the whole token, from `<!--` to `>`.
pub(super) fn inside(html: &[u8], comment: Range<usize>) -> Option<Range<usize>> {
    let token = html.get(comment.clone())?;
    if !starts_with_ignoring_case(token, OPENING) {
        return None;
    }
    let opened = memmem::find(token, b"]>")? + 2;
    let shown = token.get(opened..)?;
    if !may_hold_href(shown) {
        return None;
    }
    let closed = find_endif(shown).unwrap_or_else(|| without_end(shown).len());
    Some(comment.start + opened..comment.start + opened + closed)
}

/// Length of the comment `text` starts with, if it is closed. There are two ways in which a
/// comment ends (HTML, section 13.2.5.51 and following).
fn comment_bytes(dashes: &memmem::Finder<'_>, text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let at = dashes.find(rest).map(|at| from + at + DASHES.len())?;
        match text.get(at..) {
            Some([b'>', ..]) => return Some(at + 1),
            Some([b'!', b'>', ..]) => return Some(at + 2),
            // A third dash may start the pair that counts.
            _ => from = at - 1,
        }
    }
}

pub(super) fn may_hold_href(text: &[u8]) -> bool {
    any_case::may_hold(text, differs_from_href)
}

/// Without what closes the comment: a link whose last bytes these are would take them along.
fn without_end(shown: &[u8]) -> &[u8] {
    let ends: [&[u8]; 2] = [b"-->", b"--!>"];
    let cut = ends.iter().find_map(|end| shown.strip_suffix(*end));
    cut.unwrap_or(shown)
}

/// Where the last `<![endif]` of `text` starts.
fn find_endif(text: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'<', text).find(|&start| {
        text.get(start..)
            .is_some_and(|rest| starts_with_ignoring_case(rest, b"<![endif]"))
    })
}

fn starts_with_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(html: &str) -> Vec<&str> {
        candidates(html.as_bytes())
            .into_iter()
            .filter_map(|candidate| html.get(candidate.comment))
            .collect()
    }

    #[test]
    fn only_conditional_comments_with_a_link_are_candidates() {
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
    fn what_is_shown_lies_between_the_condition_and_the_endif() {
        let shown = |html: &'static str| {
            inside(html.as_bytes(), 0..html.len()).and_then(|range| html.get(range))
        };
        assert_eq!(
            shown("<!--[if mso]><a href=x><![endif]-->"),
            Some("<a href=x>")
        );
        assert_eq!(shown("<!--[if mso]><a href=x>-->"), Some("<a href=x>"));
        assert_eq!(shown("<!--[if]><a href=//-->"), Some("<a href=//"));
        assert_eq!(shown("<!--[if !mso]><!-->"), None);
        assert_eq!(shown("<!-- <a href=x> -->"), None);
    }

    #[test]
    fn many_unclosed_comments_are_looked_at_once() {
        let html = "<!--[if".repeat(200_000);
        assert!(candidates(html.as_bytes()).is_empty());
    }
}
