//! Conditional comments (`<!--[if mso]> … <![endif]-->`): Outlook shows what stands in them, so
//! their links are links, while an HTML parser sees one comment.

use std::ops::Range;

use memchr::memmem;

use super::any_case::{self, Word};

const HREF: Word<4> = any_case::word(b"href");

const OPENING: &[u8] = b"<!--[if";

/// Where conditional comments that hold an `href` would start and end, if they are comments at
/// all: the same bytes may stand in an attribute or a style sheet, which only the tokenizer
/// knows. In ascending order of start; they may overlap.
pub(super) fn candidates(html: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let closings = Closings::new();
    // The end of the comment looked at last, and where its last `href` starts.
    let mut end = 0;
    let mut last_href = None;
    for start in memmem::find_iter(html, b"<!--[") {
        let rest = html.get(start..).unwrap_or_default();
        if !starts_with_ignoring_case(rest, OPENING) {
            continue;
        }
        if start >= end {
            end = start + closings.comment_bytes(rest);
            last_href = html.get(start..end).and_then(find_last_href);
            last_href = last_href.map(|at| start + at);
        }
        if last_href.is_some_and(|href| href > start) {
            found.push(start..end);
        }
    }
    found
}

/// The part of the comment at `comment` that Outlook would show, if it is a conditional comment
/// with a link in it. `comment` is the whole token, from `<!--` to `>`.
pub(super) fn inside(html: &[u8], comment: Range<usize>) -> Option<Range<usize>> {
    let token = html.get(comment.clone())?;
    if !starts_with_ignoring_case(token, OPENING) {
        return None;
    }
    let opened = memmem::find(token, b"]>")? + 2;
    let shown = token.get(opened..)?;
    find_last_href(shown)?;
    let closed = find_endif(shown).unwrap_or(shown.len());
    Some(comment.start + opened..comment.start + opened + closed)
}

/// The two ways in which a comment ends (HTML, section 13.2.5.51 and following).
struct Closings {
    usual: memmem::Finder<'static>,
    odd: memmem::Finder<'static>,
}

impl Closings {
    fn new() -> Self {
        Self {
            usual: memmem::Finder::new(b"-->"),
            odd: memmem::Finder::new(b"--!>"),
        }
    }

    /// Length of the comment `text` starts with, all of `text` if it is never closed.
    fn comment_bytes(&self, text: &[u8]) -> usize {
        let usual = self.usual.find(text).map_or(text.len(), |at| at + 3);
        let before = text.get(..usual).unwrap_or_default();
        self.odd.find(before).map_or(usual, |at| at + 4)
    }
}

/// Where the last `href` of `text` starts.
fn find_last_href(text: &[u8]) -> Option<usize> {
    any_case::stretches(text, HREF).next()?;
    memchr::memrchr2_iter(b'f', b'F', text)
        .filter_map(|at| at.checked_sub(3))
        .find(|&start| {
            text.get(start..)
                .is_some_and(|rest| starts_with_ignoring_case(rest, b"href"))
        })
}

pub(super) fn may_hold_href(text: &[u8]) -> bool {
    any_case::stretches(text, HREF).next().is_some()
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
            .filter_map(|range| html.get(range))
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
    fn one_inside_another_is_a_candidate_of_its_own() {
        assert_eq!(
            texts("<!--[if a]><!--[if b]>href--><!--[if c]>-->"),
            ["<!--[if a]><!--[if b]>href-->", "<!--[if b]>href-->"]
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
        assert_eq!(shown("<!--[if mso]><a href=x>-->"), Some("<a href=x>-->"));
        assert_eq!(shown("<!--[if !mso]><!-->"), None);
        assert_eq!(shown("<!-- <a href=x> -->"), None);
    }

    #[test]
    fn many_unclosed_comments_are_looked_at_once() {
        let html = "<!--[if".repeat(200_000);
        assert!(candidates(html.as_bytes()).is_empty());
    }
}
