//! Newline-delimited JSON: lines out of a body, whatever way its chunks are cut.

use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::problem::Problem;

/// Reads a body line by line and never holds more than one line and one chunk.
pub(crate) struct Lines {
    payload: Payload,
    buffer: BytesMut,
    /// Bytes at the start of the buffer that are known to hold no line break.
    searched: usize,
    ended: bool,
    max_line_bytes: usize,
}

impl Lines {
    pub(crate) fn new(payload: Payload, max_line_bytes: usize) -> Self {
        Self {
            payload,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
            max_line_bytes,
        }
    }

    /// The next line without its line break; blank lines are passed over. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        loop {
            if let Some(line) = self.take_buffered() {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some(Ok(line));
            }
            if self.buffer.len() > self.max_line_bytes {
                self.buffer.clear();
                self.ended = true;
                return Some(Err(super::body::too_large(self.max_line_bytes)));
            }
            if self.ended {
                return None;
            }
            match self.payload.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => {
                    self.buffer.clear();
                    self.ended = true;
                    return Some(Err(super::body::not_whole(&error)));
                }
                None => self.ended = true,
            }
        }
    }

    fn take_buffered(&mut self) -> Option<Bytes> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        match fresh.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                Some(line.freeze())
            }
            None if self.ended && !self.buffer.is_empty() => {
                self.searched = 0;
                Some(self.buffer.split().freeze())
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    /// Whether a whole line is there without waiting for the network.
    pub(crate) fn has_buffered(&self) -> bool {
        self.buffer.contains(&b'\n') || (self.ended && !self.buffer.is_empty())
    }
}
