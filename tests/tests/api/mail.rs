//! What `POST /rewrite` answers, and mail that is not tracked.

use serde_json::{Value, json};

use crate::edge::{Edge, token_of, tokens};
use crate::service::{Service, all, counts, rewrite};

const NEWSLETTER: &str = r##"<html><body>
<a href="https://shop.example/a?x=1&amp;y=2">A</a>
<a href='https://shop.example/a?x=1&amp;y=2'>A again</a>
<a href="mailto:help@shop.example">Mail</a>
<a href="#top">Top</a>
<a href="/relative">Relative</a>
<a href="{{ link }}">Template</a>
<a href="https://">Broken</a>
<a href="https://shop.example/b" data-no-track>B</a>
<a href="https://shop.example/unsubscribe?u=1">Stop</a>
<a href="kraiter:unsubscribe">Stop here</a>
</body></html>"##;

/// An answer with everything that is signed or drawn shown by its role.
fn shown(mail: &Value) -> Value {
    let mut text = mail.to_string();
    let (pixel, clicks, unsubscribe) = tokens(mail);
    for (number, click) in clicks.iter().enumerate() {
        text = text.replace(click, &format!("[click {number}]"));
    }
    text = text
        .replace(&pixel, "[pixel]")
        .replace(&unsubscribe, "[unsubscribe]");
    text = text.replace(mail["contactId"].as_str().unwrap(), "[contact]");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_answer_holds_the_mail_its_headers_and_all_its_links() {
    let service = Service::start("answer");
    let api = service.tenant("shop");
    let body = json!({
        "sendId": "snd-1", "contact": "ada@example.com", "campaign": "spring",
        "html": NEWSLETTER, "text": "Look: https://shop.example/a.",
        "listUnsubscribe": "mailto:stop@shop.example", "options": {"trackText": true},
    });
    let mail = api.write("POST", "/rewrite", &body).unwrap();
    insta::assert_json_snapshot!(shown(&mail));
}

#[test]
fn warnings_name_what_the_sender_should_know() {
    let service = Service::start("warnings");
    let api = service.backend.tenant("plain", "http://t.example").unwrap();
    let html = format!("<p>{}</p>", "x".repeat(110_000));
    let body = json!({"contact": "ada@example.com", "html": html});
    let mail = api.write("POST", "/rewrite", &body).unwrap();
    assert_eq!(mail["warnings"], json!(["gmail_clip", "origin_not_https"]));
    let body = json!({"contact": "ada@example.com", "html": "<p>x</p>"});
    api.write(
        "PATCH",
        "/settings",
        &json!({"trackingOrigin": "https://t.example"}),
    )
    .unwrap();
    let mail = api.write("POST", "/rewrite", &body).unwrap();
    assert_eq!(mail["warnings"], json!([]));
}

#[test]
fn a_contact_that_unsubscribed_is_marked_and_warned_of() {
    let service = Service::start("unsubscribed");
    let api = service.tenant("shop");
    let mail = rewrite(&api, "snd-1", "ada@example.com");
    assert_eq!(mail["warnings"], json!([]));
    assert_eq!(
        api.contact("ada@example.com").unwrap()["unsubscribedAt"],
        Value::Null
    );
    let (_, _, unsubscribe) = tokens(&mail);
    let mut edge = Edge::of(&service, 1);
    let first = edge.line("u", &unsubscribe);
    let later = edge.line_at(
        "u",
        &unsubscribe,
        kraiter_wire::UnixMillis(crate::edge::now().0 + 5000),
    );
    edge.post(first);
    let unsubscribed_at = api.contact("ada@example.com").unwrap()["unsubscribedAt"].clone();
    let events = all(&api, "/events?type=email.unsubscribed");
    assert_eq!(events[0]["timestamp"], unsubscribed_at);
    assert_eq!(
        api.sent("snd-1").unwrap()["unsubscribedAt"],
        unsubscribed_at
    );
    edge.post(later);
    assert_eq!(
        api.contact("ada@example.com").unwrap()["unsubscribedAt"],
        unsubscribed_at
    );
    let again = rewrite(&api, "snd-2", "ada@example.com");
    assert_eq!(again["warnings"], json!(["contact_unsubscribed"]));
}

#[test]
fn a_dry_run_registers_nothing_and_its_events_are_not_kept() {
    let service = Service::start("dry-run");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    rewrite(&api, "snd-1", "known@example.com");
    let before = all(&api, "/events");
    for contact in ["new@example.com", "known@example.com"] {
        let body = json!({"sendId": "snd-dry", "contact": contact, "dryRun": true,
            "html": r#"<a href="https://shop.example/x">x</a>"#});
        let mail = api.write("POST", "/rewrite", &body).unwrap();
        let (pixel, clicks, unsubscribe) = tokens(&mail);
        let batch =
            edge.line("o", &pixel) + &edge.line("c", &clicks[0]) + &edge.line("u", &unsubscribe);
        let answer = edge.post(batch);
        let expected =
            json!({"accepted": 0, "duplicates": 0, "rejected": 3, "reasons": {"too_old": 3}});
        assert_eq!(answer, expected);
    }
    assert_eq!(api.get("/sends/snd-dry").unwrap().status, 404);
    assert_eq!(api.get("/contacts/new@example.com").unwrap().status, 404);
    assert_eq!(counts(&api, "known@example.com"), [1, 0, 0]);
    assert_eq!(all(&api, "/events"), before);
}

#[test]
fn where_tracking_is_off_mail_goes_out_as_it_came_in_and_nothing_is_recorded() {
    let service = Service::start("tracking-off");
    let api = service.tenant("shop");
    let (pixel, clicks, unsubscribe) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    api.write("PATCH", "/settings", &json!({"trackingEnabled": false}))
        .unwrap();
    let html = r#"<body><a href="https://shop.example/x">x</a></body>"#;
    let body = json!({"sendId": "snd-2", "contact": "ada@example.com", "html": html,
        "text": "https://shop.example/x", "options": {"trackText": true}});
    let mail = api.write("POST", "/rewrite", &body).unwrap();
    assert_eq!(
        (&mail["html"], &mail["text"]),
        (&json!(html), &body["text"])
    );
    assert_eq!(mail["warnings"], json!(["tracking_disabled"]));
    // The send is still a send, and its recipient can still unsubscribe.
    let header = mail["headers"]["List-Unsubscribe"].as_str().unwrap();
    assert!(header.contains("/u/"), "{header}");
    let mut edge = Edge::of(&service, 1);
    let batch =
        edge.line("o", &pixel) + &edge.line("c", &clicks[0]) + &edge.line("u", &unsubscribe);
    let expected =
        json!({"accepted": 1, "duplicates": 0, "rejected": 2, "reasons": {"tracking_off": 2}});
    assert_eq!(edge.post(batch), expected);
    assert_eq!(counts(&api, "ada@example.com"), [2, 0, 0]);
    assert!(api.contact("ada@example.com").unwrap()["unsubscribedAt"].is_string());
}

#[test]
fn changed_settings_hold_from_the_next_mail_on() {
    let service = Service::start("settings");
    let api = service.tenant("shop");
    let change = json!({"trackingOrigin": "HTTPS://Go.Example:443/", "trackingPathPrefix": "/t"});
    let settings = api.write("PATCH", "/settings", &change).unwrap();
    assert_eq!(settings["trackingOrigin"], "https://go.example");
    assert_eq!(api.read("/settings").unwrap(), settings);
    let mail = rewrite(&api, "snd-1", "ada@example.com");
    let link = mail["links"][0]["trackedUrl"].as_str().unwrap();
    assert_eq!(
        link.strip_suffix(&token_of(link)),
        Some("https://go.example/t/c/")
    );
    let change = json!({"recordingMaxAgeDays": 7});
    assert_eq!(
        api.write("PATCH", "/settings", &change).unwrap()["recordingMaxAgeDays"],
        7
    );
    let same = api.write("PATCH", "/settings", &json!({})).unwrap();
    assert_eq!(
        (&same["recordingMaxAgeDays"], &same["trackingPathPrefix"]),
        (&json!(7), &json!("/t"))
    );
    let lifted = api
        .write("PATCH", "/settings", &json!({"recordingMaxAgeDays": null}))
        .unwrap();
    assert_eq!(lifted["recordingMaxAgeDays"], Value::Null);
}

#[test]
fn settings_changed_at_the_same_time_are_all_kept() {
    let service = Service::start("settings-at-once");
    let api = service.tenant("shop");
    let changes = [
        json!({"trackingPathPrefix": "/t"}),
        json!({"retentionDays": 90}),
        json!({"addressMode": "none"}),
        json!({"recordingMaxAgeDays": 30}),
    ];
    for round in 0..5 {
        let reset = json!({"trackingPathPrefix": "", "retentionDays": 400, "addressMode": "full",
            "recordingMaxAgeDays": null});
        api.write("PATCH", "/settings", &reset).unwrap();
        std::thread::scope(|scope| {
            for change in &changes {
                scope.spawn(|| api.write("PATCH", "/settings", change).unwrap());
            }
        });
        let settings = api.read("/settings").unwrap();
        for change in &changes {
            for (name, value) in change.as_object().unwrap() {
                assert_eq!(&settings[name], value, "round {round}: {settings}");
            }
        }
    }
}
