//! Where the links, the body and the end of a mail's HTML are.
//!
//! Most of a mail is only scanned for tag names. Tags of links, and conditional comments that hold
//! links, are left out of that reading, with a probe in their place: where that is read as a tag,
//! they would have been as well. What such a comment shows, and what stands in `<noscript>`, is
//! read as a fragment of its own.

use memchr::memmem;

use super::RewriteError;
use super::cuts::{self, Cut, What};
use super::markers;
use super::probe::{PROBE, probe};
use super::progress::{Progress, Stage};
use super::regions::{Region, read_regions};
use super::span::Span;
use super::tokenizer::Tokenizer;
use super::walk::{Depth, Walk};

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

/// Everything one or more walks have seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) document: Document,
    pub(super) regions: Vec<Region>,
    /// How many no-track markers there may be in tags of links.
    pub(super) markers_on_links: usize,
}

/// Reads `html`. `pixel_source` is what the `src` of a pixel of ours starts with.
pub(super) fn read(html: &str, pixel_source: &str) -> Result<Document, RewriteError> {
    let html = html.as_bytes();
    if let Some(found) = read_between(html, pixel_source)? {
        return Ok(found.document);
    }
    let markers: Vec<_> = markers::occurrences(html).collect();
    let mut walk = walk_over(html, &markers, pixel_source);
    let mut found = read_all(&walk)?;
    if found.markers_on_links < markers.len() {
        // A marker on something else, or what looks like one.
        walk.minds_ancestors = true;
        found = read_all(&walk)?;
    }
    Ok(found.document)
}

fn walk_over<'h>(html: &'h [u8], markers: &'h [usize], pixel_source: &'h str) -> Walk<'h> {
    let may_have_pixel = memmem::find(html, pixel_source.as_bytes()).is_some();
    Walk {
        html,
        depth: Depth::Mail,
        markers,
        minds_ancestors: false,
        pixel_source: may_have_pixel.then_some(pixel_source),
    }
}

/// Text that is copied together before the tokenizer is called: it stays in the nearest cache.
const JOINED_BYTES: usize = 16 * 1024;

/// Scans for tags with a probe in the place of each cut, all in one go. `None` if one of them was
/// not read as a tag, or if the mail has anything that is to be looked at more closely.
fn read_between(html: &[u8], pixel_source: &str) -> Result<Option<Findings>, RewriteError> {
    let cuts = cuts::find(html);
    if cuts.has_unclosed_comment {
        return Ok(None);
    }
    let starts = std::iter::once(0).chain(cuts.all.iter().map(|cut| cut.range.end));
    let ends = cuts.all.iter().map(|cut| cut.range.start);
    let pieces = starts.zip(ends.chain([html.len()]));
    let pieces: Vec<_> = pieces
        .map(|(start, end)| Region::plain(start..end))
        .collect();
    let mut found = Findings::default();
    let walk = Walk {
        html,
        depth: Depth::Mail,
        markers: &[],
        minds_ancestors: false,
        pixel_source: None,
    };
    let progress = Progress::joined(&pieces);
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, &mut found), html.len());
    let has_pixel = memmem::Finder::new(pixel_source.as_bytes());
    let is_plain = |text: &[u8]| has_pixel.find(text).is_none() && !markers::may_be_in(text);
    let mut write = |text: &[u8]| match is_plain(text) {
        true => tokenizer.write(text).map(|()| true),
        false => Ok(false),
    };
    let mut joined = Vec::with_capacity(html.len().min(JOINED_BYTES));
    for (nth, piece) in pieces.iter().enumerate() {
        if nth > 0 {
            joined.extend_from_slice(PROBE);
        }
        let piece = piece.of(html);
        if joined.len() + piece.len() <= JOINED_BYTES {
            joined.extend_from_slice(piece);
            continue;
        }
        if !write(&joined)? || (piece.len() > JOINED_BYTES && !write(piece)?) {
            return Ok(None);
        }
        joined.clear();
        if piece.len() <= JOINED_BYTES {
            joined.extend_from_slice(piece);
        }
    }
    if !write(&joined)? {
        return Ok(None);
    }
    let all_read = progress.regions_read() == cuts.all.len();
    let ends_in_markup = probe(&mut tokenizer, &progress)?.is_some();
    tokenizer.end()?;
    if !all_read {
        return Ok(None);
    }
    found.document.ends_in_markup = ends_in_markup;
    take_up(cuts.all, &mut found);
    let may_be_marked = |region: &Region| markers::may_be_in(region.of(html));
    if found.regions.iter().any(may_be_marked) {
        return Ok(None);
    }
    read_regions(&walk, &mut found)?;
    Ok(Some(found))
}

/// Takes up what stands in cuts that were found to be what they look like.
fn take_up(cuts: Vec<Cut>, found: &mut Findings) {
    let links = &mut found.document.links;
    let were_lexed = !links.is_empty();
    for cut in cuts {
        match cut.what {
            What::Comment { inside } => found.regions.push(Region {
                has_href: true,
                ..Region::plain(inside)
            }),
            What::Link(tag) => links.extend(tag.found(false)),
        }
    }
    if were_lexed {
        links.sort_by_key(|link| link.value.start());
    }
}

fn read_all(walk: &Walk<'_>) -> Result<Findings, RewriteError> {
    let mut found = Findings::default();
    let comments = cuts::comments(walk.html);
    if comments.has_unclosed_comment || !read_around(walk, &comments.all, &mut found)? {
        // What looked like a conditional comment is none. Only lexing all of it tells which.
        found = Findings::default();
        read_whole(walk, &mut found)?;
    }
    read_regions(walk, &mut found)?;
    Ok(found)
}

/// Scans for tags, with a probe in the place of each comment: where that is read as a tag, the
/// comment would have been read as one. `false` if one was not.
fn read_around(
    walk: &Walk<'_>,
    comments: &[Cut],
    found: &mut Findings,
) -> Result<bool, RewriteError> {
    let html = walk.html;
    let progress = Progress::new(&(0..html.len()), false);
    let mut shown = Vec::with_capacity(comments.len());
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, found), html.len());
    let (mut read, mut written) = (0, 0);
    for comment in comments {
        let What::Comment { inside } = &comment.what else {
            continue;
        };
        let before = html.get(read..comment.range.start).unwrap_or_default();
        tokenizer.write(before)?;
        let Some(no_track) = probe(&mut tokenizer, &progress)? else {
            return Ok(false);
        };
        let range = inside.clone();
        shown.push(Region {
            range,
            no_track,
            has_href: true,
        });
        written += before.len() + PROBE.len();
        read = comment.range.end;
        progress.turn_to(&(read..html.len()), false, written);
        progress.enter(Stage::Scanning);
    }
    tokenizer.write(html.get(read..).unwrap_or_default())?;
    let ends_in_markup = probe(&mut tokenizer, &progress)?.is_some();
    tokenizer.end()?;
    found.document.ends_in_markup = ends_in_markup;
    found.regions.extend(shown);
    Ok(true)
}

/// Lexes everything.
fn read_whole(walk: &Walk<'_>, found: &mut Findings) -> Result<(), RewriteError> {
    let progress = Progress::new(&(0..walk.html.len()), false);
    progress.enter(Stage::Lexing);
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, found), walk.html.len());
    tokenizer.write(walk.html)?;
    let ends_in_markup = probe(&mut tokenizer, &progress)?.is_some();
    tokenizer.end()?;
    found.document.ends_in_markup = ends_in_markup;
    Ok(())
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
        let markers: Vec<_> = markers::occurrences(html).collect();
        let mut walk = walk_over(html, &markers, PIXEL_SOURCE);
        walk.minds_ancestors = true;
        let mut found = Findings::default();
        let progress = Progress::new(&(0..html.len()), false);
        progress.enter(Stage::Lexing);
        let mut tokenizer = Tokenizer::new(walk.controller(&progress, &mut found), html.len());
        cuts.push(html.len());
        cuts.sort_unstable();
        let mut start = 0;
        for cut in cuts {
            tokenizer.write(&html[start..cut]).unwrap();
            start = cut;
        }
        let ends_in_markup = probe(&mut tokenizer, &progress).unwrap().is_some();
        tokenizer.end().unwrap();
        found.document.ends_in_markup = ends_in_markup;
        found
    }

    fn cut_mail() -> impl Strategy<Value = (String, Vec<usize>)> {
        mail().prop_flat_map(|html| {
            let cuts = prop::collection::vec(0..=html.len(), 0..20);
            (Just(html), cuts)
        })
    }

    #[test]
    fn a_conditional_comment_in_what_looks_like_a_link_is_found() {
        let html = "</<a href='<p><!--[if mso]><a\nHREF = 'https://l.example/'><![endif]-->";
        let found = read(html, PIXEL_SOURCE).unwrap();
        assert_eq!(found.links.len(), 1);
    }

    #[test]
    fn a_conditional_comment_in_a_style_of_an_image_is_a_comment() {
        let html = "<svg><style><!--[if mso]><a href=\"https://l.example/\">x</a><![endif]-->";
        let lexed = in_pieces(html, &[]);
        assert_eq!(lexed.regions.len(), 1);
        let found = read(html, PIXEL_SOURCE).unwrap();
        assert_eq!(found.links.len(), 1);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_mail_is_read((html, cuts) in cut_mail()) {
            let whole = in_pieces(&html, &[]);
            prop_assert_eq!(in_pieces(&html, &cuts), whole);
        }

        #[test]
        fn scanning_finds_what_lexing_finds(html in mail()) {
            let markers: Vec<_> = markers::occurrences(html.as_bytes()).collect();
            let mut walk = walk_over(html.as_bytes(), &markers, PIXEL_SOURCE);
            walk.minds_ancestors = true;
            let mut exact = Findings::default();
            read_whole(&walk, &mut exact).unwrap();
            read_regions(&walk, &mut exact).unwrap();
            let found = read(&html, PIXEL_SOURCE).unwrap();
            if exact.document.has_foreign {
                // lol_html's lexer takes `<title c=>` in SVG for raw text, in which it sees no
                // comments; scanning sees them.
                for link in &exact.document.links {
                    prop_assert!(found.links.contains(link), "{link:?} is not in {found:?}");
                }
            } else {
                prop_assert_eq!(found, exact.document);
            }
        }
    }
}
