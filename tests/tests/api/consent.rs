//! Consent to tracking: what changes once a contact withdraws it, for mail to come and mail sent.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::edge::{Edge, Mint, stranger, tokens};
use crate::service::{Service, all, counts, rewrite};

const ADA: &str = "ada@example.com";
const HTML: &str = r#"<p><a href="https://shop.example/x?a=1&amp;b=2">x</a> <a href="kraiter:unsubscribe">bye</a></p>"#;

fn ask(api: &Api, method: &str, contact: &str) -> Response {
    api.send(Request::new(method, format!("/contacts/{contact}/consent")))
        .unwrap()
}

fn withdraw(api: &Api, contact: &str) {
    let answer = ask(api, "DELETE", contact);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["trackingConsent"], "withdrawn");
}

fn give(api: &Api, contact: &str) {
    let answer = ask(api, "PUT", contact);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["trackingConsent"], "given");
}

#[test]
fn consent_is_unknown_given_or_withdrawn_and_shown_with_the_contact() {
    let service = Service::start("consent");
    let api = service.tenant("shop");
    rewrite(&api, "snd-1", ADA);
    assert_eq!(api.contact(ADA).unwrap()["trackingConsent"], Value::Null);
    give(&api, ADA);
    let id = api.contact(ADA).unwrap()["id"].as_str().unwrap().to_owned();
    withdraw(&api, &id);
    withdraw(&api, "ADA@example.com");
    let contact = api.contact(ADA).unwrap();
    assert_eq!(ask(&api, "DELETE", ADA).json(), contact);
    let request = Request::new("PUT", format!("/contacts/{ADA}/consent"));
    assert_eq!(
        api.send(request.clone().body("application/json", "{}"))
            .unwrap()
            .status,
        200
    );
    for (body, status) in [("{\"given\":true}", 422), ("[]", 422), ("{", 400)] {
        let answer = api
            .send(request.clone().body("application/json", body))
            .unwrap();
        assert_eq!(answer.status, status, "{body}");
    }
    // An id says nothing of whom to ask, so it makes no contact; an address does.
    for (contact, status) in [
        (stranger(1).as_str(), 404),
        ("nobody", 422),
        ("new@example.com", 200),
    ] {
        assert_eq!(ask(&api, "DELETE", contact).status, status, "{contact}");
    }
    assert_eq!(counts(&api, "new@example.com"), [0, 0, 0]);
}

#[test]
fn mail_to_a_contact_without_consent_is_returned_untracked_and_counted_as_sent() {
    let service = Service::start("consent-mail");
    let api = service.tenant("shop");
    // Before its first mail.
    withdraw(&api, ADA);
    let mail = |send: &str, options: Value| {
        let body = json!({"sendId": send, "contact": ADA, "html": HTML, "text": "https://a.example",
            "options": options});
        api.write("POST", "/rewrite", &body).unwrap()
    };
    let untracked = mail("snd-1", json!({"trackText": true}));
    assert_eq!(untracked["warnings"], json!(["no_consent"]));
    let (html, text) = (
        untracked["html"].as_str().unwrap(),
        untracked["text"].as_str().unwrap(),
    );
    let unsubscribe = html.split('"').find(|part| part.contains("/u/")).unwrap();
    assert_eq!(html, HTML.replace("kraiter:unsubscribe", unsubscribe));
    assert_eq!(text, "https://a.example");
    let header = untracked["headers"]["List-Unsubscribe"].as_str().unwrap();
    assert_eq!(header, format!("<{unsubscribe}>"));
    assert_eq!(counts(&api, ADA), [1, 0, 0]);
    // The same as if nobody had asked for tracking, to the byte.
    let off = mail("snd-1", json!({"trackOpens": false, "trackClicks": false}));
    assert_eq!(off, untracked);

    give(&api, ADA);
    let tracked = mail("snd-2", json!({}));
    assert_eq!(tracked["warnings"], json!([]));
    assert_eq!(tokens(&tracked).1.len(), 1);
}

#[test]
fn a_batch_and_a_dry_run_leave_those_without_consent_untracked_and_nobody_else() {
    let service = Service::start("consent-batch");
    let api = service.tenant("shop");
    withdraw(&api, ADA);
    give(&api, "grace@example.com");
    let lines = [
        json!({"html": HTML}),
        json!({"contact": "grace@example.com"}),
        json!({"contact": ADA}),
        json!({"contact": ADA, "html": "<a href=\"https://own.example/\">own</a>"}),
        json!({"contact": "edsger@example.com"}),
    ];
    let body = lines.map(|line| line.to_string()).join("\n");
    let request = Request::new("POST", "/rewrite/batch").body("application/x-ndjson", body);
    let answer = api.send(request).unwrap();
    let mails: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let tracked = |mail: &Value| mail["html"].as_str().unwrap().contains(".gif");
    assert_eq!(
        mails.iter().map(tracked).collect::<Vec<_>>(),
        [true, false, false, true]
    );
    for mail in &mails[1..3] {
        assert_eq!(mail["warnings"], json!(["no_consent"]));
        assert!(!mail["html"].as_str().unwrap().contains("/c/"));
    }
    let dry = json!({"contact": ADA, "html": HTML, "dryRun": true});
    let dry = api.write("POST", "/rewrite", &dry).unwrap();
    assert_eq!(
        (tracked(&dry), &dry["warnings"]),
        (false, &json!(["no_consent"]))
    );
}

#[test]
fn events_on_mail_already_sent_are_refused_once_consent_is_withdrawn() {
    let service = Service::start("consent-ingest");
    let api = service.tenant("shop");
    let (pixel, clicks, bye) = tokens(&rewrite(&api, "snd-1", ADA));
    let (other, ..) = tokens(&rewrite(&api, "snd-2", "grace@example.com"));
    let mut edge = Edge::of(&service, 1);
    let before = edge.line("o", &pixel);
    assert_eq!(edge.post(before.as_str())["accepted"], 1);
    withdraw(&api, ADA);
    let batch = edge.line("o", &pixel)
        + &edge.line("c", &clicks[0])
        + &edge.lines("o", &other, 3)
        + &edge.line("u", &bye)
        + &before;
    let answer = edge.post(batch.as_str());
    let expected = json!({"accepted": 4, "duplicates": 0, "rejected": 3,
        "reasons": {"no_consent": 3}});
    assert_eq!(answer, expected);
    let again = json!({"accepted": 0, "duplicates": 4, "rejected": 3,
        "reasons": {"no_consent": 3}});
    assert_eq!(edge.post(batch.as_str()), again);
    assert_eq!(counts(&api, ADA), [1, 1, 0]);
    assert!(api.contact(ADA).unwrap()["unsubscribedAt"].is_string());
    assert_eq!(counts(&api, "grace@example.com"), [1, 3, 0]);
    assert_eq!(all(&api, &format!("/contacts/{ADA}/events?")).len(), 3);

    // Given again, what comes from then on counts; so does a replay of what was refused.
    give(&api, ADA);
    assert_eq!(edge.post(batch)["accepted"], 2);
    assert_eq!(counts(&api, ADA), [1, 2, 1]);
}

#[test]
fn consent_of_one_tenants_contact_is_no_other_tenants() {
    let url = database::fresh().unwrap();
    let service = Service::on("consent-tenants", &url);
    let (shop, other) = (service.tenant("shop"), service.tenant("other"));
    withdraw(&shop, ADA);
    let contact = shop.contact(ADA).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut edge = Edge::of(&service, 1);
    let batch: String = [1, 2]
        .map(|tenant| Mint::of(&service, tenant).open("snd-1", &contact))
        .iter()
        .map(|token| edge.line("o", token))
        .collect();
    let expected = json!({"accepted": 1, "duplicates": 0, "rejected": 1,
        "reasons": {"no_consent": 1}});
    assert_eq!(edge.post(batch), expected);
    assert_eq!(counts(&other, &contact), [0, 1, 0]);
    assert_eq!(counts(&shop, ADA), [0, 0, 0]);
}

#[test]
fn consent_that_changes_under_load_leaves_counters_equal_to_their_events() {
    let service = Service::start("consent-load");
    let api = service.tenant("shop");
    let tokens: Vec<String> = (0..4)
        .map(|n| {
            tokens(&rewrite(
                &api,
                &format!("snd-{n}"),
                &format!("c{n}@example.com"),
            ))
            .0
        })
        .collect();
    let accepted: u64 = std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60 {
                let contact = format!("c{}@example.com", round % 4);
                ask(&api, if round % 8 < 4 { "DELETE" } else { "PUT" }, &contact);
            }
        });
        let posts: Vec<_> = (0..3)
            .map(|seed| {
                let mut edge = Edge::of(&service, seed);
                let tokens = &tokens;
                scope.spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..40 {
                        let batch: String = tokens
                            .iter()
                            .map(|token| edge.lines("o", token, 5))
                            .collect();
                        let answer = edge.post(batch);
                        let number = |name: &str| answer[name].as_u64().unwrap();
                        assert_eq!(number("accepted") + number("rejected"), 20, "{answer}");
                        accepted += number("accepted");
                    }
                    accepted
                })
            })
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).sum()
    });
    let counted: u64 = (0..4)
        .map(|n| counts(&api, &format!("c{n}@example.com"))[1])
        .sum();
    assert_eq!(counted, accepted);
    assert_eq!(
        all(&api, "/events?type=email.opened").len() as u64,
        accepted
    );
}
