//! Requests that are wrong in one way each: every way has its own status and code, and none of them
//! leaves anything behind.

use insta::assert_snapshot;
use kraiter_tests::api::Api;
use kraiter_tests::http::Request;

use crate::answers::Answers;
use crate::service::{Service, all, register};

/// One more than the largest JSON body, in MiB.
const TOO_LARGE: usize = 17 << 20;

fn bodies(api: &Api, method: &str, path: &str, cases: &[(&str, &str)]) -> Answers {
    let mut answers = Answers::default();
    for (case, body) in cases {
        let request = Request::new(method, path).body("application/json", *body);
        answers.add(case, &api.send(request).unwrap());
    }
    answers
}

#[test]
fn each_mistake_in_a_mail_to_rewrite_has_its_code() {
    let service = Service::start("bad-rewrites");
    let api = service.tenant("shop");
    let cases = [
        ("no JSON", "{\"contact\": "),
        ("no body", ""),
        ("a line break in a string", "{\"contact\": \"\u{D}\"}"),
        (
            "something after the JSON",
            r#"{"contact":"a@b.example","html":""} {}"#,
        ),
        ("not an object", "[]"),
        (
            "fields without names",
            r#"[null,"ada@example.com",null,null,null,"<p>x</p>"]"#,
        ),
        ("no contact", r#"{"html":"<p>x</p>"}"#),
        ("no html", r#"{"contact":"ada@example.com"}"#),
        ("contact is a number", r#"{"contact":5,"html":""}"#),
        (
            "html is null",
            r#"{"contact":"ada@example.com","html":null}"#,
        ),
        (
            "unknown field",
            r#"{"contact":"ada@example.com","html":"","recipient":"x"}"#,
        ),
        (
            "unknown option",
            r#"{"contact":"ada@example.com","html":"","options":{"track":1}}"#,
        ),
        (
            "option of the wrong type",
            r#"{"contact":"ada@example.com","html":"","options":{"trackOpens":"yes"}}"#,
        ),
        (
            "option with an unknown value",
            r#"{"contact":"ada@example.com","html":"","options":{"pixel":"middle"}}"#,
        ),
        ("no address", r#"{"contact":"ada","html":""}"#),
        (
            "address with a name",
            r#"{"contact":"Ada <ada@example.com>","html":""}"#,
        ),
        (
            "address with a NUL",
            r#"{"contact":"ada\u0000@example.com","html":""}"#,
        ),
        ("contact id cut off", r#"{"contact":"con_AAAA","html":""}"#),
        (
            "unknown contact id",
            r#"{"contact":"con_AAAAAAAAAAAAAAAAAAAAAA","html":""}"#,
        ),
        (
            "address as send id",
            r#"{"contact":"ada@example.com","html":"","sendId":"ada@example.com"}"#,
        ),
        (
            "empty send id",
            r#"{"contact":"ada@example.com","html":"","sendId":""}"#,
        ),
        (
            "unknown status",
            r#"{"contact":"ada@example.com","html":"","status":"opened"}"#,
        ),
        (
            "no time",
            r#"{"contact":"ada@example.com","html":"","sentAt":"yesterday"}"#,
        ),
        (
            "time far ahead",
            r#"{"contact":"ada@example.com","html":"","sentAt":"2126-01-01T00:00:00Z"}"#,
        ),
        (
            "time long ago",
            r#"{"contact":"ada@example.com","html":"","sentAt":"1999-01-01T00:00:00Z"}"#,
        ),
        (
            "empty campaign",
            r#"{"contact":"ada@example.com","html":"","campaign":""}"#,
        ),
        (
            "campaign with a control",
            r#"{"contact":"ada@example.com","html":"","campaign":"a\u0000b"}"#,
        ),
        (
            "unsubscribe page that is none",
            r#"{"contact":"ada@example.com","html":"","listUnsubscribe":"javascript:x"}"#,
        ),
        (
            "header injection",
            r#"{"contact":"ada@example.com","html":"","listUnsubscribe":"https://a/\r\nX: y"}"#,
        ),
    ];
    assert_snapshot!(bodies(&api, "POST", "/rewrite", &cases).text());
    assert_eq!(api.get("/contacts/ada@example.com").unwrap().status, 404);
    assert_eq!(all(&api, "/events"), [] as [serde_json::Value; 0]);
}

#[test]
fn a_body_that_is_not_utf8_is_no_json() {
    let service = Service::start("not-utf8");
    let api = service.tenant("shop");
    let body = [b"{\"contact\":\"".as_slice(), &[0xFF, 0xFE], b"\"}"].concat();
    let request = Request::new("POST", "/sends").body("application/json", body);
    let mut answers = Answers::default();
    answers.add("bytes that are no text", &api.send(request).unwrap());
    assert_snapshot!(answers.text());
}

#[test]
fn each_mistake_in_a_send_or_its_status_has_its_code() {
    let service = Service::start("bad-sends");
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let mut answers = Answers::default();
    for (case, method, path, body) in [
        (
            "conflict",
            "POST",
            "/sends",
            r#"{"sendId":"snd-1","contact":"bob@example.com"}"#,
        ),
        ("no contact", "POST", "/sends", "{}"),
        (
            "html is not for here",
            "POST",
            "/sends",
            r#"{"contact":"a@example.com","html":""}"#,
        ),
        (
            "unknown send",
            "PATCH",
            "/sends/snd-2",
            r#"{"status":"sent"}"#,
        ),
        (
            "send id with a NUL",
            "PATCH",
            "/sends/snd%00",
            r#"{"status":"sent"}"#,
        ),
        ("no status", "PATCH", "/sends/snd-1", "{}"),
        (
            "unknown status",
            "PATCH",
            "/sends/snd-1",
            r#"{"status":"read"}"#,
        ),
        (
            "status is a number",
            "PATCH",
            "/sends/snd-1",
            r#"{"status":1}"#,
        ),
        (
            "unknown field",
            "PATCH",
            "/sends/snd-1",
            r#"{"status":"sent","at":1}"#,
        ),
        (
            "time is no time",
            "PATCH",
            "/sends/snd-1",
            r#"{"status":"sent","timestamp":"now"}"#,
        ),
        (
            "time is ahead",
            "PATCH",
            "/sends/snd-1",
            r#"{"status":"sent","timestamp":"2126-01-01T00:00:00Z"}"#,
        ),
    ] {
        let request = Request::new(method, path).body("application/json", body);
        answers.add(case, &api.send(request).unwrap());
    }
    assert_snapshot!(answers.text());
}

#[test]
fn each_mistake_in_settings_has_its_code() {
    let service = Service::start("bad-settings");
    let api = service.tenant("shop");
    let before = api.read("/settings").unwrap();
    let cases = [
        ("no origin", r#"{"trackingOrigin":"t.example"}"#),
        (
            "origin with a path",
            r#"{"trackingOrigin":"https://t.example/x"}"#,
        ),
        (
            "origin with a user",
            r#"{"trackingOrigin":"https://me@t.example"}"#,
        ),
        (
            "origin of another scheme",
            r#"{"trackingOrigin":"ftp://t.example"}"#,
        ),
        ("prefix without a slash", r#"{"trackingPathPrefix":"t"}"#),
        ("prefix with dots", r#"{"trackingPathPrefix":"/../x"}"#),
        ("no days", r#"{"retentionDays":0}"#),
        ("too many days", r#"{"retentionDays":4000}"#),
        ("days that are no number", r#"{"retentionDays":"400"}"#),
        ("half a day", r#"{"recordingMaxAgeDays":0.5}"#),
        ("unknown mode", r#"{"addressMode":"hashed"}"#),
        ("flag that is none", r#"{"trackingEnabled":"no"}"#),
        ("unknown setting", r#"{"colour":"red"}"#),
    ];
    assert_snapshot!(bodies(&api, "PATCH", "/settings", &cases).text());
    assert_eq!(api.read("/settings").unwrap(), before);
}

#[test]
fn each_mistake_in_a_url_has_its_code() {
    let service = Service::start("bad-urls");
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    let mut answers = Answers::default();
    for (case, path) in [
        ("unknown send", "/sends/snd-2"),
        ("send id with a NUL", "/sends/%00"),
        ("unknown contact", "/contacts/bob@example.com"),
        ("unknown contact id", "/contacts/con_AAAAAAAAAAAAAAAAAAAAAA"),
        ("no address", "/contacts/ada"),
        ("no text", "/contacts/%FF%FE"),
        ("address with a NUL", "/contacts/ada%00@example.com"),
        (
            "events of an unknown contact",
            "/contacts/bob@example.com/events",
        ),
        ("no limit", "/events?limit=0"),
        ("limit too high", "/events?limit=1001"),
        ("limit is no number", "/events?limit=ten"),
        ("limit is negative", "/events?limit=-1"),
        ("foreign cursor", "/events?cursor=next"),
        (
            "cursor of a contact's list",
            "/contacts/ada@example.com/events?cursor=%20",
        ),
        ("unknown type", "/events?type=email.read"),
        ("one unknown type of two", "/events?type=email.sent,opened"),
        ("from is no time", "/events?from=yesterday"),
        ("to is no time", "/events?to=2026-01-01"),
        ("contact is no address", "/events?contact=ada"),
        ("campaign with a NUL", "/events?campaign=%00"),
        ("send with a NUL", "/events?sendId=%00"),
        ("unknown parameter", "/events?sort=asc"),
        ("the same parameter twice", "/events?limit=1&limit=2"),
        ("unknown route", "/sendz"),
        ("a slash too much", "/events/"),
        ("the root", "/"),
    ] {
        answers.add(case, &api.get(path).unwrap());
    }
    assert_snapshot!(answers.text());
}

#[test]
fn a_method_that_a_path_does_not_know_is_answered_with_those_it_does() {
    let service = Service::start("methods");
    let api = service.tenant("shop");
    let mut answers = Answers::default();
    for (method, path) in [
        ("GET", "/rewrite"),
        ("DELETE", "/sends/snd-1"),
        ("GET", "/sends"),
        ("GET", "/ingest"),
        ("PUT", "/settings"),
        ("POST", "/contacts/ada@example.com"),
        ("POST", "/events"),
        ("POST", "/healthz"),
        ("OPTIONS", "/rewrite"),
        ("BREW", "/rewrite"),
    ] {
        let answer = api.send(Request::new(method, path)).unwrap();
        answers.add(&format!("{method} {path}"), &answer);
    }
    assert_snapshot!(answers.text());
    let metrics = api.get("/metrics").unwrap().text();
    assert!(metrics.contains("method=\"OPTIONS\""), "{metrics}");
    assert!(
        !metrics.contains("BREW"),
        "a caller makes up no labels: {metrics}"
    );
}

#[test]
fn bodies_of_another_type_or_too_large_are_refused_unread() {
    let service = Service::start("bad-bodies");
    let api = service.tenant("shop");
    let large = vec![b' '; TOO_LARGE];
    let mut answers = Answers::default();
    for (case, request) in [
        (
            "a form",
            Request::new("POST", "/rewrite").body("application/x-www-form-urlencoded", "a=b"),
        ),
        (
            "text",
            Request::new("PATCH", "/settings").body("text/plain", "{}"),
        ),
        (
            "JSON where lines belong",
            Request::new("POST", "/sends/status").body("application/json", "{}"),
        ),
        (
            "compressed JSON",
            Request::new("POST", "/sends")
                .header("content-encoding", "gzip")
                .body("application/json", "{}"),
        ),
        (
            "too large",
            Request::new("POST", "/rewrite").body("application/json", large.clone()),
        ),
        (
            "too large, of a length not said",
            Request::new("POST", "/rewrite")
                .body("application/json", large)
                .in_chunks_of(1 << 20),
        ),
    ] {
        answers.add(case, &api.send(request).unwrap());
    }
    assert_snapshot!(answers.text());
}

#[test]
fn json_with_a_charset_or_without_a_type_is_json() {
    let service = Service::start("types");
    let api = service.tenant("shop");
    let body = r#"{"sendId":"snd-1","contact":"ada@example.com"}"#;
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        let request = Request::new("POST", "/sends").body(content_type, body);
        assert_eq!(api.send(request).unwrap().status, 200, "{content_type}");
    }
}
