//! What is being read and how far the reading is: shared by the reader, which moves it on between
//! writes, and the walk, which is called back by the tokenizer and looks at it.

use std::cell::Cell;
use std::ops::Range;

use lol_html::html_content::SourceLocation;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Tag names only, and what they ask for.
    Scanning,
    /// Comments as well.
    Lexing,
    /// The next tag is the probe for what this place is like.
    Probing,
}

pub(super) struct Progress {
    stage: Cell<Stage>,
    piece: Cell<Piece>,
    /// The probe was read as a tag; inside an element with a no-track marker or not.
    probed: Cell<Option<bool>>,
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

impl Progress {
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
        }
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
