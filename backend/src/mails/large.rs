//! Answers for large mails, handed on in pieces while they are written.
//!
//! A mail in JSON is as large again as the mail itself. Written piece by piece, and only as fast as
//! the client takes them, it costs the memory of a few pieces.

use std::io::{self, Write};
use std::sync::Arc;

use actix_web::web::Data;
use bytes::Bytes;
use futures_util::Stream;
use kraiter_wire::SendId;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::spawn_blocking;

use super::rewrite::{Addressee, ReadyMail, Rewriter};
use crate::backend::Backend;
use crate::http::Problem;
use crate::rewriting::TrackingBase;
use crate::tenants::Tenant;

/// Smaller mails are answered in one piece, which costs no thread.
pub(super) const LARGE_BYTES: usize = 128 << 10;

const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the client.
const PIECES: usize = 2;

/// One mail to one recipient, with all that its answer is made from.
pub(super) struct LargeMail {
    pub(super) backend: Data<Backend>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) base: TrackingBase,
    pub(super) mail: Arc<ReadyMail>,
    pub(super) send: SendId<'static>,
    pub(super) to: Addressee,
}

impl LargeMail {
    /// What [`Rewriter::write`] writes. Nothing more is done once nobody takes the pieces.
    pub(super) fn pieces(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        let (sender, mut pieces) = mpsc::channel(PIECES);
        spawn_blocking(move || {
            let mut out = Pieces {
                buffer: Vec::with_capacity(PIECE_BYTES),
                sender: sender.clone(),
            };
            if let Err(problem) = self.write(&mut out) {
                // Whoever hung up does not want to know.
                let _ = sender.blocking_send(Err(problem));
            }
        });
        async_stream::stream! {
            while let Some(piece) = pieces.recv().await {
                yield piece;
            }
        }
    }

    fn write(self, out: &mut Pieces) -> Result<(), Problem> {
        let settings = &self.tenant.settings;
        let mut rewriter = Rewriter::new(&self.backend, self.tenant.id, settings, &self.base)?;
        rewriter.write(&self.mail, &self.send, &self.to, out)?;
        out.flush().map_err(Problem::internal)
    }
}

struct Pieces {
    buffer: Vec<u8>,
    sender: Sender<Result<Bytes, Problem>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES));
        if piece.is_empty() {
            return Ok(());
        }
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
