//! What strangers try: altered tokens, paths made to confuse, floods, forged addresses, payloads
//! that turn other redirectors into open ones. None redirects, none counts, none hurts the next.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use kraiter_tests::http::Request;
use kraiter_tests::stack::test_folder;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::edge_alone::{Edge, token_in, tokens};

const URL: &str = "https://shop.example/x?y=z";
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// One connection for many requests.
struct Client {
    stream: TcpStream,
    edge: SocketAddr,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            edge: address,
        }
    }

    /// Status and whole head of the answer to one GET; its body is read away.
    fn get(&mut self, path: &str) -> (u16, String) {
        self.stream
            .write_all(&Request::get(path).to_bytes(true))
            .unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "closed after {path}");
            seen.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&seen);
            let Some(end) = text.find("\r\n\r\n") else {
                continue;
            };
            let head = text[..end].to_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if seen.len() >= end + 4 + length {
                // What Envoy itself finds malformed ends the connection.
                if head.contains("\r\nconnection: close") {
                    *self = Self::connect(self.edge);
                }
                return (head[9..12].parse().unwrap(), head);
            }
        }
    }
}

/// Nothing that happened before keeps the edge from working, or has counted.
fn works_and_counted_nothing(edge: &Edge) {
    let click = edge.forge.click("snd-valid", URL).unwrap();
    let answer = edge.envoy.get(&click).unwrap();
    assert_eq!(answer.header("location").unwrap(), URL);
    edge.accepted(1);
    assert_eq!(tokens(&edge.lines()), [token_in(&click)].into());
}

#[test]
fn thousands_of_altered_tokens_never_redirect_and_never_count() {
    let edge = Edge::start("altered", |_| Ok(()));
    let click = token_in(&edge.forge.click("snd-1", URL).unwrap());
    let mut client = Client::connect(edge.envoy.edge());
    let mut tried = 0;
    let mut refused = |token: &str| {
        assert_ne!(token, click);
        let (status, head) = client.get(&format!("/c/{token}"));
        assert!(
            (400..=404).contains(&status) && !head.contains("location"),
            "{token}: {head}"
        );
        tried += 1;
    };
    // At every place two dozen other characters, among them those that differ in a single bit.
    for at in 0..click.len() {
        let place = ALPHABET
            .iter()
            .position(|it| *it == click.as_bytes()[at])
            .unwrap();
        for other in (1..=23).chain([32]) {
            let mut altered = click.clone().into_bytes();
            altered[at] = ALPHABET[place ^ other];
            refused(std::str::from_utf8(&altered).unwrap());
        }
        refused(&click[..at]);
        refused(&click[at + 1..]);
        let mut swapped = click.clone().into_bytes();
        swapped.rotate_left(at + 1);
        if swapped != click.as_bytes() {
            refused(std::str::from_utf8(&swapped).unwrap());
        }
        refused(&format!("{}A{}", &click[..at], &click[at..]));
        refused(&format!("{}%{}", &click[..at], &click[at..]));
    }
    for end in [
        "=", "==", "A", "AA", "AAAA", "/", ".", ".gif", "%00", "%3D", "+", "\\",
    ] {
        refused(&format!("{click}{end}"));
    }
    assert!(tried > 2500, "{tried}");
    works_and_counted_nothing(&edge);
}

#[test]
fn paths_made_to_confuse_never_redirect_and_never_inject_a_header() {
    let edge = Edge::start("odd-paths", |_| Ok(()));
    let token = token_in(&edge.forge.click("snd-1", URL).unwrap());
    let with = |text: &str| text.replace("TOKEN", &token).into_bytes();
    let mut paths: Vec<Vec<u8>> = [
        "/c/TOKEN%0d%0ax-injected:%201",
        "/c/TOKEN%0D%0A%0D%0A<html>",
        "/c/TOKEN%00",
        "/c/%00TOKEN",
        "/c/TOKEN%c0%af",
        "/c/%e0%80%afTOKEN",
        "/c/%252e%252e/TOKEN",
        "/c%2FTOKEN",
        "/c%252fTOKEN",
        "/%63/TOKEN%20",
        "/c/TOKEN%",
        "/c/TOKEN%4",
        "/c/TOKEN%ZZ",
        "/c/TOKEN\u{e4}",
        "/c/\u{feff}TOKEN",
        "/c/\u{ff0f}TOKEN",
        "/c//TOKEN",
        "/c/./..TOKEN",
        "/C/TOKEN",
        "/c/TOKEN/https://evil.example/",
        "/c/https://evil.example/TOKEN",
        "/c;x=1/TOKEN",
        "/o/../c/TOKENx",
    ]
    .map(with)
    .into();
    paths.extend([
        b"/c/\xC0\xAF".to_vec(),
        b"/c/\xF8\x88\x80\x80\x80".to_vec(),
        b"/c/\xED\xA0\x80".to_vec(),
        b"/c/\xFF\xFE\xFD".to_vec(),
        [b"/c/".as_slice(), token.as_bytes(), b"\0"].concat(),
        [b"/c/".as_slice(), token.as_bytes(), b"\r\nx-injected: 1"].concat(),
        [b"/c/".as_slice(), token.as_bytes(), b"\nx-injected: 1"].concat(),
        [b"/c/".as_slice(), &[b'A'; 60_000]].concat(),
        [b"/o/".as_slice(), &[b'%'; 60_000], b".gif"].concat(),
        [b"/".as_slice(), &b"../".repeat(18_000), b"c/"].concat(),
        [b"/c/".as_slice(), &[b'A'; 200_000]].concat(),
    ]);
    for path in &paths {
        let shown = String::from_utf8_lossy(&path[..path.len().min(80)]).into_owned();
        match Request::get(path.as_slice()).send(edge.envoy.edge()) {
            Ok(answer) => {
                // A line break in a path ends the request line, and what is before it is one.
                let cut = path.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
                let refused = answer.status >= 400 || answer.body.len() == 43;
                assert!(refused || cut, "{shown}: {}", answer.status);
                assert_eq!(answer.header("location"), None, "{shown}");
                assert_eq!(answer.header("x-injected"), None, "{shown}");
            }
            // Envoy closes on what is no HTTP at all.
            Err(error) => assert!(
                path.len() > 60_000 || shown.contains(['\0', '\n']),
                "{error}"
            ),
        }
    }
    works_and_counted_nothing(&edge);
}

/// Payloads that other redirectors fell for, written down for this test.
#[test]
fn no_payload_turns_the_edge_into_an_open_redirect() {
    let edge = Edge::start("open-redirect", |_| Ok(()));
    let targets = [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:\\\\evil.example",
        "http:///evil.example",
        "//evil.example/%2f..",
        "//shop.example@evil.example",
        "https://shop.example.evil.example",
        "https://shop.example%40evil.example",
        "https://evil.example%23.shop.example",
        "https://evil.example%3F.shop.example",
        "//evil%E3%80%82example",
        "//%65vil.example",
        "/%09/evil.example",
        "/%0d/evil.example",
        "/%5cevil.example",
        "%2f%2fevil.example",
        "%252f%252fevil.example",
        "javascript:alert(1)",
        "java%0d%0ascript:alert(1)",
        "data:text/html;base64,PHNjcmlwdD4=",
        "vbscript:x",
        "file:///etc/passwd",
        "//[::ffff:203.0.113.9]/",
        "//3405803785/",
        "//0xcb007109/",
        ".evil.example",
        "@evil.example",
        ":80@evil.example",
        "..;/evil.example",
    ];
    let token = token_in(&edge.forge.click("snd-1", URL).unwrap());
    let cut = &token[..token.len() - 2];
    let mut client = Client::connect(edge.envoy.edge());
    for target in targets {
        let names = [
            "url",
            "u",
            "next",
            "redirect",
            "redirect_uri",
            "return",
            "dest",
            "to",
            "r",
        ];
        let queries = names.map(|name| format!("/c/{cut}?{name}={target}"));
        let paths = ["c", "o", "u", "redirect", ""].map(|kind| format!("/{kind}/{target}"));
        let encoded: Vec<u8> = target.bytes().flat_map(|b| [b, b]).collect();
        let encoded = String::from_utf8(encoded).unwrap();
        for path in queries
            .iter()
            .chain(&paths)
            .chain([&format!("/c/{encoded}")])
        {
            let (status, head) = client.get(path);
            assert!(!(300..400).contains(&status), "{path}: {head}");
            assert!(
                !head.to_lowercase().contains("\r\nlocation:"),
                "{path}: {head}"
            );
        }
    }
    // Whatever is appended to a valid link, it leads where its author said.
    for target in targets {
        let (status, head) = client.get(&format!("/c/{token}?url={target}&next={target}"));
        let location = format!("\r\nlocation: {URL}");
        assert!(
            status == 302 && head.contains(&location),
            "{target}: {head}"
        );
    }
    edge.accepted(targets.len() as u64);
}

#[test]
fn floods_of_headers_are_refused_and_hurt_nobody_else() {
    let edge = Edge::start("floods", |_| Ok(()));
    let pixel = edge.forge.pixel("snd-flood").unwrap();
    let many = (0..5000).fold(Request::get(pixel.as_str()), |request, number| {
        request.header(&format!("x-{number}"), "v")
    });
    let large = Request::get(pixel.as_str()).header("cookie", vec![b'c'; 100_000]);
    for flood in [many, large] {
        // Refused with a status, or by closing while it is still being sent.
        if let Ok(answer) = flood.send(edge.envoy.edge()) {
            assert_eq!(answer.status, 431);
        }
    }
    // Headers that never end take a connection and nothing else.
    let mut hanging: Vec<TcpStream> = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(edge.envoy.edge()).unwrap();
        stream
            .write_all(b"GET /o/x.gif HTTP/1.1\r\nhost: a\r\nx-slow: ")
            .unwrap();
        hanging.push(stream);
    }
    works_and_counted_nothing(&edge);
}

/// One pixel asked for again and again is one event each time: a reader that opens a mail twice
/// did. Each has an id of its own; what to make of them is for verdicts.
#[test]
fn a_replayed_pixel_counts_each_time_it_was_really_asked_for() {
    let edge = Edge::start("replayed", |_| Ok(()));
    for _ in 0..200 {
        edge.open_with("snd-1", &[]);
    }
    edge.accepted(200);
    let lines = edge.lines();
    let ids: std::collections::BTreeSet<_> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!((ids.len(), tokens(&lines).len()), (200, 1));
}

#[test]
fn addresses_forged_in_any_header_are_not_believed() {
    let edge = Edge::start("forged-address", |_| Ok(()));
    let forged = "203.0.113.66";
    let names = [
        "x-forwarded-for",
        "X-Envoy-External-Address",
        "x-real-ip",
        "forwarded",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
        "x-envoy-internal",
        "x-envoy-original-dst-host",
        "x-forwarded-host",
    ];
    for name in names {
        for value in [
            forged.to_owned(),
            format!("for={forged}"),
            format!("{forged}, {forged}"),
        ] {
            let value = value.as_bytes();
            edge.open_with("snd-1", &[(name, value), (name, value)]);
        }
    }
    edge.accepted(names.len() as u64 * 3);
    for line in edge.lines() {
        assert_eq!(line["ip"], "127.0.0.1");
    }
}

/// A listener without `use_remote_address` lets the client write that header: it is noticed on the
/// first request, and the connection's address is taken from then on.
#[test]
fn a_listener_that_lets_clients_write_their_address_is_noticed() {
    let edge = Edge::start("unsafe-listener", |config| {
        let manager = config.connection_manager()?.as_object_mut().unwrap();
        manager.insert("use_remote_address".to_owned(), json!(false));
        Ok(())
    });
    for number in 0..20 {
        let header: (&str, &[u8]) = ("x-envoy-external-address", b"203.0.113.66");
        edge.open_with(&format!("snd-{number}"), &[header]);
    }
    edge.accepted(20);
    for line in edge.lines() {
        assert_eq!(line["ip"], "127.0.0.1");
    }
    let alerts = edge
        .envoy
        .metric("kraiter_alerts", &[("reason", "address")]);
    assert_eq!(alerts.unwrap(), 1);
}

/// Certificate and key as the shipped example expects them.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["edge.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

/// The whole answer to a request over TLS.
fn over_tls(address: SocketAddr, root: &CertificateDer<'static>, request: &Request) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("edge.example").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.write_all(&request.to_bytes(false)).unwrap();
    let mut answer = Vec::new();
    // A peer that closes without saying so has said all it had to say.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn over_tls_the_same_is_answered_and_the_same_is_refused() {
    let folder = test_folder("tls-certificate").unwrap();
    let root = certificate(&folder);
    let edge = Edge::start("tls", |config| config.speak_tls(&folder));
    let ask = |request: &Request| over_tls(edge.envoy.edge(), &root, request);
    let click = edge.forge.click("snd-valid", URL).unwrap();
    let altered = format!("{}AA", &click[..click.len() - 2]);
    let forged = Request::get(altered.as_str());
    assert!(ask(&forged).starts_with("HTTP/1.1 404"));
    assert!(ask(&Request::get("/c/%0d%0ax-injected:1")).starts_with("HTTP/1.1 404"));
    let long = [b"/c/".as_slice(), &[b'A'; 50_000]].concat();
    assert!(ask(&Request::get(long)).starts_with("HTTP/1.1 404"));
    let flood = Request::get("/").header("cookie", vec![b'c'; 100_000]);
    assert!(!ask(&flood).contains("location"));
    let redirect = Request::get(format!("{altered}?url=https://evil.example"));
    assert!(!ask(&redirect).contains("location"));
    let pixel = Request::get("/o/forged.gif");
    assert!(ask(&pixel).starts_with("HTTP/1.1 200"));
    let answer = ask(&Request::get(click.as_str()).header("x-forwarded-for", "203.0.113.66"));
    assert!(
        answer.contains(&format!("\r\nlocation: {URL}\r\n")),
        "{answer}"
    );
    edge.accepted(1);
    assert_eq!(edge.lines()[0]["ip"], "127.0.0.1");
    std::fs::remove_dir_all(folder).unwrap();
}
