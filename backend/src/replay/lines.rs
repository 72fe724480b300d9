//! A stream cut into lines in a fixed amount of memory, however long the stream or a line is.

use std::io::{self, Read};
use std::ops::Range;

/// Longer than any event with what logs put before it. What is longer is no event.
pub(super) const MAX_LINE_BYTES: usize = 64 << 10;

const BUFFER_BYTES: usize = 4 * MAX_LINE_BYTES;

/// Where a line starts: bytes and lines before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) byte: u64,
    pub(super) line: u64,
}

pub(super) struct Lines<R> {
    from: R,
    buffer: Box<[u8]>,
    /// What was read and not taken yet.
    filled: Range<usize>,
    /// Where the next line starts.
    next: Offset,
    /// Bytes of the line at `next` that were too many to be kept.
    passed_over: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, to be asked for with [`Lines::get`].
    Line(Range<usize>),
    /// One that had this many bytes.
    TooLong(u64),
    /// Nothing more for now; there may be the beginning of a line.
    End,
}

impl<R: Read> Lines<R> {
    /// `from` stands at `next` already.
    pub(super) fn new(from: R, next: Offset) -> Self {
        Self {
            from,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0..0,
            next,
            passed_over: 0,
        }
    }

    pub(super) fn source(&self) -> &R {
        &self.from
    }

    /// Where the line starts that comes next.
    pub(super) fn offset(&self) -> Offset {
        self.next
    }

    pub(super) fn get(&self, line: Range<usize>) -> &[u8] {
        self.buffer.get(line).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        loop {
            let unread = self.get(self.filled.clone());
            if let Some(length) = memchr::memchr(b'\n', unread) {
                let start = self.filled.start;
                let bytes = self.passed_over + length as u64;
                self.filled.start += length + 1;
                self.next.byte += bytes + 1;
                self.next.line += 1;
                self.passed_over = 0;
                return Ok(match bytes > MAX_LINE_BYTES as u64 {
                    true => Next::TooLong(bytes),
                    false => Next::Line(start..start + length),
                });
            }
            if unread.len() > MAX_LINE_BYTES || self.passed_over > 0 {
                self.passed_over += unread.len() as u64;
                self.filled = 0..0;
            }
            if self.fill()? == 0 {
                return Ok(Next::End);
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        let room = self.buffer.get_mut(self.filled.end..).unwrap_or_default();
        let read = loop {
            match self.from.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.filled.end += read;
        Ok(read)
    }

    /// At the end: the line that was begun, if it is not too long.
    pub(super) fn begun(&self) -> Option<Range<usize>> {
        let holds = self.passed_over == 0 && !self.filled.is_empty();
        holds.then(|| self.filled.clone())
    }

    /// Takes the line that was begun as a whole one.
    pub(super) fn take_begun(&mut self) {
        self.next.byte += self.passed_over + self.filled.len() as u64;
        self.next.line += 1;
        self.filled = 0..0;
        self.passed_over = 0;
    }

    /// Bytes of the line that was begun.
    pub(super) fn begun_bytes(&self) -> u64 {
        self.passed_over + self.filled.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most that many bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let some = out.len().min(self.1);
            let mut limited = self.0.get(..some).unwrap_or(self.0);
            let read = limited.read(out)?;
            self.0 = &self.0[read..];
            Ok(read)
        }
    }

    fn cut(text: &[u8], step: usize) -> (Vec<Result<Vec<u8>, u64>>, Offset, u64) {
        let mut lines = Lines::new(Slow(text, step), Offset::default());
        let mut found = Vec::new();
        loop {
            match lines.next().unwrap() {
                Next::Line(line) => found.push(Ok(lines.get(line).to_vec())),
                Next::TooLong(bytes) => found.push(Err(bytes)),
                Next::End => return (found, lines.offset(), lines.begun_bytes()),
            }
        }
    }

    #[test]
    fn lines_come_whole_however_they_arrive() {
        for step in [1, 2, 7, 1 << 20] {
            let (lines, offset, begun) = cut(b"one\n\ntwo\r\nthr", step);
            let expected: Vec<Result<Vec<u8>, u64>> = [&b"one"[..], b"", b"two\r"]
                .map(|line| Ok(line.to_vec()))
                .into();
            assert_eq!(lines, expected);
            assert_eq!((offset, begun), (Offset { byte: 10, line: 3 }, 3));
        }
    }

    #[test]
    fn a_line_without_an_end_is_passed_over_and_the_next_is_found() {
        for long in [MAX_LINE_BYTES + 1, BUFFER_BYTES, 3 * BUFFER_BYTES + 5] {
            let mut text = vec![b'x'; long];
            text.extend_from_slice(b"\nnext\n");
            let (lines, offset, _) = cut(&text, 100_000);
            assert_eq!(lines, [Err(long as u64), Ok(b"next".to_vec())]);
            assert_eq!(offset.byte, text.len() as u64);
            let (lines, offset, begun) = cut(&text[..long], 100_000);
            assert_eq!((lines.len(), offset.byte, begun), (0, 0, long as u64));
        }
        let longest = [vec![b'x'; MAX_LINE_BYTES], vec![b'\n']].concat();
        assert_eq!(
            cut(&longest, 1000).0,
            [Ok(longest[..MAX_LINE_BYTES].to_vec())]
        );
    }
}
