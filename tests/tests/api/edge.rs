//! An edge's pen: signs what the backend did not, writes event lines and posts them.

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use kraiter_tests::http::{Request, Response};
use kraiter_wire::{
    ContactId, Day, Destination, EventIdGenerator, Keyring, Link, LinkIndex, SendId, TenantId,
    TenantSigner, UnixMillis,
};
use serde_json::{Value, json};

use crate::service::Service;

pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const DAY: u64 = 24 * HOUR;

#[expect(
    clippy::disallowed_methods,
    reason = "an edge dates its events by its clock"
)]
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis(since.unwrap().as_millis() as u64)
}

#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) secret: String,
    ids: EventIdGenerator,
}

impl Edge {
    /// Edges of different seeds write different ids.
    pub(crate) fn of(service: &Service, seed: u8) -> Self {
        Self {
            address: service.backend.address(),
            secret: service.backend.ingest_secret().unwrap(),
            ids: EventIdGenerator::new([seed; 16]),
        }
    }

    /// An event of now.
    pub(crate) fn line(&mut self, kind: &str, token: &str) -> String {
        self.line_at(kind, token, now())
    }

    pub(crate) fn line_at(&mut self, kind: &str, token: &str, at: UnixMillis) -> String {
        self.line_with(kind, token, at, json!({}))
    }

    /// With signals, by their short names.
    pub(crate) fn line_with(
        &mut self,
        kind: &str,
        token: &str,
        at: UnixMillis,
        signals: Value,
    ) -> String {
        let id = self.ids.next(at).to_string();
        let mut line = json!({"id": id, "k": kind, "t": token});
        let members = line.as_object_mut().unwrap();
        members.extend(signals.as_object().unwrap().clone());
        format!("{line}\n")
    }

    /// That many different events of now.
    pub(crate) fn lines(&mut self, kind: &str, token: &str, count: usize) -> String {
        (0..count).map(|_| self.line(kind, token)).collect()
    }

    pub(crate) fn request(&self, batch: impl Into<Vec<u8>>) -> Request {
        Request::new("POST", "/ingest")
            .header("authorization", format!("Bearer {}", self.secret))
            .body("application/x-ndjson", batch)
    }

    pub(crate) fn try_post(&self, batch: impl Into<Vec<u8>>) -> io::Result<Response> {
        self.request(batch).send(self.address)
    }

    /// Posts that many new events of now.
    pub(crate) fn record(&mut self, kind: &str, token: &str, count: usize) -> Value {
        let batch = self.lines(kind, token, count);
        self.post(batch)
    }

    /// The answer to a batch that is taken.
    pub(crate) fn post(&self, batch: impl Into<Vec<u8>>) -> Value {
        let answer = self.try_post(batch).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// Signs tokens of one tenant as the service would.
pub(crate) struct Mint {
    signer: TenantSigner,
    pub(crate) day: Day,
}

impl Mint {
    /// Of sends that were registered today.
    pub(crate) fn of(service: &Service, tenant: u32) -> Self {
        Self::with(&service.backend.keyring().unwrap(), tenant)
    }

    /// By the first key of a keyring in its text form.
    pub(crate) fn with(keyring: &str, tenant: u32) -> Self {
        let keyring: Keyring = keyring.parse().unwrap();
        let (key, secret) = keyring.iter().next().unwrap();
        let tenant = TenantId::new(tenant).unwrap();
        Self {
            signer: TenantSigner::new(key, secret, tenant),
            day: now().day(),
        }
    }

    pub(crate) fn registered_days_ago(mut self, days: u16) -> Self {
        self.day = Day(now().day().0 - days);
        self
    }

    pub(crate) fn open(&self, send: &str, contact: &str) -> String {
        self.token(send, contact, Link::Open)
    }

    pub(crate) fn click(&self, send: &str, contact: &str, index: u32, url: &str) -> String {
        let url = Destination::parse(url).unwrap();
        let index = LinkIndex(index);
        self.token(send, contact, Link::Click { index, url })
    }

    pub(crate) fn unsubscribe(&self, send: &str, contact: &str) -> String {
        self.token(send, contact, Link::Unsubscribe)
    }

    fn token(&self, send: &str, contact: &str, link: Link<'_>) -> String {
        let send = SendId::parse(send).unwrap();
        let contact: ContactId = contact.parse().unwrap();
        let mail = self.signer.for_mail(&send, contact, self.day);
        mail.token(&link)
    }
}

/// A contact that no backend knows.
pub(crate) fn stranger(number: u8) -> String {
    ContactId::from_bytes([number; 16]).to_string()
}

/// The token of a tracked URL.
pub(crate) fn token_of(url: &str) -> String {
    let last = url.rsplit('/').next().unwrap();
    last.trim_end_matches(".gif").to_owned()
}

/// The tokens of a rewritten mail: of its pixel, of its links, of its way to unsubscribe.
pub(crate) fn tokens(mail: &Value) -> (String, Vec<String>, String) {
    let html = mail["html"].as_str().unwrap();
    let pixel = html.split('"').find(|part| part.ends_with(".gif")).unwrap();
    let links = mail["links"].as_array().unwrap().iter();
    let links = links.filter_map(|link| Some(token_of(link["trackedUrl"].as_str()?)));
    let header = mail["headers"]["List-Unsubscribe"].as_str().unwrap();
    let page = header.split(['<', '>']).find(|part| part.contains("/u/"));
    (token_of(pixel), links.collect(), token_of(page.unwrap()))
}
