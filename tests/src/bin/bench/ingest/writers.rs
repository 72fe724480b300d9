//! Edges that deliver: batches written and signed beforehand, posted over connections that stay.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use kraiter_tests::backend::Backend;
use kraiter_tests::http::{Request, read_response};
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::{
    ContactId, Day, Destination, EventId, EventIdGenerator, Kind, Link, LinkIndex, SendId,
    SignalsWriter, TenantId, TenantSigner, UnixMillis,
};

/// What an edge sends at a time.
pub(super) const BATCH: usize = 500;
pub(super) const CONNECTIONS: usize = 48;
/// 11.0.0.0, so that the addresses after it are ordinary ones.
const FIRST_ADDRESS: u32 = 11 << 24;

#[expect(
    clippy::disallowed_methods,
    reason = "an edge dates its events by its clock"
)]
pub(super) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis(since.unwrap_or_default().as_millis() as u64)
}

/// A send that is there, and not opened yet in this bench.
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) contact: [u8; 16],
    pub(super) day: Day,
}

/// Writes what edges deliver.
pub(super) struct Pen {
    signer: TenantSigner,
    secret: String,
    ids: EventIdGenerator,
    sends: std::vec::IntoIter<Sent>,
    addresses: u32,
}

fn failed(what: &str) -> Trouble {
    Trouble::io("writing events")(std::io::Error::other(what.to_owned()))
}

impl Pen {
    pub(super) fn new(backend: &Backend, sends: Vec<Sent>) -> Outcome<Self> {
        Self::with_seed(backend, sends, 7)
    }

    /// For sends that another one has written of: ids and addresses are others.
    pub(super) fn again(backend: &Backend, sends: Vec<Sent>) -> Outcome<Self> {
        Self::with_seed(backend, sends, 8)
    }

    /// And clicks are of other sends than in the rounds before, in which each send has one event: two of
    /// one send would be judged together.
    pub(super) fn aside(backend: &Backend, sends: Vec<Sent>) -> Outcome<Self> {
        let sends = sends.into_iter().skip(1).collect();
        Self::with_seed(backend, sends, 9)
    }

    fn with_seed(backend: &Backend, sends: Vec<Sent>, seed: u8) -> Outcome<Self> {
        let keyring: kraiter_wire::Keyring = backend
            .keyring()?
            .parse()
            .map_err(|_| failed("the keyring cannot be read"))?;
        let key = keyring.iter().next();
        let tenant = TenantId::new(1);
        let (Some((key, secret)), Some(tenant)) = (key, tenant) else {
            return Err(failed("there is no key"));
        };
        Ok(Self {
            signer: TenantSigner::new(key, secret, tenant),
            secret: backend.ingest_secret()?,
            ids: EventIdGenerator::new([seed; 16]),
            sends: sends.into_iter(),
            addresses: u32::from(seed) << 20,
        })
    }

    /// All ids written from now on are larger.
    pub(super) fn next_id(&mut self) -> EventId {
        std::thread::sleep(Duration::from_millis(2));
        let id = self.ids.next(now());
        std::thread::sleep(Duration::from_millis(2));
        id
    }

    /// Requests with so many events, each on another send: three opens to one click.
    pub(super) fn write(&mut self, events: usize) -> Outcome<Vec<Vec<u8>>> {
        let sends: Vec<Sent> = self.sends.by_ref().take(events).collect();
        if sends.len() < events {
            return Err(failed(
                "there are too few sends; raise KRAITER_BENCH_CONTACTS",
            ));
        }
        let mut requests = Vec::new();
        for (number, batch) in sends.chunks(BATCH).enumerate() {
            let mut body = Vec::new();
            for (at, send) in batch.iter().enumerate() {
                self.line(number * BATCH + at, send, &mut body)?;
            }
            let request = Request::new("POST", "/ingest")
                .header("authorization", format!("Bearer {}", self.secret))
                .body("application/x-ndjson", body);
            requests.push(request.to_bytes(true));
        }
        Ok(requests)
    }

    fn line(&mut self, number: usize, send: &Sent, out: &mut Vec<u8>) -> Outcome<()> {
        let id = SendId::parse(send.id.as_str()).map_err(|_| failed("a send's id"))?;
        let contact = ContactId::from_bytes(send.contact);
        let mail = self.signer.for_mail(&id, contact, send.day);
        let (kind, token) = if number.is_multiple_of(4) {
            let index = number as u32 / 4 % 5;
            let url = format!("https://shop.example/products/{index}");
            let url = Destination::parse(url).map_err(|_| failed("a URL"))?;
            let index = LinkIndex(index);
            (Kind::Click, mail.token(&Link::Click { index, url }))
        } else {
            (Kind::Open, mail.token(&Link::Open))
        };
        let agent = format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{}.0.0.0 Safari/537.36",
            100 + number % 40
        );
        // Everyone has an address of their own: many recipients behind one would be a scanner.
        self.addresses += 1;
        let address = Ipv4Addr::from(FIRST_ADDRESS + self.addresses).to_string();
        let signals = SignalsWriter {
            ip: Some(&address),
            user_agent: Some(agent.as_bytes()),
            ..SignalsWriter::default()
        };
        signals.write(self.ids.next(now()), kind, token.as_bytes(), out);
        Ok(())
    }
}

/// Posts each request once and returns when all are answered.
pub(super) fn post(to: SocketAddr, requests: &[Vec<u8>]) -> Outcome<Duration> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let work = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::new(stream.try_clone()?);
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            stream.write_all(request)?;
            let answer = read_response(&mut answers, false)?;
            let rejected = answer.json().get("rejected").cloned();
            if answer.status != 200 || rejected != Some(0.into()) {
                return Err(std::io::Error::other(answer.text()));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err(std::io::Error::other("a connection's thread failed")))
        })
    })
    .map_err(Trouble::io("posting events"))?;
    Ok(start.elapsed())
}
