//! A stretch of a mail part in half the memory of a `Range<usize>`: large mails have a hundred
//! thousand links.

use std::ops::Range;

/// Byte offsets into a text of at most [`MAX_MAIL_BYTES`](super::MAX_MAIL_BYTES), or what was
/// made of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(range: Range<usize>) -> Self {
        // Mails are refused long before offsets leave 32 bits.
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: offset(range.start),
            end: offset(range.end),
        }
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start()..self.end()).unwrap_or_default()
    }
}
