//! Posts event lines to `/ingest` as an edge does.

use std::net::SocketAddr;
use std::time::SystemTime;

use kraiter_tests::http::Request;
use kraiter_tests::stack::Stack;
use kraiter_wire::{EventIdGenerator, UnixMillis};
use serde_json::Value;

/// One edge's pen: makes event lines with ids that never repeat.
pub(crate) struct Pen {
    ids: EventIdGenerator,
}

impl Pen {
    /// Pens of different seeds write different ids.
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            ids: EventIdGenerator::new([seed; 16]),
        }
    }

    /// A batch of that many opens, now, by the token of a pixel's path.
    pub(crate) fn opens(&mut self, pixel: &str, count: usize) -> String {
        let token = pixel.rsplit('/').next().unwrap().trim_end_matches(".gif");
        let now = now();
        let mut batch = String::new();
        for _ in 0..count {
            let id = self.ids.next(now);
            batch += &format!("{{\"id\":\"{id}\",\"k\":\"o\",\"t\":\"{token}\"}}\n");
        }
        batch
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an edge dates its events by its clock"
)]
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    UnixMillis(since.as_millis() as u64)
}

/// Where an edge delivers, and as whom.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) address: SocketAddr,
    secret: String,
}

impl Ingest {
    pub(crate) fn of(stack: &Stack) -> Self {
        let address = stack.backend.address();
        let secret = stack.backend.ingest_secret().unwrap();
        Self { address, secret }
    }

    /// `None` unless the batch was acknowledged: accepted, duplicates, rejected.
    pub(crate) fn post(&self, batch: &str) -> Option<[u64; 3]> {
        let request = Request::new("POST", "/ingest")
            .header("authorization", format!("Bearer {}", self.secret))
            .body("application/x-ndjson", batch);
        let answer = request.send(self.address).ok()?;
        if answer.status != 200 {
            // Refused for now; anything else would be the test's own mistake.
            assert!(
                matches!(answer.status, 429 | 503),
                "{}: {}",
                answer.status,
                answer.text()
            );
            return None;
        }
        let answer = answer.json();
        let count = |name: &str| answer[name].as_u64().unwrap_or_else(|| unread(&answer));
        Some([count("accepted"), count("duplicates"), count("rejected")])
    }
}

fn unread(answer: &Value) -> u64 {
    panic!("no counts in {answer}")
}
