//! A small HTTP/1.1 server for the parts that stand around the edge in tests: a collector, an
//! application behind the gateway. One thread a connection, kept alive, and able to misbehave.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::http::{Framing, read_chunks, read_exactly, read_headers, read_line};
use crate::trouble::{Outcome, Trouble};

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Incoming {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut named = self.headers.iter().filter(|(have, _)| have == name);
        named.next().map(|(_, value)| value.as_slice())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    Answer {
        status: u16,
        body: Vec<u8>,
    },
    /// Reads the request and closes without a word.
    Close,
    /// Promises a body and closes after a part of it.
    CloseMidBody,
    /// Writes these bytes, whatever they are, and closes.
    Raw(Vec<u8>),
    /// Does the other thing, but later.
    After(Duration, Box<Self>),
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
}

impl HttpServer {
    pub fn start(react: impl Fn(Incoming) -> Reaction + Send + Sync + 'static) -> Outcome<Self> {
        Self::start_at(0, react)
    }

    /// On a port that one before had.
    pub fn start_at(
        port: u16,
        react: impl Fn(Incoming) -> Reaction + Send + Sync + 'static,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = listener.map_err(Trouble::io("listening for a test's server"))?;
        let address = listener
            .local_addr()
            .map_err(Trouble::io("finding a port"))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let react = Arc::new(react);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (react, stop) = (Arc::clone(&react), Arc::clone(&stop));
                // A broken connection is the peer's to notice.
                std::thread::spawn(move || serve(stream, &stop, &*react));
            }
        });
        Ok(Self { address, stopping })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then sees that it is to stop.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: TcpStream,
    stop: &AtomicBool,
    react: &(impl Fn(Incoming) -> Reaction + ?Sized),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::with_capacity(64 * 1024, stream);
    while let Some(incoming) = read_request(&mut input)? {
        // Connections that were kept open end with the server.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut reaction = react(incoming);
        while let Reaction::After(wait, then) = reaction {
            std::thread::sleep(wait);
            reaction = *then;
        }
        match reaction {
            Reaction::After(..) => break,
            Reaction::Raw(bytes) => {
                out.write_all(&bytes)?;
                break;
            }
            Reaction::Answer { status, body } => out.write_all(&answer(status, &body))?,
            Reaction::Close => break,
            Reaction::CloseMidBody => {
                let full = answer(200, &[b'x'; 4096]);
                out.write_all(full.get(..full.len() / 2).unwrap_or(&full))?;
                break;
            }
        }
    }
    out.shutdown(Shutdown::Both)
}

fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// `None` when the peer has closed the connection.
fn read_request(input: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&read_line(input)?).into_owned();
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let headers = read_headers(input)?;
    let body = match Framing::of(&headers)? {
        Framing::Length(length) => read_exactly(input, length)?,
        Framing::Chunked => read_chunks(input)?,
        Framing::Unsaid => Vec::new(),
    };
    Ok(Some(Incoming {
        method,
        path,
        headers,
        body,
    }))
}
