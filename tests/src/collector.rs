//! A stand-in for `/ingest` that counts event lines: what the edge delivered, to the line, and
//! nothing about what it means.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http_server::{HttpServer, Incoming, Reaction};
use crate::trouble::Outcome;

/// Whether the lines themselves are kept or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Lines,
    Count,
}

#[derive(Debug)]
struct Seen {
    keep: Keep,
    /// Lines of batches that were answered 200.
    accepted: AtomicU64,
    batches: Mutex<Vec<Batch>>,
    script: Mutex<VecDeque<Reaction>>,
    policy: Mutex<Option<PolicyDocument>>,
    /// Versions that were asked against, `None` for a first question.
    policy_polls: Mutex<Vec<Option<String>>>,
}

/// What `GET /edge/policy` answers, unless the edge has that version already.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    pub version: String,
    pub body: Vec<u8>,
}

/// One POST to the collector, kept when lines are.
#[derive(Clone, Debug)]
pub struct Batch {
    pub request: Incoming,
    pub lines: Vec<String>,
    pub accepted: bool,
}

#[derive(Debug)]
pub struct Collector {
    server: HttpServer,
    seen: Arc<Seen>,
}

impl Collector {
    pub fn start(keep: Keep) -> Outcome<Self> {
        let seen = Arc::new(Seen {
            keep,
            accepted: AtomicU64::new(0),
            batches: Mutex::default(),
            script: Mutex::default(),
            policy: Mutex::default(),
            policy_polls: Mutex::default(),
        });
        let taking = Arc::clone(&seen);
        let server = HttpServer::start(move |incoming| taking.take(incoming))?;
        Ok(Self { server, seen })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What to do with the next batches, one reaction each, before the collector accepts again.
    pub fn next_reactions(&self, reactions: impl IntoIterator<Item = Reaction>) {
        lock(&self.seen.script).extend(reactions);
    }

    /// Forgets the reactions that were still to come.
    pub fn accept_from_now_on(&self) {
        lock(&self.seen.script).clear();
    }

    /// What the policy is from now on; before the first one there is none to be had (404).
    pub fn set_policy(&self, policy: PolicyDocument) {
        *lock(&self.seen.policy) = Some(policy);
    }

    /// The `if-none-match` of each question for the policy so far.
    pub fn policy_polls(&self) -> Vec<Option<String>> {
        lock(&self.seen.policy_polls).clone()
    }

    /// Event lines in accepted batches, repeats included.
    pub fn accepted_lines(&self) -> u64 {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    /// All batches in order of arrival; empty unless lines are kept.
    pub fn batches(&self) -> Vec<Batch> {
        lock(&self.seen.batches).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn take(&self, incoming: Incoming) -> Reaction {
        if incoming.method == "GET" {
            return self.show_policy(&incoming);
        }
        let scripted = lock(&self.script).pop_front();
        let accepted = scripted.is_none();
        let count = self.count(incoming, accepted);
        if let Some(reaction) = scripted {
            return reaction;
        }
        self.accepted.fetch_add(count, Ordering::SeqCst);
        let body = format!("{{\"accepted\":{count},\"duplicates\":0,\"rejected\":0}}");
        Reaction::Answer {
            status: 200,
            body: body.into_bytes(),
        }
    }

    fn show_policy(&self, incoming: &Incoming) -> Reaction {
        let known = incoming.header("if-none-match");
        let known = known.map(|tag| String::from_utf8_lossy(tag).into_owned());
        lock(&self.policy_polls).push(known.clone());
        let (status, body) = match &*lock(&self.policy) {
            None => (404, Vec::new()),
            Some(policy) if known == Some(format!("\"{}\"", policy.version)) => (304, Vec::new()),
            Some(policy) => (200, policy.body.clone()),
        };
        Reaction::Answer { status, body }
    }

    fn count(&self, incoming: Incoming, accepted: bool) -> u64 {
        let body = decoded(&incoming);
        let breaks = body.iter().filter(|&&byte| byte == b'\n').count();
        let unended = usize::from(!body.is_empty() && body.last() != Some(&b'\n'));
        if self.keep == Keep::Lines {
            let text = String::from_utf8_lossy(&body);
            let lines = text.lines().map(str::to_owned).collect();
            lock(&self.batches).push(Batch {
                request: incoming,
                lines,
                accepted,
            });
        }
        (breaks + unended) as u64
    }
}

/// The body without its content-encoding.
fn decoded(incoming: &Incoming) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = match incoming.header("content-encoding") {
        Some(b"gzip") => flate2::read::GzDecoder::new(&*incoming.body).read_to_end(&mut plain),
        Some(b"deflate") => flate2::read::ZlibDecoder::new(&*incoming.body).read_to_end(&mut plain),
        _ => return incoming.body.clone(),
    };
    match read {
        Ok(_) => plain,
        // Counts as no line, so that the test that expects some fails.
        Err(_) => Vec::new(),
    }
}
