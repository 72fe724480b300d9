//! A client of HTTP/1.1 that sends whatever bytes it is given: header values that are no text,
//! paths that no URL type would let through. One connection a request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A peer that says nothing for this long is not going to.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    chunk_bytes: Option<usize>,
}

impl Request {
    pub fn new(method: &str, path: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
            chunk_bytes: None,
        }
    }

    pub fn get(path: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", path)
    }

    /// Sent as it is; a second `host` replaces the one sent by default.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// Sends the body in chunks of that many bytes, without saying its length first.
    pub fn in_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk_bytes = Some(bytes.max(1));
        self
    }

    /// The bytes on the wire. With `keep_alive` the peer may keep the connection open.
    pub fn to_bytes(&self, keep_alive: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.path);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let mut line = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        if !self.headers.iter().any(|(name, _)| name == "host") {
            line("host", b"tracking.example");
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        match (&self.body, self.chunk_bytes) {
            (Some(_), Some(_)) => line("transfer-encoding", b"chunked"),
            (Some(body), None) => line("content-length", body.len().to_string().as_bytes()),
            (None, _) => {}
        }
        if !keep_alive {
            line("connection", b"close");
        }
        out.extend_from_slice(b"\r\n");
        let body = self.body.as_deref().unwrap_or_default();
        let Some(chunk_bytes) = self.chunk_bytes else {
            out.extend_from_slice(body);
            return out;
        };
        for chunk in body.chunks(chunk_bytes) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }

    pub fn send(&self, to: SocketAddr) -> io::Result<Response> {
        let mut stream = TcpStream::connect_timeout(&to, SILENCE)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        let bytes = self.to_bytes(false);
        // A server may answer and close before it has read all of a body it refuses.
        let written = stream.write_all(&bytes);
        match read_response(&mut BufReader::new(stream), self.method == "HEAD") {
            Ok(response) => Ok(response),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut named = self.headers.iter().filter(|(have, _)| have == name);
        named
            .next()
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; its text as a JSON string if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| self.text().into())
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Header lines up to the empty one; names in lower case.
pub(crate) fn read_headers(from: &mut impl BufRead) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let colon = colon.ok_or_else(|| malformed("a header line without a colon"))?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
        headers.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
    }
}

pub(crate) fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// How the headers say a body is delimited.
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    Unsaid,
}

impl Framing {
    pub(crate) fn of(headers: &[(String, Vec<u8>)]) -> io::Result<Self> {
        let value = |name: &str| headers.iter().find(|(have, _)| have == name);
        if value("transfer-encoding").is_some_and(|(_, value)| value == b"chunked") {
            return Ok(Self::Chunked);
        }
        let Some((_, length)) = value("content-length") else {
            return Ok(Self::Unsaid);
        };
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|text| text.parse().ok());
        length
            .map(Self::Length)
            .ok_or_else(|| malformed("content-length is no number"))
    }
}

pub(crate) fn read_exactly(from: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body)?;
    match body.len() as u64 == length {
        true => Ok(body),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(crate) fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let size = std::str::from_utf8(&line).ok();
        let size = size.and_then(|text| text.split(';').next());
        let size = size.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
        let size = size.ok_or_else(|| malformed("a chunk without a size"))?;
        if size == 0 {
            read_headers(from)?;
            return Ok(body);
        }
        body.extend(read_exactly(from, size)?);
        read_line(from)?;
    }
}

/// What a server answers to a request that was written by hand.
pub fn read_response(from: &mut impl BufRead, to_head: bool) -> io::Result<Response> {
    let status_line = read_line(from)?;
    let status = status_line.split(|&byte| byte == b' ').nth(1);
    let status = status.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let status: u16 = status.ok_or_else(|| malformed("no HTTP status line"))?;
    let headers = read_headers(from)?;
    if status == 100 {
        return read_response(from, to_head);
    }
    let body = match Framing::of(&headers)? {
        _ if to_head || matches!(status, 204 | 304) => Vec::new(),
        Framing::Length(length) => read_exactly(from, length)?,
        Framing::Chunked => read_chunks(from)?,
        Framing::Unsaid => {
            let mut body = Vec::new();
            from.read_to_end(&mut body)?;
            body
        }
    };
    Ok(Response {
        status,
        headers,
        body,
    })
}
