//! What is being read and how far the reading is: shared by the reader, which moves it on between
//! writes, and the walk, which is called back by the tokenizer and looks at it.

use std::cell::Cell;
use std::ops::Range;

use lol_html::html_content::SourceLocation;

use super::regions::Region;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Tag names only, and what they ask for.
    Scanning,
    /// Comments as well.
    Lexing,
    /// The next tag is the probe for what this place is like.
    Probing,
    /// Scanning, and behind each region is a probe.
    Joined,
}

pub(super) struct Progress<'r> {
    stage: Cell<Stage>,
    piece: Cell<Piece>,
    /// The probe was read as a tag; inside an element with a no-track marker or not.
    probed: Cell<Option<bool>>,
    /// Read in one go, a probe behind each.
    regions: &'r [Region],
    regions_read: Cell<usize>,
}

/// A stretch of the mail that is handed to a tokenizer.
#[derive(Clone, Copy)]
struct Piece {
    /// Added, wrapping, to where the tokenizer says that something is: the place in the mail.
    shift: usize,
    /// Where the stretch ends in the mail.
    end: usize,
    no_track: bool,
}

impl<'r> Progress<'r> {
    /// Ready to read `range` of the mail with a fresh tokenizer.
    pub(super) fn new(range: &Range<usize>, no_track: bool) -> Self {
        Self {
            stage: Cell::new(Stage::Scanning),
            piece: Cell::new(Piece {
                shift: range.start,
                end: range.end,
                no_track,
            }),
            probed: Cell::new(None),
            regions: &[],
            regions_read: Cell::new(0),
        }
    }

    /// Ready to read regions that are joined by probes.
    pub(super) fn joined(regions: &'r [Region]) -> Self {
        let nothing = Region {
            range: 0..0,
            no_track: false,
            has_href: false,
        };
        let first = regions.first().unwrap_or(&nothing);
        Self {
            stage: Cell::new(Stage::Joined),
            regions,
            ..Self::new(&first.range, first.no_track)
        }
    }

    /// At the probe behind a region: what follows is the next one. `probe_bytes` are in between.
    pub(super) fn turn_to_next_region(&self, probe_bytes: usize) {
        let read = self.regions_read.get();
        self.regions_read.set(read + 1);
        if let Some([last, next]) = self.regions.get(read..read + 2) {
            let written = last.range.end.wrapping_sub(self.piece.get().shift) + probe_bytes;
            self.turn_to(&next.range, next.no_track, written);
        }
    }

    pub(super) fn regions_read(&self) -> usize {
        self.regions_read.get()
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.set(stage);
    }

    /// Turns to another stretch of the mail, `written` bytes into the tokenizer's input.
    pub(super) fn turn_to(&self, range: &Range<usize>, no_track: bool, written: usize) {
        self.piece.set(Piece {
            shift: range.start.wrapping_sub(written),
            end: range.end,
            no_track,
        });
    }

    pub(super) fn place(&self, location: SourceLocation) -> Range<usize> {
        let range = location.bytes();
        let shift = self.piece.get().shift;
        range.start.wrapping_add(shift)..range.end.wrapping_add(shift)
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Where the stretch that is being read ends in the mail.
    pub(super) fn end(&self) -> usize {
        self.piece.get().end
    }

    /// The stretch stands inside an element with a no-track marker.
    pub(super) fn no_track(&self) -> bool {
        self.piece.get().no_track
    }

    pub(super) fn probed(&self, no_track: bool) {
        self.probed.set(Some(no_track));
    }

    /// What became of the last probe.
    pub(super) fn take_probed(&self) -> Option<bool> {
        self.probed.take()
    }
}
