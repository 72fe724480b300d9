//! `GET /events/stream`: who listens sees events as they arrive, whichever replica took them, and is told
//! of those that it does not see.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use kraiter_tests::api::Api;
use kraiter_tests::http::Request;
use kraiter_tests::{database, wait};
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, Mint, now, tokens};
use crate::service::{Service, all, register, rewrite, texts};
use crate::verdicts::FIREFOX;

/// Much longer than an event takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One frame: the fields of its lines.
#[derive(Debug, Default)]
struct Frame {
    id: Option<String>,
    event: Option<String>,
    data: Value,
}

/// A client that reads as fast as it can.
struct Listener {
    frames: Receiver<Frame>,
    /// Closes the connection when it goes.
    connection: TcpStream,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.connection.shutdown(std::net::Shutdown::Both);
    }
}

impl Listener {
    fn open(api: &Api, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/events/stream{query}"))
            .header("authorization", format!("Bearer {}", api.key));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut connection = TcpStream::connect(api.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(&request.to_bytes(true)).unwrap();
        let mut from = BufReader::new(connection.try_clone().unwrap());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            from.read_until(b'\n', &mut head).unwrap();
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let (sender, frames) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            while let Some(chunk) = chunk(&mut from) {
                text += std::str::from_utf8(&chunk).unwrap();
                while let Some((frame, rest)) = text.split_once("\n\n") {
                    let frame = parse(frame);
                    if frame.data != Value::Null && sender.send(frame).is_err() {
                        return;
                    }
                    text = rest.to_owned();
                }
            }
        });
        Self { frames, connection }
    }

    fn next(&self) -> Frame {
        self.frames.recv_timeout(PATIENCE).unwrap()
    }

    /// The next event's JSON.
    fn event(&self) -> Value {
        let frame = self.next();
        assert_eq!(frame.event, None, "{frame:?}");
        assert_eq!(frame.id.as_deref(), frame.data["id"].as_str());
        frame.data
    }

    fn skipped(&self) -> Value {
        let frame = self.next();
        assert_eq!(frame.event.as_deref(), Some("skipped"), "{frame:?}");
        frame.data
    }

    /// Waits for the end.
    fn end(self) {
        loop {
            match self.frames.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
    }
}

/// `None` at the end.
fn chunk(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    from.read_line(&mut size).ok()?;
    let size = u64::from_str_radix(size.trim(), 16).ok()?;
    let mut bytes = vec![0; usize::try_from(size).ok()? + 2];
    from.read_exact(&mut bytes).ok()?;
    bytes.truncate(bytes.len() - 2);
    (size > 0).then_some(bytes)
}

fn parse(text: &str) -> Frame {
    let mut frame = Frame::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => frame.id = Some(id.to_owned()),
            Some(("event", event)) => frame.event = Some(event.to_owned()),
            Some(("data", data)) => frame.data = serde_json::from_str(data).unwrap(),
            Some(("retry" | "", _)) => {}
            _ => panic!("{line:?} in {text:?}"),
        }
    }
    frame
}

#[test]
fn an_event_arrives_by_itself_as_the_list_shows_it() {
    let service = Service::start("stream");
    let api = service.tenant("shop");
    let mail = rewrite(&api, "before", "ada@example.com");
    let listener = Listener::open(&api, "", None);
    register(&api, "after", "ada@example.com");
    let event = listener.event();
    assert_eq!(event["sendId"], "after", "nothing of before: {event}");
    assert_eq!(event, api.read("/events").unwrap()["items"][0]);

    let (pixel, clicks, _) = tokens(&mail);
    let mut edge = Edge::of(&service, 1);
    let signals = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    let at = now();
    let open = edge.line_with("o", &pixel, at, signals.clone());
    let click = edge.line_with("c", &clicks[0], UnixMillis(at.0 + 1), signals);
    edge.post(open + &click);
    let [open, click] = [listener.event(), listener.event()];
    assert_eq!(
        texts(&[open, click.clone()], "type"),
        ["email.opened", "email.clicked"]
    );
    assert_eq!(click["url"], "https://shop.example/x");
    assert!(
        click["verdict"].is_string() && click["client"]["browser"] == "Firefox",
        "{click}"
    );
}

#[test]
fn a_stream_carries_what_its_filters_ask_for_and_no_other_tenants_events() {
    let service = Service::start("stream-filters");
    let (api, other) = (service.tenant("shop"), service.tenant("other"));
    let mail = rewrite(&api, "snd-1", "ada@example.com");
    rewrite(&api, "snd-2", "grace@example.com");
    let foreign = rewrite(&other, "snd-1", "ada@example.com");
    let contact = mail["contactId"].as_str().unwrap();
    let listeners = [
        "?type=email.clicked,email.bounced",
        "?verdict=machine",
        "?sendId=snd-1&type=email.clicked",
        &format!("?contact={contact}&type=email.clicked"),
        "?contact=Ada@example.com&type=email.clicked",
        "?campaign=spring&type=email.clicked",
    ]
    .map(|query| Listener::open(&api, query, None));
    let nothing = [
        "?sendId=snd-2",
        "?contact=grace@example.com",
        "?campaign=winter",
    ]
    .map(|query| Listener::open(&api, query, None));
    let stranger = Listener::open(&other, "", None);

    let (pixel, clicks, _) = tokens(&mail);
    let mut edge = Edge::of(&service, 1);
    let open = edge.line_with(
        "o",
        &pixel,
        now(),
        json!({"ua": FIREFOX, "ip": "203.0.113.9"}),
    );
    let bot = json!({"ua": "Googlebot/2.1", "ip": "203.0.113.9"});
    let click = edge.line_with("c", &clicks[0], now(), bot);
    edge.post(open + &click);
    for listener in &listeners {
        let event = listener.event();
        assert_eq!(event["type"], "email.clicked", "{event}");
        assert_eq!(event["verdict"], "machine", "{event}");
    }
    let (pixel, ..) = tokens(&foreign);
    edge.record("o", &pixel, 1);
    assert_eq!(stranger.event()["type"], "email.opened");
    for listener in listeners.iter().chain(&nothing).chain([&stranger]) {
        assert!(
            listener.frames.try_recv().is_err(),
            "more than was asked for"
        );
    }
    for (query, code) in [
        ("?type=nonsense", "invalid_parameter"),
        ("?limit=3", "invalid_parameter"),
        ("?contact=nobody@example.com", "unknown_contact"),
    ] {
        let answer = api.get(&format!("/events/stream{query}")).unwrap();
        assert_eq!(answer.json()["code"], code, "{query}");
    }
    let request = Request::get("/events/stream").header("last-event-id", "yesterday");
    assert_eq!(api.send(request).unwrap().status, 400);
}

#[test]
fn what_one_replica_takes_is_heard_on_the_other() {
    let url = database::fresh().unwrap();
    let one = Service::on("stream-one", &url);
    let two = one.twin("stream-two", &url);
    let api = one.tenant("shop");
    let elsewhere = Api {
        address: two.backend.address(),
        ..api.clone()
    };
    let listeners = [
        Listener::open(&api, "", None),
        Listener::open(&elsewhere, "", None),
    ];
    register(&api, "snd-1", "ada@example.com");
    register(&elsewhere, "snd-2", "ada@example.com");
    for listener in &listeners {
        let mut sends = texts(&[listener.event(), listener.event()], "sendId");
        sends.sort();
        assert_eq!(sends, ["snd-1", "snd-2"]);
    }
}

#[test]
fn who_comes_back_with_the_last_event_gets_what_happened_since() {
    let service = Service::start("stream-resume");
    let api = service.tenant("shop");
    let first = Listener::open(&api, "", None);
    register(&api, "snd-1", "ada@example.com");
    let last = first.event();
    drop(first);
    for number in 2..6 {
        register(&api, &format!("snd-{number}"), "ada@example.com");
    }
    let again = Listener::open(&api, "", last["id"].as_str());
    let missed: Vec<Value> = (2..6).map(|_| again.event()).collect();
    assert_eq!(
        texts(&missed, "sendId"),
        ["snd-2", "snd-3", "snd-4", "snd-5"]
    );
    register(&api, "snd-6", "ada@example.com");
    assert_eq!(again.event()["sendId"], "snd-6", "each once");
}

#[test]
fn more_than_is_made_up_for_is_said_so() {
    let service = Service::start("stream-away");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let last = api.read("/events").unwrap()["items"][0]["id"].clone();
    Edge::of(&service, 1).record("o", &pixel, 1_200);
    let listener = Listener::open(&api, "", last.as_str());
    let skipped = listener.skipped();
    assert_eq!(skipped["reason"], "away");
    let newest = all(&api, "/events")[0]["id"].clone();
    let sent: Vec<Value> = (0..1_000).map(|_| listener.event()).collect();
    assert_eq!(sent[999]["id"], newest);
}

#[test]
fn events_that_arrive_too_late_to_be_sent_are_counted_and_can_be_fetched() {
    let service = Service::start("stream-late");
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", "ada@example.com");
    let contact = mail["contactId"].as_str().unwrap();
    let pixel = Mint::of(&service, 1).open("snd-1", contact);
    let mut edge = Edge::of(&service, 1);
    let listener = Listener::open(&api, "?type=email.opened", None);
    let late = UnixMillis(now().0 - 5 * HOUR);
    let batch: String = (0..3).map(|_| edge.line_at("o", &pixel, late)).collect();
    let prompt = edge.line("o", &pixel);
    assert_eq!(edge.post(batch + &prompt)["accepted"], 4);
    assert_eq!(listener.event()["type"], "email.opened");
    let skipped = listener.skipped();
    assert_eq!(
        (&skipped["reason"], &skipped["count"]),
        (&json!("late"), &json!(3))
    );
    let path = format!(
        "/events?type=email.opened&from={}",
        skipped["from"].as_str().unwrap()
    );
    assert_eq!(all(&api, &path).len(), 4);
    // Told once.
    register(&api, "snd-2", "ada@example.com");
    edge.record("o", &pixel, 1);
    assert_eq!(listener.event()["type"], "email.opened");
    std::thread::sleep(Duration::from_secs(7));
    assert!(listener.frames.try_recv().is_err());
}

#[test]
fn a_stream_ends_with_its_key() {
    let service = Service::start("stream-revoked");
    let api = service.tenant("shop");
    let key = service.backend.api_key("shop", "read").unwrap();
    let listener = Listener::open(&key, "", None);
    let keys = service
        .backend
        .says(&["api-key", "list", "--tenant", "shop", "--json"])
        .unwrap();
    let id = keys.as_array().unwrap().last().unwrap()["id"].clone();
    let id = id.as_str().unwrap().to_owned();
    service
        .backend
        .says(&["api-key", "revoke", &id, "--tenant", "shop", "--json"])
        .unwrap();
    listener.end();
    assert_eq!(key.get("/events/stream").unwrap().status, 401);
    assert_eq!(api.get("/events").unwrap().status, 200);
}

#[test]
fn a_tenant_has_so_many_streams_and_others_are_not_in_its_way() {
    let service = Service::start("stream-many");
    let (api, other) = (service.tenant("shop"), service.tenant("other"));
    let listeners: Vec<_> = (0..50).map(|_| Listener::open(&api, "", None)).collect();
    let refused = api.get("/events/stream").unwrap();
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (429, &json!("too_many_streams"))
    );
    assert!(refused.header("retry-after").is_some());
    drop(Listener::open(&other, "", None));
    let metrics = api.get("/metrics").unwrap().text();
    assert!(
        metrics.contains("kraiter_event_streams_open 5"),
        "{metrics}"
    );
    drop(listeners);
    wait::until("all streams to be gone", || {
        let metrics = api.get("/metrics").unwrap().text();
        match metrics.contains("kraiter_event_streams_open 0") {
            true => Ok(()),
            false => Err(metrics),
        }
    })
    .unwrap();
    drop(Listener::open(&api, "", None));
}

#[test]
fn a_service_that_stops_ends_its_streams() {
    let mut service = Service::start("stream-stop");
    let api = service.tenant("shop");
    let listener = Listener::open(&api, "", None);
    let start = Instant::now();
    service.backend.stop();
    listener.end();
    // Requests may take half a minute to finish: streams are not waited for.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}
