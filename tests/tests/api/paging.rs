//! Lists: every event once, whatever arrives meanwhile, and only those that were asked for.

use std::collections::BTreeSet;

use kraiter_tests::api::Api;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, now, tokens};
use crate::service::{Service, all, register, rewrite, texts};

/// Walks all pages. `between` is called after each.
fn walk(api: &Api, path: &str, limit: usize, mut between: impl FnMut()) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api
            .read(&format!("{path}{joint}limit={limit}{cursor}"))
            .unwrap();
        let of_page = page["items"].as_array().unwrap();
        assert!(of_page.len() <= limit);
        items.extend(of_page.iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else {
            return items;
        };
        assert_eq!(of_page.len(), limit, "only the last page is short");
        cursor = format!("&cursor={next}");
        between();
    }
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    texts(items, "id").into_iter().collect()
}

#[test]
fn every_event_is_on_one_page_while_new_ones_arrive() {
    let service = Service::start("pages");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let (other, ..) = tokens(&rewrite(&api, "snd-2", "bob@example.com"));
    let mut edge = Edge::of(&service, 1);
    // Many of the same millisecond, so that pages end between events of equal times.
    let past = now().0 - 10_000;
    for (token, count) in [(&pixel, 120), (&other, 80)] {
        let batch: String = (0..count)
            .map(|number| edge.line_at("o", token, UnixMillis(past + number / 40)))
            .collect();
        edge.post(batch);
    }
    for path in ["/events", "/contacts/ada@example.com/events"] {
        for limit in [1000, 37] {
            let before = all(&api, path);
            let seen = walk(&api, path, limit, || {
                edge.record("o", &pixel, 3);
            });
            assert_eq!(ids(&seen), ids(&before), "{path} by {limit}");
            assert_eq!(ids(&seen).len(), seen.len(), "none twice");
            let mut sorted = texts(&seen, "id");
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(texts(&seen, "id"), sorted, "newest first");
        }
        assert!(all(&api, path).len() > 120);
    }
}

#[test]
fn a_contacts_events_are_paged_as_well() {
    let service = Service::start("contact-pages");
    let api = service.tenant("shop");
    let (pixel, ..) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    register(&api, "snd-2", "bob@example.com");
    let mut edge = Edge::of(&service, 1);
    edge.record("o", &pixel, 50);
    let path = "/contacts/ada@example.com/events";
    let seen = walk(&api, path, 10, || ());
    assert_eq!((seen.len(), ids(&seen).len()), (51, 51));
    assert!(
        seen.iter()
            .all(|event| event["contact"] == "ada@example.com")
    );
    assert_eq!(
        walk(&api, path, 51, || ()).len(),
        51,
        "a last page that is full"
    );
}

#[test]
fn filters_narrow_the_list_and_hold_together() {
    let service = Service::start("filters");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let base = now().0 - 5 * HOUR;
    for (number, (send, contact, campaign)) in [
        ("snd-1", "ada@example.com", "spring"),
        ("snd-2", "ada@example.com", "autumn"),
        ("snd-3", "bob@example.com", "spring"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"sendId": send, "contact": contact, "campaign": campaign,
            "html": r#"<a href="https://shop.example/x">x</a>"#});
        let mail = api.write("POST", "/rewrite", &body).unwrap();
        let (pixel, clicks, _) = tokens(&mail);
        let at = UnixMillis(base + number as u64 * HOUR);
        let batch = edge.line_at("o", &pixel, at) + &edge.line_at("c", &clicks[0], at);
        edge.post(batch);
    }
    let time = |hours: u64| {
        let opened = all(&api, "/events?type=email.opened");
        let newest_first = texts(&opened, "timestamp");
        newest_first[2 - hours as usize].clone()
    };
    let id = api.contact("ada@example.com").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, expected) in [
        (String::new(), 9),
        ("?type=email.opened".to_owned(), 3),
        ("?type=email.opened,email.sent".to_owned(), 6),
        ("?type=email.bounced".to_owned(), 0),
        ("?sendId=snd-2".to_owned(), 3),
        ("?sendId=snd-9".to_owned(), 0),
        ("?contact=ada@example.com".to_owned(), 6),
        ("?contact=ADA%40example.com".to_owned(), 6),
        (format!("?contact={id}"), 6),
        ("?contact=nobody@example.com".to_owned(), 0),
        ("?campaign=spring".to_owned(), 6),
        ("?campaign=winter".to_owned(), 0),
        ("?campaign=spring&contact=ada@example.com".to_owned(), 3),
        (
            "?campaign=spring&contact=ada@example.com&type=email.clicked".to_owned(),
            1,
        ),
        (format!("?type=email.opened&from={}", time(1)), 2),
        (format!("?type=email.opened&to={}", time(1)), 1),
        (format!("?from={}&to={}", time(1), time(2)), 2),
        (format!("?from={}&to={}", time(2), time(1)), 0),
    ] {
        let events = all(&api, &format!("/events{query}"));
        assert_eq!(events.len(), expected, "{query}: {events:#?}");
        // The same by pages of one.
        assert_eq!(
            walk(&api, &format!("/events{query}"), 1, || ()).len(),
            expected,
            "{query}"
        );
    }
}

#[test]
fn addresses_of_all_kinds_can_be_looked_up() {
    let service = Service::start("odd-addresses");
    let api = service.tenant("shop");
    for (number, (address, path)) in [
        ("ada+news@example.com", "ada+news@example.com"),
        ("ada%b@example.com", "ada%25b@example.com"),
        ("a/b@example.com", "a%2Fb@example.com"),
        ("a?b#c@example.com", "a%3Fb%23c@example.com"),
        ("jürgen@bücher.example", "j%C3%BCrgen@b%C3%BCcher.example"),
        ("o'hara@example.com", "o'hara%40example.com"),
    ]
    .into_iter()
    .enumerate()
    {
        register(&api, &format!("snd-{number}"), address);
        assert_eq!(api.contact(path).unwrap()["email"], address);
        assert_eq!(all(&api, &format!("/contacts/{path}/events")).len(), 1);
    }
}

#[test]
fn a_send_shows_its_opens_and_clicks_oldest_first() {
    let service = Service::start("send-view");
    let api = service.tenant("shop");
    let html = r#"<a href="https://shop.example/0">0</a><a href="https://shop.example/1">1</a>"#;
    let body = json!({"sendId": "snd-1", "contact": "ada@example.com", "html": html});
    let (pixel, clicks, _) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
    let mut edge = Edge::of(&service, 1);
    let at = |hours: u64| UnixMillis(now().0 - hours * HOUR);
    let batch = edge.line_at("o", &pixel, at(1))
        + &edge.line_at("o", &pixel, at(3))
        + &edge.line_at("c", &clicks[1], at(2))
        + &edge.line_at("c", &clicks[0], at(1));
    edge.post(batch);
    let send = api.sent("snd-1").unwrap();
    let opens = send["opens"].as_array().unwrap();
    assert!(texts(opens, "timestamp").is_sorted());
    assert_eq!(
        (opens.len(), &send["openedAt"]),
        (2, &opens[0]["timestamp"])
    );
    let clicks = send["clicks"].as_array().unwrap();
    assert_eq!(
        texts(clicks, "url"),
        ["https://shop.example/1", "https://shop.example/0"]
    );
    assert_eq!(clicks[0]["index"], 1);
    assert_eq!(send["clickedAt"], clicks[0]["timestamp"]);

    // More than are shown: the newest of each kind are.
    edge.record("o", &pixel, 1200);
    let many = api.sent("snd-1").unwrap();
    assert_eq!(many["opensCount"], 1202);
    let opens = many["opens"].as_array().unwrap();
    assert_eq!(opens.len(), 1000);
    assert!(texts(opens, "timestamp").is_sorted());
    let newest = &all(&api, "/events?type=email.opened")[0];
    assert_eq!(opens[999]["id"], newest["id"]);
    assert_eq!(many["clicks"], send["clicks"]);
}
