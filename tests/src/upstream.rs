//! An application behind the same gateway, whose traffic the filter must leave alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http_server::{HttpServer, Incoming, Reaction};
use crate::trouble::Outcome;

/// Keeps what reached it and answers 200 with [`ANSWER`].
#[derive(Debug)]
pub struct Upstream {
    server: HttpServer,
    seen: Arc<Mutex<Vec<Incoming>>>,
}

pub const ANSWER: &[u8] = b"the application's own answer";

impl Upstream {
    pub fn start() -> Outcome<Self> {
        let seen: Arc<Mutex<Vec<Incoming>>> = Arc::default();
        let keeping = Arc::clone(&seen);
        let server = HttpServer::start(move |incoming| {
            let mut seen = keeping.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(incoming);
            Reaction::Answer {
                status: 200,
                body: ANSWER.to_vec(),
            }
        })?;
        Ok(Self { server, seen })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn requests(&self) -> Vec<Incoming> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}
