//! What mail servers report: one by one and in bulk.

use kraiter_tests::api::Api;
use kraiter_tests::http::Request;
use serde_json::{Value, json};

use crate::service::{Service, all, counts, register, texts};

const NO_EVENTS: [Value; 0] = [];

fn report(api: &Api, send: &str, status: &str) -> Value {
    api.write(
        "PATCH",
        &format!("/sends/{send}"),
        &json!({"status": status}),
    )
    .unwrap()
}

/// The answer's lines.
fn bulk(api: &Api, body: impl Into<Vec<u8>>, chunk_bytes: Option<usize>) -> Vec<Value> {
    let request = Request::new("POST", "/sends/status").body("application/x-ndjson", body);
    let request = match chunk_bytes {
        Some(bytes) => request.in_chunks_of(bytes),
        None => request,
    };
    let answer = api.send(request).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type").unwrap(),
        "application/x-ndjson"
    );
    let text = answer.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_status_goes_forward_and_never_back() {
    let service = Service::start("forward");
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let steps = [
        ("queued", "sent"),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("bounced", "bounced"),
        ("delivered", "bounced"),
        ("complained", "complained"),
        ("bounced", "complained"),
        ("sent", "complained"),
    ];
    for (reported, expected) in steps {
        assert_eq!(
            report(&api, "snd-1", reported)["status"],
            expected,
            "{reported}"
        );
    }
    let mut types = texts(&all(&api, "/events"), "type");
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "email.bounced",
            "email.complained",
            "email.delivered",
            "email.sent"
        ]
    );
    assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
}

#[test]
fn a_repeated_report_changes_nothing() {
    let service = Service::start("repeated");
    let api = service.tenant("shop");
    for status in ["sent", "delivered", "bounced", "complained", "failed"] {
        let send = format!("snd-{status}");
        register(&api, &send, "ada@example.com");
        let first = report(&api, &send, status);
        assert_eq!(report(&api, &send, status), first);
    }
}

#[test]
fn a_bounce_or_a_complaint_suppresses_the_contact_from_its_first_time_on() {
    let service = Service::start("suppressed");
    let api = service.tenant("shop");
    for status in ["bounced", "complained"] {
        let contact = format!("{status}@example.com");
        let suppressed_at = || api.contact(&contact).unwrap()["suppressedAt"].clone();
        let sends = [1, 2].map(|number| format!("snd-{status}-{number}"));
        for send in &sends {
            register(&api, send, &contact);
        }
        assert_eq!(suppressed_at(), Value::Null);
        let at = "2026-11-01T00:00:00.000Z";
        let body = json!({"status": status, "timestamp": at});
        api.write("PATCH", &format!("/sends/{}", sends[0]), &body)
            .unwrap();
        assert_eq!(suppressed_at(), at);
        report(&api, &sends[1], status);
        assert_eq!(suppressed_at(), at);
        let body = json!({"contact": contact, "html": "<p>x</p>"});
        let mail = api.write("POST", "/rewrite", &body).unwrap();
        assert_eq!(mail["warnings"], json!(["contact_suppressed"]));
    }
}

#[test]
fn a_failed_send_is_not_counted_as_sent() {
    let service = Service::start("failed");
    let api = service.tenant("shop");
    let queued = json!({"sendId": "snd-1", "contact": "ada@example.com", "status": "queued"});
    api.write("POST", "/sends", &queued).unwrap();
    let failed = report(&api, "snd-1", "failed");
    assert_eq!(
        (&failed["status"], &failed["sentAt"]),
        (&json!("failed"), &Value::Null)
    );
    assert!(failed["failedAt"].is_string(), "{failed}");
    assert_eq!(counts(&api, "ada@example.com"), [0, 0, 0]);
    assert_eq!(all(&api, "/events"), NO_EVENTS);
}

#[test]
fn bad_lines_are_answered_in_their_place_and_spare_the_others() {
    let service = Service::start("bad-lines");
    let api = service.tenant("shop");
    for number in 1..=3 {
        register(&api, &format!("snd-{number}"), "ada@example.com");
    }
    let body = [
        r#"{"sendId":"snd-1","status":"delivered"}"#,
        "not JSON",
        r#"{"sendId":"snd-0","status":"delivered"}"#,
        "",
        r#"{"sendId":"a\u0000b","status":"delivered"}"#,
        r#"{"sendId":"snd-2","status":"eaten"}"#,
        r#"{"sendId":"snd-2"}"#,
        r#"{"sendId":"snd-2","status":"sent","x":1}"#,
        r#"{"sendId":"snd-2","status":"sent","timestamp":"2126-01-01T00:00:00Z"}"#,
        r#"["snd-2","complained",null]"#,
        r#"{"sendId":"snd-2","status":"bounced"}"#,
        r#"{"sendId":"snd-1","status":"complained"}"#,
        r#"{"sendId":"snd-1","status":"sent"}"#,
    ];
    let answers = bulk(&api, body.join("\r\n"), None);
    let shown: Vec<String> = answers
        .iter()
        .map(|answer| {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let outcome = match answer.get("error") {
                Some(error) => format!("{} {}", error["status"], text(&error["code"])),
                None => text(&answer["status"]),
            };
            format!("{}: {outcome}", text(&answer["sendId"]).escape_default())
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!(api.sent("snd-1").unwrap()["status"], "complained");
    assert_eq!(api.sent("snd-2").unwrap()["status"], "bounced");
    assert_eq!(api.sent("snd-3").unwrap()["status"], "sent");
}

#[test]
fn a_campaign_of_thousands_is_reported_in_one_request() {
    let service = Service::start("campaign");
    let api = service.tenant("shop");
    // A few that exist among many that do not: answering takes all the same work.
    for number in 0..5 {
        register(
            &api,
            &format!("snd-{number}"),
            &format!("c{number}@example.com"),
        );
    }
    let send = |line: usize| match line % 1000 {
        7 => format!("snd-{}", line / 1000),
        _ => format!("none-{line}"),
    };
    let body: String = (0..5000)
        .map(|line| {
            format!(
                "{{\"sendId\":\"{}\",\"status\":\"delivered\"}}\n",
                send(line)
            )
        })
        .collect();
    // A chunk boundary in the middle of nearly every line.
    let answers = bulk(&api, body, Some(97));
    assert_eq!(answers.len(), 5000);
    for (line, answer) in answers.iter().enumerate() {
        assert_eq!(answer["sendId"], send(line).as_str());
        let known = line % 1000 == 7;
        assert_eq!(answer["status"] == "delivered", known, "{answer}");
        assert_eq!(
            answer["error"]["code"] == "unknown_send",
            !known,
            "{answer}"
        );
    }
    assert_eq!(all(&api, "/events?type=email.delivered").len(), 5);
}

#[test]
fn lines_are_read_however_they_are_cut() {
    let service = Service::start("cut-lines");
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let body = "\n{\"sendId\":\"snd-1\",\"status\":\"sent\"}\r\n \n{\"sendId\":\"snd-1\",\"status\":\"delivered\"}";
    for chunk_bytes in [1, 2, 36, 37, 38, 1000] {
        let answers = bulk(&api, body, Some(chunk_bytes));
        assert_eq!(
            texts(&answers, "status").len(),
            2,
            "{chunk_bytes}: {answers:?}"
        );
        assert_eq!(texts(&answers, "status")[1], "delivered");
    }
    assert_eq!(bulk(&api, "", None), NO_EVENTS);
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let service = Service::start("endless-line");
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let good = "{\"sendId\":\"snd-1\",\"status\":\"delivered\"}\n";
    let body = format!("{good}{}", "x".repeat(70 << 10));
    let answers = bulk(&api, body, Some(8 << 10));
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["status"], "delivered");
    assert_eq!(answers[1]["error"]["code"], "body_too_large");
}
