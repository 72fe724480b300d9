//! A receiver of webhooks: keeps every request, and answers as it is told. Checks signatures by itself, from
//! the specification of Standard Webhooks, and shares no code with the sender.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::http_server::{HttpServer, Incoming, Reaction};
use crate::trouble::Outcome;

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    pub request: Incoming,
    /// Whether it was answered 200.
    pub accepted: bool,
}

impl Call {
    /// Every attempt of a delivery has the same.
    pub fn id(&self) -> String {
        self.text("webhook-id")
    }

    pub fn text(&self, header: &str) -> String {
        let value = self.request.header(header).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    }

    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.request.body).unwrap_or_default()
    }

    pub fn events(&self) -> Vec<Value> {
        let body = self.body();
        let data = body.get("data").and_then(Value::as_array);
        data.cloned().unwrap_or_default()
    }

    /// Whether one of its signatures was made with this secret.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = secret.strip_prefix("whsec_").unwrap_or_default();
        let Ok(key) = STANDARD.decode(key) else {
            return false;
        };
        let head = format!("{}.{}.", self.id(), self.text("webhook-timestamp"));
        self.text("webhook-signature").split(' ').any(|signature| {
            let signature = signature.strip_prefix("v1,").unwrap_or_default();
            let (Ok(mac), Ok(signature)) = (
                <Hmac<Sha256> as KeyInit>::new_from_slice(&key),
                STANDARD.decode(signature),
            ) else {
                return false;
            };
            mac.chain_update(&head)
                .chain_update(&self.request.body)
                .verify_slice(&signature)
                .is_ok()
        })
    }
}

#[derive(Debug, Default)]
struct Seen {
    calls: Mutex<Vec<Call>>,
    script: Mutex<VecDeque<Reaction>>,
    /// What it does when the script has ended; accept, if nothing.
    always: Mutex<Option<Reaction>>,
}

#[derive(Debug)]
pub struct Receiver {
    server: Option<HttpServer>,
    address: SocketAddr,
    seen: Arc<Seen>,
}

impl Receiver {
    pub fn start() -> Outcome<Self> {
        let seen = Arc::new(Seen::default());
        let server = serve(0, &seen)?;
        let address = server.address();
        Ok(Self {
            server: Some(server),
            address,
            seen,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no connections any more and ends those it has.
    pub fn die(&mut self) {
        self.server = None;
    }

    /// Where it was before it died.
    pub fn come_back(&mut self) -> Outcome<()> {
        self.server = Some(serve(self.address.port(), &self.seen)?);
        Ok(())
    }

    /// What to do with the next requests, one reaction each.
    pub fn next_reactions(&self, reactions: impl IntoIterator<Item = Reaction>) {
        lock(&self.seen.script).extend(reactions);
    }

    /// What to do with every request after those; `None`: accept it.
    pub fn always(&self, reaction: Option<Reaction>) {
        *lock(&self.seen.always) = reaction;
    }

    /// In order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.seen.calls).clone()
    }

    /// Ids of the events in accepted requests, repeats included.
    pub fn accepted(&self) -> Vec<String> {
        let calls = lock(&self.seen.calls);
        let accepted = calls.iter().filter(|call| call.accepted);
        let events = accepted.flat_map(Call::events);
        let id = |event: Value| event.get("id")?.as_str().map(str::to_owned);
        events.filter_map(id).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(port: u16, seen: &Arc<Seen>) -> Outcome<HttpServer> {
    let seen = Arc::clone(seen);
    HttpServer::start_at(port, move |request| {
        let scripted = lock(&seen.script).pop_front();
        let reaction = scripted.or_else(|| lock(&seen.always).clone());
        let reaction = reaction.unwrap_or(Reaction::Answer {
            status: 200,
            body: Vec::new(),
        });
        let accepted = answers_200(&reaction);
        lock(&seen.calls).push(Call { request, accepted });
        reaction
    })
}

fn answers_200(reaction: &Reaction) -> bool {
    match reaction {
        Reaction::Answer { status, .. } => *status == 200,
        Reaction::After(_, then) => answers_200(then),
        Reaction::Close | Reaction::CloseMidBody | Reaction::Raw(_) => false,
    }
}
