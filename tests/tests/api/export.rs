//! Export: one document with everything that is kept about a contact, and about nobody else.

use serde_json::{Value, json};

use crate::edge::{Edge, Mint, now, stranger, tokens};
use crate::service::{Service, all, rewrite};
use crate::verdicts::FIREFOX;

const ADA: &str = "ada@example.com";

fn texts(items: &Value, name: &str) -> Vec<String> {
    let items = items.as_array().unwrap().iter();
    items
        .map(|item| item[name].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_export_holds_the_contact_its_sends_and_events_and_nobody_elses() {
    let service = Service::start("export");
    let api = service.tenant("shop");
    let (pixel, clicks, bye) = tokens(&rewrite(&api, "snd-1", ADA));
    rewrite(&api, "snd-2", ADA);
    let (other, ..) = tokens(&rewrite(&api, "snd-3", "grace@example.com"));
    let mut edge = Edge::of(&service, 1);
    let signals = json!({"ua": FIREFOX, "ip": "203.0.113.9", "al": "de", "pu": "prefetch"});
    let batch = edge.line_with("o", &pixel, now(), signals)
        + &edge.line("c", &clicks[0])
        + &edge.line("u", &bye)
        + &edge.line("o", &other);
    assert_eq!(edge.post(batch)["accepted"], 4);

    let document = api.read(&format!("/contacts/{ADA}/export")).unwrap();
    let contact = api.contact(ADA).unwrap();
    assert_eq!(document["contact"], contact);
    assert_eq!(texts(&document["sends"], "id"), ["snd-1", "snd-2"]);
    for send in document["sends"].as_array().unwrap() {
        let shown = api.sent(send["id"].as_str().unwrap()).unwrap();
        for name in [
            "id",
            "status",
            "campaign",
            "sentAt",
            "openedAt",
            "clickedAt",
        ] {
            assert_eq!(send[name], shown[name], "{name}");
        }
    }
    let mut events = document["events"].as_array().unwrap().clone();
    let headers: Vec<Value> = events
        .iter_mut()
        .map(|event| event.as_object_mut().unwrap().remove("headers").unwrap())
        .collect();
    assert_eq!(events, all(&api, &format!("/contacts/{ADA}/events")));
    let opened = events
        .iter()
        .position(|event| event["type"] == "email.opened");
    let kept = json!({"acceptLanguage": "de", "purpose": "prefetch"});
    assert_eq!(headers[opened.unwrap()], kept);

    // The same by id, and the log says that it was made; the document itself is not kept.
    let id = contact["id"].as_str().unwrap();
    let by_id = api.read(&format!("/contacts/{id}/export")).unwrap();
    assert_eq!(by_id["events"], document["events"]);
    let audited = all(
        &api,
        &format!("/audit?action=contact.exported&contact={ADA}"),
    );
    assert_eq!(audited.len(), 2);
    let unknown = api
        .get(&format!("/contacts/{}/export", stranger(9)))
        .unwrap();
    assert_eq!(unknown.json()["code"], "unknown_contact");
}

#[test]
fn an_export_of_many_pages_is_one_document() {
    let service = Service::start("export-pages");
    let api = service.tenant("shop");
    let (mint, contact) = (Mint::of(&service, 1), stranger(1));
    let mut edge = Edge::of(&service, 1);
    // 200 are a page: sends end with a full one, events with a part of one.
    let mut batch = String::new();
    for number in 0..400 {
        let pixel = mint.open(&format!("snd-{number:03}"), &contact);
        batch += &edge.lines("o", &pixel, if number < 10 { 2 } else { 1 });
    }
    assert_eq!(edge.post(batch)["accepted"], 410);
    let document = api.read(&format!("/contacts/{contact}/export")).unwrap();
    let sends = texts(&document["sends"], "id");
    let expected: Vec<String> = (0..400).map(|number| format!("snd-{number:03}")).collect();
    assert_eq!(sends, expected);
    let ids = texts(&document["events"], "id");
    assert_eq!(ids.len(), 410);
    assert!(ids.is_sorted_by(|a, b| a > b));
}
