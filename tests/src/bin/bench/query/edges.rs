//! An edge that delivers opens and clicks of mail that was sent lately, batch after batch.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Instant, SystemTime};

use kraiter_tests::http::{Request, read_response};
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::{
    ContactId, Day, Destination, EventIdGenerator, Keyring, Kind, Link, LinkIndex, SendId,
    SignalsWriter, TenantId, TenantSigner, UnixMillis,
};
use tokio_postgres::Row;

use super::side::{Side, failed};

/// Events that an edge sends at a time.
const BATCH: usize = 500;
const AGENT: &[u8] = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                       (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

#[expect(
    clippy::disallowed_methods,
    reason = "an edge dates its events by its clock"
)]
pub(super) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis(since.unwrap_or_default().as_millis() as u64)
}

/// A send that is stored, as its links name it.
pub(super) struct Sent {
    pub(super) id: String,
    contact: [u8; 16],
    day: Day,
}

impl Sent {
    /// From its id, its contact's bytes and the milliseconds of its registration.
    pub(super) fn read(row: &Row) -> Self {
        let registered = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
        Self {
            id: row.get(0),
            contact: row.get::<_, &[u8]>(1).try_into().unwrap_or_default(),
            day: UnixMillis(registered).day(),
        }
    }
}

pub(super) struct Edges {
    to: SocketAddr,
    secret: String,
    signer: TenantSigner,
    ids: EventIdGenerator,
    sends: Vec<Sent>,
    next: usize,
}

impl Edges {
    pub(super) fn of(side: &mut Side) -> Outcome<Self> {
        let keyring: Keyring = side
            .backend
            .keyring()?
            .parse()
            .map_err(|_| failed("the keyring cannot be read"))?;
        let (Some((key, secret)), Some(tenant)) = (keyring.iter().next(), TenantId::new(1)) else {
            return Err(failed("there is no key"));
        };
        Ok(Self {
            to: side.backend.address(),
            secret: side.backend.ingest_secret()?,
            signer: TenantSigner::new(key, secret, tenant),
            ids: EventIdGenerator::new([9; 16]),
            sends: side.newest_sends()?,
            next: 0,
        })
    }

    /// Posts on one connection until it is told to stop, and says how many events a second that were.
    pub(super) fn post_until(&mut self, done: impl Fn() -> bool) -> Outcome<f64> {
        let connecting = || Trouble::io("connecting as an edge");
        let mut stream = TcpStream::connect(self.to).map_err(connecting())?;
        stream.set_nodelay(true).map_err(connecting())?;
        let mut answers = BufReader::new(stream.try_clone().map_err(connecting())?);
        let mut events = 0;
        let start = Instant::now();
        while !done() {
            let request = self.batch()?;
            let answer = stream
                .write_all(&request)
                .and_then(|()| read_response(&mut answers, false))
                .map_err(Trouble::io("posting events"))?;
            if answer.status != 200 || answer.json().get("accepted") != Some(&BATCH.into()) {
                return Err(failed(answer.text()));
            }
            events += BATCH;
        }
        Ok(events as f64 / start.elapsed().as_secs_f64())
    }

    fn batch(&mut self) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        for _ in 0..BATCH {
            self.line(&mut body)?;
        }
        let request = Request::new("POST", "/ingest")
            .header("authorization", format!("Bearer {}", self.secret))
            .body("application/x-ndjson", body);
        Ok(request.to_bytes(true))
    }

    /// Three opens to one click.
    fn line(&mut self, out: &mut Vec<u8>) -> Outcome<()> {
        self.next += 1;
        let send = self.sends.get(self.next % self.sends.len().max(1));
        let send = send.ok_or_else(|| failed("there are no sends"))?;
        let id = SendId::parse(send.id.as_str()).map_err(|_| failed("a send's id"))?;
        let contact = ContactId::from_bytes(send.contact);
        let mail = self.signer.for_mail(&id, contact, send.day);
        let (kind, token) = if self.next.is_multiple_of(4) {
            let url = Destination::parse("https://shop.example/products/1");
            let url = url.map_err(|_| failed("a URL"))?;
            let index = LinkIndex(1);
            (Kind::Click, mail.token(&Link::Click { index, url }))
        } else {
            (Kind::Open, mail.token(&Link::Open))
        };
        let signals = SignalsWriter {
            ip: Some("198.51.100.7"),
            user_agent: Some(AGENT),
            ..SignalsWriter::default()
        };
        signals.write(self.ids.next(now()), kind, token.as_bytes(), out);
        Ok(())
    }
}
