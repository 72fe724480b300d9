//! A load generator: many keep-alive connections on one thread, each with one request under way.
//!
//! It is made to cost little beside what it measures: requests are built beforehand, and an answer
//! is read only as far as to know that it is the expected one (its status line and its length).

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::http::Response;
use crate::trouble::{Outcome, Trouble};

/// An edge that says nothing for this long is not going to.
const SILENCE: Duration = Duration::from_secs(30);

/// What to send, to whom and for how long.
#[derive(Clone, Debug)]
pub struct Load<'a> {
    pub target: SocketAddr,
    pub connections: usize,
    /// Sent in turn, over and over. Their answers all have the same length.
    pub requests: &'a [Vec<u8>],
    pub answer: AnswerShape,
    pub duration: Duration,
}

/// What every answer of a load looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerShape {
    pub status: u16,
    /// Of the whole answer on the wire.
    pub bytes: usize,
}

impl AnswerShape {
    /// The shape of an answer that was read one by one. Exact for answers with a content-length
    /// and without a reason phrase other than the status's own, which is how Envoy writes them.
    pub fn of(response: &Response) -> Self {
        let reason = match response.status {
            200 => "OK",
            302 => "Found",
            404 => "Not Found",
            _ => "",
        };
        let status_line = "HTTP/1.1 200 \r\n".len() + reason.len();
        let line = |(name, value): &(String, Vec<u8>)| name.len() + ": \r\n".len() + value.len();
        let headers: usize = response.headers.iter().map(line).sum();
        Self {
            status: response.status,
            bytes: status_line + headers + "\r\n".len() + response.body.len(),
        }
    }
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub requests: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Answered {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

struct Connection {
    stream: TcpStream,
    /// Bytes of the current answer that have come.
    received: usize,
}

/// Sends for the whole duration, then waits for what is under way: every request sent is answered
/// and counted when this returns.
pub fn run(load: &Load<'_>) -> Outcome<Answered> {
    Run::new(load)
        .and_then(|mut run| run.go())
        .map_err(Trouble::io(format!("loading {}", load.target)))
}

struct Run<'a> {
    load: &'a Load<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    status_line: Vec<u8>,
    next_request: usize,
    answered: u64,
    under_way: usize,
}

impl<'a> Run<'a> {
    fn new(load: &'a Load<'a>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(load.connections);
        for number in 0..load.connections {
            let stream = std::net::TcpStream::connect(load.target)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let readable = Interest::READABLE;
            poll.registry()
                .register(&mut stream, Token(number), readable)?;
            connections.push(Connection {
                stream,
                received: 0,
            });
        }
        Ok(Self {
            load,
            poll,
            connections,
            status_line: format!("HTTP/1.1 {} ", load.answer.status).into_bytes(),
            next_request: 0,
            answered: 0,
            under_way: 0,
        })
    }

    fn go(&mut self) -> io::Result<Answered> {
        let start = Instant::now();
        for number in 0..self.connections.len() {
            self.send(number)?;
        }
        let mut events = Events::with_capacity(self.connections.len());
        let mut buffer = vec![0; 64 * 1024];
        while self.under_way > 0 {
            self.poll.poll(&mut events, Some(SILENCE))?;
            if events.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{} requests stay without an answer", self.under_way),
                ));
            }
            let sending = start.elapsed() < self.load.duration;
            for event in &events {
                self.receive(event.token().0, &mut buffer, sending)?;
            }
        }
        Ok(Answered {
            requests: self.answered,
            elapsed: start.elapsed(),
        })
    }

    fn send(&mut self, number: usize) -> io::Result<()> {
        let requests = self.load.requests;
        let request = requests.get(self.next_request % requests.len().max(1));
        let connection = self.connections.get_mut(number);
        let (Some(request), Some(connection)) = (request, connection) else {
            return Err(io::Error::other("there is nothing to send"));
        };
        self.next_request += 1;
        connection.received = 0;
        // A socket with one small request under way always has room for it.
        let sent = connection.stream.write(request)?;
        if sent < request.len() {
            return Err(io::Error::other("the socket took only a part of a request"));
        }
        self.under_way += 1;
        Ok(())
    }

    /// Reads until the socket is empty, as edge-triggered readiness asks for.
    fn receive(&mut self, number: usize, buffer: &mut [u8], sending: bool) -> io::Result<()> {
        loop {
            let Some(connection) = self.connections.get_mut(number) else {
                return Ok(());
            };
            let read = match connection.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            let expected = connection.received > 0 || bytes.starts_with(&self.status_line);
            connection.received += read;
            if !expected || connection.received > self.load.answer.bytes {
                let seen = String::from_utf8_lossy(bytes).into_owned();
                let shape = self.load.answer;
                let message = format!("an answer is not of the shape {shape:?}: {seen}");
                return Err(io::Error::other(message));
            }
            if connection.received < self.load.answer.bytes {
                continue;
            }
            self.answered += 1;
            self.under_way -= 1;
            if sending {
                self.send(number)?;
            }
            // A short read has emptied the socket; what comes later is a new event.
            if read < buffer.len() {
                return Ok(());
            }
        }
    }
}
