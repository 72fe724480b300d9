//! What `/ingest` takes, what it refuses and why, and what it keeps.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use insta::assert_snapshot;
use kraiter_tests::database;
use kraiter_tests::http::Request;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::answers::Answers;
use crate::edge::{DAY, Edge, HOUR, Mint, now, stranger, tokens};
use crate::service::{Service, all, counts, rewrite, texts};

#[test]
fn bad_lines_are_counted_by_reason_and_spare_the_others() {
    let service = Service::start("ingest-bad-lines");
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", "ada@example.com");
    let (pixel, clicks, _) = tokens(&mail);
    let contact = mail["contactId"].as_str().unwrap();
    let mut edge = Edge::of(&service, 1);
    let at = |millis: u64| UnixMillis(millis);
    let now = now().0;
    let old_mail = Mint::of(&service, 1).registered_days_ago(402);
    let mut altered = pixel.clone();
    let last = altered.pop().unwrap();
    altered.push(if last == 'A' { 'B' } else { 'A' });
    let foreign_key = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let lines = [
        edge.line("o", &pixel),
        "not JSON\n".to_owned(),
        "\n  \r\n".to_owned(),
        "[]\n".to_owned(),
        "{\"id\":\"x\",\"k\":\"o\",\"t\":\"x\"}\n".to_owned(),
        edge.line("x", &pixel),
        String::from("\u{FEFF}\n"),
        edge.line("o", ""),
        edge.line("o", &altered),
        edge.line(
            "c",
            &Mint::with(foreign_key, 1).click("snd-1", contact, 0, "https://x.example/"),
        ),
        edge.line("c", &pixel),
        edge.line("o", &clicks[0]),
        edge.line("u", &clicks[0]),
        edge.line_at("o", &pixel, at(now + 2 * HOUR)),
        edge.line_at("o", &pixel, at(now - 401 * DAY)),
        edge.line_at("o", &pixel, at(0)),
        edge.line("o", &old_mail.open("snd-0", contact)),
        edge.line("o", &Mint::of(&service, 99).open("snd-1", contact)),
        edge.line("o", &Mint::of(&service, u32::MAX).open("snd-1", contact)),
        edge.line("c", &clicks[0]),
    ];
    insta::assert_json_snapshot!(edge.post(lines.concat()));
    assert_eq!(counts(&api, "ada@example.com"), [1, 1, 1]);
    // No line break at the end of a batch is no mistake.
    let last = edge.line("o", &pixel);
    assert_eq!(edge.post(last.trim_end())["accepted"], 1);
    assert_eq!(counts(&api, "ada@example.com"), [1, 2, 1]);
}

#[test]
fn an_event_a_little_ahead_and_one_of_long_ago_are_kept_with_their_times() {
    let service = Service::start("ingest-times");
    let api = service.tenant("shop");
    let contact = stranger(1);
    let mint = Mint::of(&service, 1).registered_days_ago(390);
    let token = mint.open("snd-old", &contact);
    let mut edge = Edge::of(&service, 1);
    let now = now().0;
    let times = [now + HOUR / 2, now, now - 30 * DAY, now - 380 * DAY];
    let batch: String = times
        .iter()
        .map(|at| edge.line_at("o", &token, UnixMillis(*at)))
        .collect();
    assert_eq!(edge.post(batch)["accepted"], 4);
    let events = all(&api, "/events");
    assert_eq!(events.len(), 4);
    let send = api.sent("snd-old").unwrap();
    assert_eq!(send["openedAt"], events[3]["timestamp"], "the first open");
    let seen = api.contact(&contact).unwrap();
    assert_eq!(
        seen["lastEmailOpenedAt"], events[0]["timestamp"],
        "the newest"
    );
}

#[test]
fn old_mail_is_not_recorded_where_the_tenant_says_so_but_unsubscribing_is() {
    let service = Service::start("ingest-age");
    let api = service.tenant("shop");
    api.write("PATCH", "/settings", &json!({"recordingMaxAgeDays": 7}))
        .unwrap();
    let mint = Mint::of(&service, 1).registered_days_ago(30);
    let contact = stranger(1);
    let mut edge = Edge::of(&service, 1);
    let batch = edge.line("o", &mint.open("snd-1", &contact))
        + &edge.line("u", &mint.unsubscribe("snd-1", &contact));
    let expected = json!({"accepted": 1, "duplicates": 0, "rejected": 1,
        "reasons": {"past_recording_age": 1}});
    assert_eq!(edge.post(batch), expected);
    assert!(api.contact(&contact).unwrap()["unsubscribedAt"].is_string());
}

#[test]
fn events_of_an_unknown_send_make_placeholders_that_registering_fills() {
    let service = Service::start("placeholders");
    let api = service.tenant("shop");
    let contact = stranger(7);
    let mint = Mint::of(&service, 1);
    let mut edge = Edge::of(&service, 1);
    let url = "https://shop.example/lost";
    let batch = edge.lines("o", &mint.open("snd-lost", &contact), 2)
        + &edge.line("c", &mint.click("snd-lost", &contact, 4, url));
    assert_eq!(edge.post(batch)["accepted"], 3);
    let found = api.contact(&contact).unwrap();
    assert_eq!(
        (&found["email"], &found["id"]),
        (&Value::Null, &json!(contact))
    );
    assert_eq!(counts(&api, &contact), [0, 2, 1]);
    let send = api.sent("snd-lost").unwrap();
    assert_eq!(
        (&send["status"], &send["sentAt"]),
        (&json!("sent"), &Value::Null)
    );
    assert_eq!(
        (&send["contact"], &send["contactId"]),
        (&Value::Null, &json!(contact))
    );
    assert_eq!(
        (&send["opensCount"], &send["clicksCount"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&send["clicks"][0]["url"], &send["clicks"][0]["index"]),
        (&json!(url), &json!(4))
    );

    let body = json!({"sendId": "snd-lost", "contact": contact, "campaign": "spring"});
    let registered = api.write("POST", "/sends", &body).unwrap();
    assert!(registered["sentAt"].is_string(), "{registered}");
    assert_eq!(registered["campaign"], "spring");
    assert_eq!(counts(&api, &contact), [1, 2, 1]);
    assert_eq!(all(&api, "/events").len(), 4);
}

#[test]
fn user_agents_of_any_text_are_kept_and_shown() {
    let service = Service::start("agents");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let agents = [
        "Mozilla/5.0 (X11)",
        "a\0b\u{1}\u{7F}",
        "\u{202E}rtl \u{FEFF}bom \u{10FFFF}",
        "emoji 🦀 \u{1F468}\u{200D}\u{1F469}",
        "' ; drop table events; -- \\ \" {}",
        "",
    ];
    let now = now();
    let mut batch = String::new();
    for agent in agents {
        // Later ones are newer, so that the list's order is known.
        batch += &edge.line_with("o", &pixel, now, json!({"ua": agent, "ip": "no address"}));
    }
    assert_eq!(edge.post(batch)["accepted"], agents.len());
    let mut shown = texts(&all(&api, "/events?type=email.opened"), "userAgent");
    let mut expected = agents.map(|agent| agent.replace('\0', "\u{FFFD}"));
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
}

#[test]
fn addresses_are_kept_as_the_tenant_says() {
    let service = Service::start("addresses");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    for (mode, expected) in [
        (
            "full",
            [json!("203.0.113.77"), json!("2001:db8:1:2:3:4:5:6")],
        ),
        ("truncated", [json!("203.0.113.0"), json!("2001:db8:1::")]),
        ("none", [Value::Null, Value::Null]),
    ] {
        api.write("PATCH", "/settings", &json!({"addressMode": mode}))
            .unwrap();
        for (address, expected) in ["203.0.113.77", "2001:db8:1:2:3:4:5:6"]
            .iter()
            .zip(expected)
        {
            let line = edge.line_with("o", &pixel, now(), json!({"ip": address}));
            edge.post(line.as_str());
            let id: Value = serde_json::from_str(&line).unwrap();
            let events = all(&api, "/events?type=email.opened");
            let event = events.iter().find(|event| event["id"] == id["id"]).unwrap();
            assert_eq!(event["ip"], expected, "{mode} {address}");
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What HTTP calls deflate: the zlib format.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_batches_are_taken() {
    let service = Service::start("compressed");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    for (encoding, compress) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("GZIP", gzip),
        ("deflate", deflate),
        ("identity", <[u8]>::to_vec),
    ] {
        let batch = compress(edge.lines("o", &pixel, 300).as_bytes());
        for chunk_bytes in [1000, 7] {
            let request = edge
                .request(batch.clone())
                .header("content-encoding", encoding);
            let answer = request
                .in_chunks_of(chunk_bytes)
                .send(edge.address)
                .unwrap();
            let expected = match chunk_bytes {
                1000 => json!({"accepted": 300, "duplicates": 0, "rejected": 0}),
                _ => json!({"accepted": 0, "duplicates": 300, "rejected": 0}),
            };
            assert_eq!(answer.json(), expected, "{encoding}");
        }
    }
    assert_eq!(counts(&api, "ada@example.com"), [1, 1200, 0]);
}

#[test]
fn batches_that_cannot_be_read_have_their_codes() {
    let service = Service::start("unreadable");
    service.tenant("shop");
    let edge = Edge::of(&service, 1);
    let compressed = gzip(&vec![b'\n'; 1000]);
    let cut = &compressed[..compressed.len() - 9];
    let mut answers = Answers::default();
    for (case, request) in [
        (
            "unknown encoding",
            edge.request("x\n").header("content-encoding", "br"),
        ),
        (
            "two encodings",
            edge.request("x\n").header("content-encoding", "gzip, gzip"),
        ),
        (
            "gzip that is none",
            edge.request("x\n").header("content-encoding", "gzip"),
        ),
        (
            "gzip cut off",
            edge.request(cut).header("content-encoding", "gzip"),
        ),
        (
            "deflate that is none",
            edge.request("x\n").header("content-encoding", "deflate"),
        ),
        (
            "another type",
            Request::new("POST", "/ingest")
                .header("authorization", format!("Bearer {}", edge.secret))
                .body("application/json", "{}"),
        ),
        ("too large", edge.request(vec![b'\n'; 17 << 20])),
        (
            "too large once it is read",
            edge.request(gzip(&vec![b'\n'; 17 << 20]))
                .header("content-encoding", "gzip"),
        ),
        ("an empty batch", edge.request("")),
    ] {
        answers.add(case, &request.send(edge.address).unwrap());
    }
    assert_snapshot!(answers.text());
}

#[test]
fn a_batch_that_the_database_refuses_keeps_no_other_back() {
    let url = database::fresh().unwrap();
    let service = Service::on("ingest-refused", &url);
    let api = service.tenant("shop");
    let poison = "https://poison.example/";
    let refuse = format!("alter table events add check (url is distinct from '{poison}')");
    database::execute(&url, &refuse).unwrap();
    let contact = stranger(1);
    let mint = Mint::of(&service, 1);
    let click = |url: &str| mint.click("snd-1", &contact, 0, url);
    let (good, bad) = (click("https://good.example/"), click(poison));
    // While nothing can be written, batches gather into one group.
    let wait = "begin; lock table events in exclusive mode; select pg_sleep(1); commit";
    let statuses: Vec<(bool, u16)> = std::thread::scope(|scope| {
        scope.spawn(|| database::execute(&url, wait).unwrap());
        let posts: Vec<_> = (0..12)
            .map(|seed| {
                let mut edge = Edge::of(&service, seed);
                let is_bad = seed % 4 == 3;
                let batch = edge.lines("c", if is_bad { &bad } else { &good }, 5);
                scope.spawn(move || (is_bad, edge.try_post(batch).unwrap().status))
            })
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    for (is_bad, status) in statuses {
        assert_eq!(status, if is_bad { 503 } else { 200 });
    }
    assert_eq!(counts(&api, &contact)[2], 9 * 5);
}
