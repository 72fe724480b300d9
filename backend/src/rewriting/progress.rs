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
    /// All is read; the next tag is the probe for what the end is like.
    Probing,
}

pub(super) struct Progress {
    stage: Cell<Stage>,
    /// Lexing is over once a comment was read to here.
    lexing_until: Cell<usize>,
    piece: Cell<Piece>,
    probe_was_tag: Cell<bool>,
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
            lexing_until: Cell::new(usize::MAX),
            piece: Cell::new(Piece {
                shift: range.start,
                end: range.end,
                no_track,
            }),
            probe_was_tag: Cell::new(false),
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
        self.probe_was_tag.set(false);
    }

    /// Starts lexing, for a comment that ends at `end`.
    pub(super) fn lex_until(&self, end: usize) {
        self.stage.set(Stage::Lexing);
        self.lexing_until.set(end);
    }

    /// Whether a tag that was written after the end was read as one of HTML.
    pub(super) fn probe_was_tag(&self) -> bool {
        self.probe_was_tag.get()
    }

    pub(super) fn has_lexed(&self, end: usize) {
        if end >= self.lexing_until.get() {
            self.stage.set(Stage::Scanning);
        }
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

    pub(super) fn probed(&self, was_tag: bool) {
        self.probe_was_tag.set(was_tag);
    }
}
