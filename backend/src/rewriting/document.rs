//! Where the links, the body and the end of a mail's HTML are.
//!
//! Most of a mail is only scanned for tag names. The exact (slower) lexer reads link tags, and
//! the stretches that hold a conditional comment with a link. What such a comment shows, and what
//! stands in `<noscript>`, is read as a fragment of its own.

use std::ops::Range;

use super::RewriteError;
use super::conditional_comment::{self, has_href};
use super::markers;
use super::span::Span;
use super::tokenizer::Tokenizer;
use super::walk::{Depth, Progress, Stage, Walk};

/// Fragments in fragments; real mail has one level, and each level reads its bytes again.
const MAX_DEPTH: u8 = 3;

/// The `href` of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundLink {
    /// The value without its quotes.
    pub(super) value: Span,
    /// The link or something around it carries a no-track marker.
    pub(super) no_track: bool,
    /// The author says that it ends the subscription.
    pub(super) unsubscribe: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// In document order.
    pub(super) links: Vec<FoundLink>,
    /// After the first `<body …>`.
    pub(super) body_start: Option<usize>,
    /// After the first `</head>`.
    pub(super) head_end: Option<usize>,
    /// Before the last `</body>`.
    pub(super) body_end: Option<usize>,
    pub(super) body_ends: usize,
    /// A pixel of ours is in the mail already.
    pub(super) has_own_pixel: bool,
    /// There is SVG or MathML in the mail.
    pub(super) has_foreign: bool,
    /// What follows the last byte would be markup, not part of an unclosed comment or tag.
    pub(super) ends_in_markup: bool,
}

/// A stretch that is read as a fragment of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: Range<usize>,
    /// It stands inside an element with a no-track marker.
    pub(super) no_track: bool,
    pub(super) depth: u8,
}

/// Everything one or more walks have seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) document: Document,
    pub(super) regions: Vec<Region>,
    /// Comments that were lexed, whole.
    pub(super) comments: Vec<Range<usize>>,
    /// How many no-track markers there may be in tags of links.
    pub(super) markers_on_links: usize,
}

/// Reads `html` once. `pixel_source` is what the `src` of a pixel of ours starts with.
pub(super) fn read(html: &str, pixel_source: &str) -> Result<Document, RewriteError> {
    let html = html.as_bytes();
    let comments = conditional_comment::candidates(html);
    let markers = markers::occurrences(html);
    let mut walk = walk_over(html, &markers, pixel_source);
    let mut found = read_all(&walk, &comments)?;
    if found.markers_on_links < markers.len() {
        // A marker on something else, or what looks like one.
        walk.minds_ancestors = true;
        found = read_all(&walk, &comments)?;
    }
    Ok(found.document)
}

fn walk_over<'h>(html: &'h [u8], markers: &'h [usize], pixel_source: &'h str) -> Walk<'h> {
    let may_have_pixel = memchr::memmem::find(html, pixel_source.as_bytes()).is_some();
    Walk {
        html,
        offset: 0,
        depth: Depth::Mail,
        markers,
        minds_ancestors: false,
        inherited_no_track: false,
        pixel_source: may_have_pixel.then_some(pixel_source),
    }
}

fn read_all(walk: &Walk<'_>, comments: &[Range<usize>]) -> Result<Findings, RewriteError> {
    let mut found = Findings::default();
    read_windows(walk, comments, &mut found)?;
    if !saw_all(comments, &found.comments) {
        // What looked like a conditional comment is none, or what looked like the tag before it
        // is none. Only lexing all of it tells which.
        found = Findings::default();
        read_whole(walk, &mut found)?;
    }
    read_regions(walk, &mut found)?;
    Ok(found)
}

/// Scans for tags, and lexes from the tag before each comment to the end of that comment.
fn read_windows(
    walk: &Walk<'_>,
    comments: &[Range<usize>],
    found: &mut Findings,
) -> Result<(), RewriteError> {
    let progress = Progress::new(match comments.is_empty() {
        true => Stage::Scanning,
        // The first comment may stand before any tag.
        false => Stage::Lexing,
    });
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, found), walk.html.len());
    let mut written = 0;
    for comment in comments {
        if comment.end <= written {
            continue;
        }
        let unread = written..comment.start.max(written);
        let scanned = walk.html.get(unread).unwrap_or_default();
        if let Some(tag) = last_tag(scanned) {
            progress.enter(Stage::Scanning);
            tokenizer.write(scanned.get(..tag).unwrap_or_default())?;
            written += tag;
        }
        progress.enter(Stage::Lexing);
        let lexed = walk.html.get(written..comment.end).unwrap_or_default();
        tokenizer.write(lexed)?;
        written = comment.end;
    }
    progress.enter(Stage::Scanning);
    tokenizer.write(walk.html.get(written..).unwrap_or_default())?;
    probe_end(tokenizer, &progress)
}

/// Lexes everything.
fn read_whole(walk: &Walk<'_>, found: &mut Findings) -> Result<(), RewriteError> {
    let progress = Progress::new(Stage::Lexing);
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, found), walk.html.len());
    tokenizer.write(walk.html)?;
    probe_end(tokenizer, &progress)
}

/// Whether a tag written after the last byte would be one: asks the tokenizer by writing one.
fn probe_end(
    mut tokenizer: Tokenizer<impl lol_html::TransformController>,
    progress: &Progress,
) -> Result<(), RewriteError> {
    progress.enter(Stage::Probing);
    tokenizer.write(b"<wbr>")?;
    tokenizer.end()
}

fn read_regions(walk: &Walk<'_>, found: &mut Findings) -> Result<(), RewriteError> {
    let in_order = found.document.links.len();
    while let Some(region) = found.regions.pop() {
        read_region(walk, &region, found)?;
    }
    if found.document.links.len() > in_order {
        found.document.links.sort_by_key(|link| link.value.start());
    }
    Ok(())
}

fn read_region(walk: &Walk<'_>, region: &Region, found: &mut Findings) -> Result<(), RewriteError> {
    let html = walk.html.get(region.range.clone()).unwrap_or_default();
    if region.depth > MAX_DEPTH || !has_href(html) {
        return Ok(());
    }
    let fragment = Walk {
        html,
        offset: region.range.start,
        depth: Depth::Fragment(region.depth),
        inherited_no_track: region.no_track,
        ..*walk
    };
    let progress = Progress::new(Stage::Lexing);
    let mut tokenizer = Tokenizer::new(fragment.controller(&progress, found), html.len());
    tokenizer.write(html)?;
    tokenizer.end()
}

/// Start of the last thing in `html` that looks like a tag.
fn last_tag(html: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'<', html).find(|&at| match html.get(at + 1) {
        Some(b'/') => html.get(at + 2).is_some_and(u8::is_ascii_alphabetic),
        Some(next) => next.is_ascii_alphabetic(),
        None => false,
    })
}

/// Whether every candidate was lexed as a comment, or lies within one. Both are ascending.
fn saw_all(candidates: &[Range<usize>], seen: &[Range<usize>]) -> bool {
    let mut seen = seen.iter().peekable();
    candidates.iter().all(|candidate| {
        while seen
            .next_if(|comment| comment.end <= candidate.start)
            .is_some()
        {}
        seen.peek()
            .is_some_and(|comment| comment.contains(&candidate.start))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::properties::mail;
    use super::*;

    const PIXEL_SOURCE: &str = "https://t.example/o/";

    /// Lexes all of `html`, handed over in pieces. Characters stay whole: the tokenizer does not
    /// say where text is that starts with a part of one.
    fn in_pieces(html: &str, cuts: &[usize]) -> Findings {
        let mut cuts: Vec<_> = cuts
            .iter()
            .map(|cut| html.floor_char_boundary(*cut))
            .collect();
        let html = html.as_bytes();
        let markers = markers::occurrences(html);
        let mut walk = walk_over(html, &markers, PIXEL_SOURCE);
        walk.minds_ancestors = true;
        let mut found = Findings::default();
        let progress = Progress::new(Stage::Lexing);
        let mut tokenizer = Tokenizer::new(walk.controller(&progress, &mut found), html.len());
        cuts.push(html.len());
        cuts.sort_unstable();
        let mut start = 0;
        for cut in cuts {
            tokenizer.write(&html[start..cut]).unwrap();
            start = cut;
        }
        probe_end(tokenizer, &progress).unwrap();
        found
    }

    fn cut_mail() -> impl Strategy<Value = (String, Vec<usize>)> {
        mail().prop_flat_map(|html| {
            let cuts = prop::collection::vec(0..=html.len(), 0..20);
            (Just(html), cuts)
        })
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_mail_is_read((html, cuts) in cut_mail()) {
            let whole = in_pieces(&html, &[]);
            prop_assert_eq!(in_pieces(&html, &cuts), whole);
        }

        #[test]
        fn scanning_finds_what_lexing_finds(html in mail()) {
            let markers = markers::occurrences(html.as_bytes());
            let mut walk = walk_over(html.as_bytes(), &markers, PIXEL_SOURCE);
            walk.minds_ancestors = true;
            let mut exact = Findings::default();
            read_whole(&walk, &mut exact).unwrap();
            read_regions(&walk, &mut exact).unwrap();
            prop_assert_eq!(read(&html, PIXEL_SOURCE).unwrap(), exact.document);
        }
    }
}
