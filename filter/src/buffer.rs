//! Event lines waiting for delivery: a batch being filled and the ones already closed, together
//! under one hard cap. Knows neither time nor the collector.

use std::collections::VecDeque;

use kraiter_wire::Kind;

use crate::config::BatchLimits;

/// One part in this many of the cap is kept for unsubscribes: they are legal requests, so opens and
/// clicks never take their place.
const UNSUBSCRIBE_RESERVE: usize = 16;

/// Room made at once for an event; lines with a click's token and a long User-Agent are larger.
const TYPICAL_LINE_BYTES: usize = 512;

/// Emptied batches whose memory is kept for the next ones.
const SPARES: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where the line ends in the batch, line break included.
    end: usize,
    kind: Kind,
}

/// Event lines that travel together. The bytes never change once it is closed.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

impl Batch {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn events(&self) -> usize {
        self.lines.len()
    }

    /// The lines, each with its line break.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|byte| *byte == b'\n')
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.lines.iter().map(|line| line.kind)
    }

    fn with_room(limits: &BatchLimits) -> Self {
        let room = (limits.max_events.saturating_mul(TYPICAL_LINE_BYTES)).min(limits.max_bytes);
        Self {
            bytes: Vec::with_capacity(room),
            lines: Vec::with_capacity(limits.max_events),
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    /// Moves the lines from `first` on into a batch of their own.
    fn split_off(&mut self, first: usize) -> Self {
        let start = match first.checked_sub(1) {
            Some(last) => self
                .lines
                .get(last)
                .map_or(self.bytes.len(), |line| line.end),
            None => 0,
        };
        let mut lines = self.lines.split_off(first.min(self.lines.len()));
        for line in &mut lines {
            line.end -= start;
        }
        let bytes = self.bytes.split_off(start);
        Self { bytes, lines }
    }
}

/// There was no room for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// All that is not acknowledged yet, batches in flight included.
pub(crate) struct Buffer {
    limits: BatchLimits,
    filling: Batch,
    closed: VecDeque<Batch>,
    spares: Vec<Batch>,
    bytes: usize,
    events: usize,
}

impl Buffer {
    pub(crate) fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            filling: Batch::default(),
            closed: VecDeque::new(),
            spares: Vec::new(),
            bytes: 0,
            events: 0,
        }
    }

    /// Limits of a newer configuration hold from the next event on.
    pub(crate) fn set_limits(&mut self, limits: BatchLimits) {
        self.limits = limits;
        self.spares.clear();
    }

    /// Lets `write` append one line to the batch being filled. `Ok(true)`: a batch was closed by it.
    pub(crate) fn push(
        &mut self,
        kind: Kind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<bool, Full> {
        let room = match kind {
            Kind::Unsubscribe => self.limits.buffer_bytes,
            Kind::Open | Kind::Click => {
                self.limits.buffer_bytes - self.limits.buffer_bytes / UNSUBSCRIBE_RESERVE
            }
        };
        if self.bytes >= room {
            return Err(Full);
        }
        if self.filling.bytes.capacity() == 0 {
            self.filling = self.empty_batch();
        }
        let start = self.filling.bytes.len();
        write(&mut self.filling.bytes);
        let end = self.filling.bytes.len();
        let line_bytes = end - start;
        if self.bytes + line_bytes > room {
            self.filling.bytes.truncate(start);
            return Err(Full);
        }
        self.bytes += line_bytes;
        self.events += 1;
        self.filling.lines.push(Line { end, kind });
        let mut closed = false;
        if end > self.limits.max_bytes && start > 0 {
            let last = self.filling.events() - 1;
            let mut next = self.empty_batch();
            let line = self.filling.split_off(last);
            next.bytes.extend_from_slice(&line.bytes);
            next.lines.extend_from_slice(&line.lines);
            let full = std::mem::replace(&mut self.filling, next);
            self.closed.push_back(full);
            closed = true;
        }
        if self.filling.events() >= self.limits.max_events
            || self.filling.bytes.len() >= self.limits.max_bytes
        {
            closed |= self.close();
        }
        Ok(closed)
    }

    /// Closes the batch being filled. `false`: it was empty.
    pub(crate) fn close(&mut self) -> bool {
        if self.filling.lines.is_empty() {
            return false;
        }
        self.closed.push_back(std::mem::take(&mut self.filling));
        true
    }

    /// The closed batch that has waited longest. Its bytes count until [`Buffer::release`].
    pub(crate) fn take_closed(&mut self) -> Option<Batch> {
        self.closed.pop_front()
    }

    pub(crate) fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    pub(crate) fn is_filling(&self) -> bool {
        !self.filling.lines.is_empty()
    }

    /// Forgets a batch for good and keeps its memory for another.
    pub(crate) fn release(&mut self, mut batch: Batch) {
        self.bytes = self.bytes.saturating_sub(batch.bytes.len());
        self.events = self.events.saturating_sub(batch.events());
        if self.spares.len() < SPARES && batch.bytes.capacity() <= 2 * self.limits.max_bytes {
            batch.clear();
            self.spares.push(batch);
        }
    }

    /// Two halves, `None` for a batch of a single event, which is given back.
    pub(crate) fn split(mut batch: Batch) -> Result<(Batch, Batch), Batch> {
        match batch.events() {
            0 | 1 => Err(batch),
            events => {
                let second = batch.split_off(events / 2);
                Ok((batch, second))
            }
        }
    }

    /// Bytes of all lines not acknowledged.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn events(&self) -> usize {
        self.events
    }

    fn empty_batch(&mut self) -> Batch {
        (self.spares.pop()).unwrap_or_else(|| Batch::with_room(&self.limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        max_bytes: 100,
        max_events: 4,
        buffer_bytes: 320,
    };

    fn push(buffer: &mut Buffer, kind: Kind, len: usize) -> Result<bool, Full> {
        buffer.push(kind, |out| out.extend(std::iter::repeat_n(b'x', len)))
    }

    #[test]
    fn a_batch_closes_at_its_event_limit() {
        let mut buffer = Buffer::new(LIMITS);
        for _ in 0..3 {
            assert_eq!(push(&mut buffer, Kind::Open, 10), Ok(false));
        }
        assert_eq!(push(&mut buffer, Kind::Open, 10), Ok(true));
        assert_eq!(buffer.take_closed().unwrap().events(), 4);
        assert!(!buffer.is_filling());
    }

    #[test]
    fn a_batch_never_outgrows_its_bytes_unless_one_line_does() {
        let mut buffer = Buffer::new(LIMITS);
        assert_eq!(push(&mut buffer, Kind::Open, 60), Ok(false));
        assert_eq!(push(&mut buffer, Kind::Open, 60), Ok(true));
        assert_eq!(buffer.take_closed().unwrap().bytes().len(), 60);
        assert_eq!(push(&mut buffer, Kind::Open, 120), Ok(true));
        assert_eq!(buffer.take_closed().unwrap().bytes().len(), 60);
        assert_eq!(buffer.take_closed().unwrap().bytes().len(), 120);
    }

    #[test]
    fn the_cap_refuses_the_newest_and_leaves_no_trace_of_it() {
        let mut buffer = Buffer::new(LIMITS);
        for _ in 0..3 {
            push(&mut buffer, Kind::Open, 90).unwrap();
        }
        assert_eq!(push(&mut buffer, Kind::Open, 50), Err(Full));
        assert_eq!((buffer.bytes(), buffer.events()), (270, 3));
        assert_eq!(push(&mut buffer, Kind::Open, 30), Ok(true));
        assert_eq!(push(&mut buffer, Kind::Open, 1), Err(Full));
    }

    #[test]
    fn unsubscribes_have_room_that_opens_cannot_take() {
        let mut buffer = Buffer::new(LIMITS);
        while push(&mut buffer, Kind::Open, 10).is_ok() {}
        assert!(push(&mut buffer, Kind::Unsubscribe, 10).is_ok());
        assert_eq!(buffer.bytes(), 310);
    }

    #[test]
    fn released_batches_make_room() {
        let mut buffer = Buffer::new(LIMITS);
        while push(&mut buffer, Kind::Open, 20).is_ok() {}
        let before = buffer.bytes();
        let batch = buffer.take_closed().unwrap();
        assert_eq!(buffer.bytes(), before);
        let len = batch.bytes().len();
        buffer.release(batch);
        assert_eq!(buffer.bytes(), before - len);
        assert!(push(&mut buffer, Kind::Open, 20).is_ok());
    }

    #[test]
    fn halves_hold_whole_lines_in_order() {
        let mut buffer = Buffer::new(LIMITS);
        for text in ["a\n", "bb\n", "ccc\n"] {
            let write = |out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
            buffer.push(Kind::Click, write).unwrap();
        }
        buffer.close();
        let (first, second) = Buffer::split(buffer.take_closed().unwrap()).unwrap();
        assert_eq!(first.bytes(), b"a\n");
        assert_eq!(second.bytes(), b"bb\nccc\n");
        let (second, third) = Buffer::split(second).unwrap();
        assert_eq!(
            (second.bytes(), third.bytes()),
            (b"bb\n".as_slice(), b"ccc\n".as_slice())
        );
        assert!(Buffer::split(third).is_err());
    }
}
