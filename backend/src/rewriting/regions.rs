//! What is read as a fragment of its own: what conditional comments show, and what stands in
//! `<noscript>`.

use std::ops::Range;

use memchr::memmem;

use super::RewriteError;
use super::conditional_comment::may_hold_href;
use super::document::{Findings, FoundLink};
use super::link_tag::{self, LinkTag};
use super::probe::{PROBE, probe};
use super::progress::{Progress, Stage};
use super::tokenizer::Tokenizer;
use super::walk::{Depth, Walk};

/// Fragments in fragments; real mail has one level, and each level reads its bytes again.
const MAX_DEPTH: u8 = 3;

/// A stretch that is read as a fragment of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: Range<usize>,
    /// It stands inside an element with a no-track marker.
    pub(super) no_track: bool,
    /// The word is known to be in it.
    pub(super) has_href: bool,
}

impl Region {
    pub(super) fn plain(range: Range<usize>) -> Self {
        Self {
            range,
            no_track: false,
            has_href: false,
        }
    }

    fn part(&self, range: Range<usize>) -> Self {
        Self { range, ..*self }
    }

    pub(super) fn of<'h>(&self, html: &'h [u8]) -> &'h [u8] {
        html.get(self.range.clone()).unwrap_or_default()
    }
}

/// Reads what was found to be read on its own, and what is found in there.
pub(super) fn read_regions(walk: &Walk<'_>, found: &mut Findings) -> Result<(), RewriteError> {
    let in_order = found.document.links.len();
    // A region may hold others.
    for _ in 0..MAX_DEPTH {
        let mut regions = std::mem::take(&mut found.regions);
        regions.retain(|region| region.has_href || may_hold_href(region.of(walk.html)));
        if regions.is_empty() {
            break;
        }
        let fragments = Walk {
            depth: Depth::Fragment,
            ..*walk
        };
        if read_joined(&fragments, &regions, found)? {
            continue;
        }
        let mut unread = regions.as_slice();
        while !unread.is_empty() {
            unread = read_fragments(&fragments, unread, found)?;
        }
    }
    found.regions.clear();
    if found.document.links.len() > in_order {
        found.document.links.sort_by_key(|link| link.value.start());
    }
    Ok(())
}

/// Reads all regions in one go, with a probe behind each and in the place of each link. `false`, and
/// nothing found, if one of them leaves something open or has what cannot be read like this.
fn read_joined(
    walk: &Walk<'_>,
    regions: &[Region],
    found: &mut Findings,
) -> Result<bool, RewriteError> {
    if walk.minds_ancestors {
        return Ok(false);
    }
    let mut pieces = Vec::with_capacity(2 * regions.len());
    let mut cut_out = Vec::new();
    for region in regions {
        // Markers are counted where the tags they stand in are lexed.
        match walk.markers.is_empty() {
            true => cut_links_out(walk.html, region, &mut pieces, &mut cut_out),
            false => pieces.push(region.part(region.range.clone())),
        }
    }
    let bytes = pieces.iter().map(|piece| piece.range.len() + PROBE.len());
    let mut joined = Vec::with_capacity(bytes.sum());
    for piece in &pieces {
        joined.extend_from_slice(piece.of(walk.html));
        joined.extend_from_slice(PROBE);
    }
    // A comment has to be lexed.
    if memmem::find(&joined, b"<!--").is_some() {
        return Ok(false);
    }
    let (links, markers) = (found.document.links.len(), found.markers_on_links);
    let progress = Progress::joined(&pieces);
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, found), joined.len());
    tokenizer.write(&joined)?;
    tokenizer.end()?;
    let all_read = progress.regions_read() == pieces.len();
    if all_read {
        found.document.links.append(&mut cut_out);
    } else {
        found.document.links.truncate(links);
        found.markers_on_links = markers;
        found.regions.clear();
    }
    Ok(all_read)
}

/// Parts a region where links in it are, and reads those.
fn cut_links_out(
    html: &[u8],
    region: &Region,
    pieces: &mut Vec<Region>,
    links: &mut Vec<FoundLink>,
) {
    let Range { mut start, end } = region.range;
    let html = html.get(..end).unwrap_or_default();
    for at in memchr::memchr_iter(b'<', region.of(html)) {
        let at = region.range.start + at;
        if at < start {
            continue;
        }
        let Some(name_end) = link_tag::name_end(html, at) else {
            continue;
        };
        let Some(tag) = LinkTag::read(html, name_end) else {
            // What starts later stands in it, or the tokenizer will see it.
            break;
        };
        pieces.push(region.part(start..at));
        start = link_tag::behind_words(html, tag.end);
        links.extend(tag.found(region.no_track));
    }
    pieces.push(region.part(start..end));
}

/// Reads regions with one tokenizer, a new one being costly, for as long as they leave nothing
/// open; returns those that are left.
fn read_fragments<'r>(
    walk: &Walk<'_>,
    regions: &'r [Region],
    found: &mut Findings,
) -> Result<&'r [Region], RewriteError> {
    let Some((first, _)) = regions.split_first() else {
        return Ok(regions);
    };
    let bytes = regions
        .iter()
        .map(|region| region.range.len() + PROBE.len());
    let progress = Progress::new(&first.range, first.no_track);
    progress.enter(Stage::Lexing);
    let mut tokenizer = Tokenizer::new(walk.controller(&progress, found), bytes.sum());
    let (mut unread, mut written) = (regions, 0);
    while let Some((region, rest)) = unread.split_first() {
        let html = region.of(walk.html);
        // Only a comment has to be lexed, from before it starts.
        let stage = match memmem::find(html, b"<!--") {
            Some(_) => Stage::Lexing,
            None => Stage::Scanning,
        };
        if stage == Stage::Lexing && written > 0 {
            break;
        }
        progress.turn_to(&region.range, region.no_track, written);
        progress.enter(stage);
        tokenizer.write(html)?;
        let left_none_open = probe(&mut tokenizer, &progress)?.is_some();
        unread = rest;
        written += html.len() + PROBE.len();
        if walk.minds_ancestors || !left_none_open {
            break;
        }
    }
    tokenizer.end()?;
    Ok(unread)
}
