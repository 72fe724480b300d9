//! `POST /rewrite/batch`: one mail for many recipients, answered line by line.

use std::io::{Read, Write};
use std::net::TcpStream;

use kraiter_tests::api::Api;
use kraiter_tests::http::Request;
use kraiter_tests::wait;
use serde_json::{Value, json};

use crate::service::{Service, all, counts};

const HTML: &str = r#"<p><a href="https://shop.example/x?a=1&amp;b=2">x</a></p>"#;

fn body(shared: &Value, recipients: &[String]) -> String {
    let mut body = format!("{shared}\n");
    for line in recipients {
        body.push_str(line);
        body.push('\n');
    }
    body
}

fn request(body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", "/rewrite/batch").body("application/x-ndjson", body)
}

fn answers(api: &Api, request: Request) -> Vec<Value> {
    let answer = api.send(request).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn recipients(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| json!({"contact": format!("c{at}@example.com"), "sendId": format!("snd-{at}")}))
        .map(|line| line.to_string())
        .collect()
}

#[test]
fn each_recipient_gets_what_a_rewrite_of_its_own_would_give() {
    let service = Service::start("batch-same");
    let api = service.tenant("shop");
    let shared = json!({"html": HTML, "text": "Hello", "campaign": "spring"});
    let lines = answers(&api, request(body(&shared, &recipients(3))));
    for (at, line) in lines.iter().enumerate() {
        let alone = json!({
            "contact": format!("c{at}@example.com"),
            "sendId": format!("snd-{at}"),
            "campaign": "spring",
            "html": HTML,
            "text": "Hello",
        });
        assert_eq!(line, &api.write("POST", "/rewrite", &alone).unwrap());
        assert_eq!(counts(&api, &format!("c{at}@example.com")), [1, 0, 0]);
    }
    assert_eq!(lines.len(), 3);
    assert_eq!(all(&api, "/events?campaign=spring").len(), 3);
}

#[test]
fn a_bad_recipient_is_answered_on_its_line_and_the_others_go_on() {
    let service = Service::start("batch-bad-lines");
    let api = service.tenant("shop");
    let own = r#"{"contact":"own@example.com","html":"<a href='https://own.example/'>x</a>"}"#;
    let lines = [
        r#"{"contact":"ada@example.com","sendId":"snd-1"}"#,
        r#"{"contact":"nobody"}"#,
        "not JSON",
        r#"{"contact":"grace@example.com","sendId":"snd-1"}"#,
        r#"{"contact":"alan@example.com","colour":"red"}"#,
        own,
        r#"{"contact":"text@example.com","text":"without html"}"#,
        "",
        r#"{"contact":"last@example.com"}"#,
    ]
    .map(str::to_owned);
    let text = body(&json!({"html": HTML}), &lines);
    for chunk in [7, 1 << 20] {
        let got = answers(&api, request(text.as_str()).in_chunks_of(chunk));
        let codes: Vec<_> = got
            .iter()
            .map(|line| line["error"]["code"].as_str())
            .collect();
        assert_eq!(
            codes,
            [
                None,
                Some("invalid_email"),
                Some("invalid_json"),
                Some("send_conflict"),
                Some("unknown_field"),
                None,
                Some("missing_field"),
                None,
            ]
        );
        assert_eq!(got[5]["links"][0]["url"], "https://own.example/");
    }
    assert_eq!(api.get("/contacts/grace@example.com").unwrap().status, 404);
    assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
}

#[test]
fn what_is_wrong_with_the_shared_line_fails_the_request() {
    let service = Service::start("batch-bad-start");
    let api = service.tenant("shop");
    for (first, code) in [
        ("", "invalid_json"),
        ("{\"html\":1}", "wrong_type"),
        ("{\"contact\":\"ada@example.com\"}", "unknown_field"),
        (
            "{\"html\":\"x\",\"listUnsubscribe\":\"x\"}",
            "invalid_value",
        ),
    ] {
        let text = format!("{first}\n{{\"contact\":\"ada@example.com\"}}\n");
        // An empty first line is passed over: the recipient then stands where the mail should.
        let expected = if first.is_empty() {
            "unknown_field"
        } else {
            code
        };
        let answer = api.send(request(text)).unwrap();
        assert!(answer.status >= 400, "{first}");
        assert_eq!(answer.json()["code"], expected, "{first}");
    }
    assert_eq!(
        api.send(request("")).unwrap().json()["code"],
        "invalid_json"
    );
    assert_eq!(api.get("/contacts/ada@example.com").unwrap().status, 404);
}

#[test]
fn thousands_of_recipients_are_answered_in_order_and_registered_once() {
    let service = Service::start("batch-many");
    let api = service.tenant("shop");
    let text = body(&json!({"html": HTML}), &recipients(3_000));
    for _ in 0..2 {
        let got = answers(&api, request(text.as_str()));
        let order = got.iter().enumerate();
        assert!(
            order
                .into_iter()
                .all(|(at, line)| line["sendId"] == format!("snd-{at}"))
        );
        assert_eq!(got.len(), 3_000);
    }
    assert_eq!(
        all(&api, "/events").len(),
        3_000,
        "the second time changed nothing"
    );
}

#[test]
fn a_dry_run_registers_nobody() {
    let service = Service::start("batch-dry-run");
    let api = service.tenant("shop");
    let shared = json!({"html": HTML, "dryRun": true});
    let mut lines = recipients(2);
    lines.push(r#"{"contact":"con_AAAAAAAAAAAAAAAAAAAAAA"}"#.to_owned());
    let got = answers(&api, request(body(&shared, &lines)));
    assert!(got[0]["html"].as_str().unwrap().contains("/o/"));
    assert_eq!(got[2]["error"]["code"], "unknown_contact");
    assert_eq!(api.get("/contacts/c0@example.com").unwrap().status, 404);
    assert_eq!(api.get("/sends/snd-0").unwrap().status, 404);
}

#[test]
fn a_client_that_hangs_up_stops_the_work() {
    let service = Service::start("batch-hang-up");
    let api = service.tenant("shop");
    let filler = "<p>words that fill a mail</p>".repeat(2_000);
    let shared = json!({"html": format!("{HTML}{filler}")});
    let text = body(&shared, &recipients(20_000));
    let request = request(text).header("authorization", format!("Bearer {}", api.key));
    let mut stream = TcpStream::connect(api.address).unwrap();
    let bytes = request.to_bytes(false);
    let mut writer = stream.try_clone().unwrap();
    // Everything is sent; of the answer, only its beginning is read.
    let sender = std::thread::spawn(move || writer.write_all(&bytes));
    let mut beginning = [0; 100_000];
    stream.read_exact(&mut beginning).unwrap();
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    let _ = sender.join().unwrap();
    let registered = || all(&api, "/events").len();
    let settled = wait::until("the work to stop", || {
        let before = registered();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let after = registered();
        if before == after {
            Ok(after)
        } else {
            Err(format!("{before}, then {after} registered"))
        }
    })
    .unwrap();
    assert!(settled < 20_000, "{settled} were registered for nobody");
}
