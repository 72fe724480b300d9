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

/// Finds where comments end. The bytes may stand where they are none.
pub(super) struct Comments<'h> {
    html: &'h [u8],
    dashes: memmem::Finder<'static>,
    /// Of the last one that was asked for.
    end: Option<usize>,
    is_open_to_the_end: bool,
}

impl<'h> Comments<'h> {
    pub(super) fn new(html: &'h [u8]) -> Self {
        Self {
            html,
            dashes: memmem::Finder::new(DASHES),
            end: None,
            is_open_to_the_end: false,
        }
    }

    /// The end of the comment that starts at `start`, if it has one. To be asked in ascending
    /// order: what starts within a comment ends with it, so no byte is looked at twice.
    pub(super) fn end_of(&mut self, start: usize) -> Option<usize> {
        let is_within = self.end.is_some_and(|end| start < end);
        if !is_within && !self.is_open_to_the_end {
            let rest = self.html.get(start..).unwrap_or_default();
            let bytes = comment_bytes(&self.dashes, rest);
            self.end = bytes.map(|bytes| start + bytes);
            self.is_open_to_the_end = bytes.is_none();
        }
        self.end
    }
}

pub(super) fn is_conditional(html: &[u8], start: usize) -> bool {
    starts_with_ignoring_case(html.get(start..).unwrap_or_default(), OPENING)
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
}
