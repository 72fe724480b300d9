//! Verdicts that need neighbours: corrected a moment later, the same whatever came first, with every
//! number that hangs on them.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::wait;
use kraiter_wire::{ContactId, UnixMillis};
use proptest::prelude::{Just, Strategy};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, Mint, now, tokens};
use crate::service::{Service, all, options};
use crate::verdicts::FIREFOX;

const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/131.0.0.0 Safari/537.36";

/// One that settles every second.
pub(crate) fn service(name: &str, url: &str) -> Service {
    let mut options = options(name, Some(url));
    let interval = ("KRAITER_SETTLING_INTERVAL".into(), "1".into());
    options.env.push(interval);
    Service::with(name, options)
}

/// Waits until no event waits for its neighbours.
pub(crate) fn settled(url: &str) {
    let empty = "do $$ begin if exists (select from unsettled) \
                   or exists (select from unsettled_clicks) then raise 'some wait'; end if; end $$";
    let settled = || database::execute(url, empty).map_err(|error| error.to_string());
    wait::until("events to be settled", settled).unwrap();
}

pub(crate) fn assert_all_is_as_judged_from_scratch(service: &Service) {
    let report = service.backend.says(&["verify", "--json"]).unwrap();
    assert_eq!(report["differences"], 0, "{report}");
    let report = service.backend.says(&["reclassify", "--dry-run", "--json"]);
    let report = report.unwrap();
    assert_eq!(report["reasonsChanged"], 0, "{report}");
    assert_eq!(report["verdictsChanged"], 0, "{report}");
}

pub(crate) fn reasons(api: &Api, query: &str) -> Vec<Value> {
    let events = all(
        api,
        &format!("/events?type=email.opened,email.clicked{query}"),
    );
    events
        .iter()
        .map(|event| event["reasons"].clone())
        .collect()
}

pub(crate) fn two_links(api: &Api, send: &str) -> (String, Vec<String>) {
    let html = r#"<a href="https://shop.example/x">x</a><a href="https://shop.example/y">y</a>"#;
    let body = json!({"sendId": send, "contact": "ada@example.com", "campaign": "spring",
        "html": html});
    let (pixel, clicks, _) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
    (pixel, clicks)
}

#[test]
fn a_burst_takes_back_what_its_first_click_and_its_open_counted_as() {
    let url = database::fresh().unwrap();
    let service = service("settling-burst", &url);
    let api = service.tenant("shop");
    let (pixel, clicks) = two_links(&api, "snd-1");
    let mut edge = Edge::of(&service, 1);
    let start = now().0 + HOUR / 2;
    let source = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    let person = json!({"ua": CHROME, "ip": "198.51.100.7"});
    let mut at = |kind: &str, token: &str, after: u64, by: &Value| {
        let line = edge.line_with(kind, token, UnixMillis(start + after), by.clone());
        edge.post(line);
        settled(&url);
    };
    at("o", &pixel, 0, &source);
    at("c", &clicks[0], 900, &source);
    let human = |api: &Api| {
        let contact = api.contact("ada@example.com").unwrap();
        let totals = api.read("/campaigns/spring").unwrap()["totals"].take();
        let links = all(api, "/stats/links?campaign=spring");
        let clicks: i64 = links
            .iter()
            .map(|link| link["humanClicks"].as_i64().unwrap())
            .sum();
        let send = api.sent("snd-1").unwrap();
        assert_eq!(send["humanClicksCount"], clicks);
        let numbers = ["emailsHumanOpenedCount", "emailsHumanClickedCount"];
        let [opened, clicked] = numbers.map(|name| contact[name].clone());
        assert_eq!(totals["humanOpens"], opened);
        assert_eq!(totals["humanClicks"], clicked);
        assert_eq!(
            totals["uniqueHumanOpens"],
            i64::from(!send["humanOpenedAt"].is_null())
        );
        (
            opened,
            clicked,
            contact["lastEmailHumanClickedAt"].is_null(),
        )
    };
    assert_eq!(human(&api), (json!(1), json!(1), false));
    at("c", &clicks[1], 1800, &source);
    assert_eq!(human(&api), (json!(0), json!(0), true));
    assert_eq!(reasons(&api, ""), vec![json!(["burst"]); 3]);
    // The reader comes later, from elsewhere.
    at("c", &clicks[1], 60_000, &person);
    assert_eq!(human(&api), (json!(0), json!(1), false));
    let totals = api.contact("ada@example.com").unwrap();
    assert_eq!(totals["emailsClickedCount"], 3);
    assert_eq!(totals["emailsMachineClickedCount"], 2);
    assert_all_is_as_judged_from_scratch(&service);
}

#[test]
fn one_address_that_clicks_for_many_recipients_is_a_machine_for_the_first_of_them_too() {
    let url = database::fresh().unwrap();
    let service = service("settling-many", &url);
    let api = service.tenant("shop");
    let mint = Mint::of(&service, 1);
    let mut edge = Edge::of(&service, 1);
    let start = now().0 - HOUR;
    let mut click = |number: u8| {
        let contact = ContactId::from_bytes([number; 16]).to_string();
        let token = mint.click(
            &format!("snd-{number}"),
            &contact,
            0,
            "https://shop.example/",
        );
        let at = UnixMillis(start + u64::from(number) * 50_000);
        let line = edge.line_with("c", &token, at, json!({"ua": FIREFOX, "ip": "203.0.113.9"}));
        edge.post(line);
    };
    (1..8).for_each(&mut click);
    settled(&url);
    assert_eq!(reasons(&api, ""), vec![json!([]); 7]);
    click(8);
    settled(&url);
    assert_eq!(reasons(&api, ""), vec![json!(["many_recipients"]); 8]);
    assert_eq!(all(&api, "/events?verdict=machine").len(), 8);
    assert_all_is_as_judged_from_scratch(&service);
}

#[test]
fn an_open_is_too_soon_whether_the_sending_is_reported_before_or_after_it() {
    let url = database::fresh().unwrap();
    let service = service("settling-soon", &url);
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let sent = now().0 - HOUR;
    for (send, first) in [("snd-before", true), ("snd-after", false)] {
        let html = r#"<p>x</p>"#;
        let body = json!({"sendId": send, "contact": "ada@example.com", "html": html,
            "status": "queued"});
        let (pixel, ..) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
        let report = || {
            let timestamp = jiff::Timestamp::from_millisecond(sent as i64).unwrap();
            let report = json!({"status": "sent", "timestamp": timestamp.to_string()});
            api.write("PATCH", &format!("/sends/{send}"), &report)
                .unwrap();
        };
        if first {
            report();
        }
        for after in [1000, 3000] {
            let by = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
            let line = edge.line_with("o", &pixel, UnixMillis(sent + after), by);
            edge.post(line);
        }
        if !first {
            report();
        }
        settled(&url);
        let of_send = format!("&sendId={send}");
        assert_eq!(
            reasons(&api, &of_send),
            [json!([]), json!(["too_soon"])],
            "{send}"
        );
    }
    let contact = api.contact("ada@example.com").unwrap();
    assert_eq!(contact["emailsHumanOpenedCount"], 2);
    assert_eq!(contact["emailsMachineOpenedCount"], 0);
    assert_all_is_as_judged_from_scratch(&service);
}

#[derive(Clone, Debug)]
struct Seen {
    recipient: u8,
    /// An open, or which link.
    link: Option<u32>,
    after: u64,
    source: usize,
}

fn traffic() -> impl Strategy<Value = (Vec<Seen>, Vec<usize>)> {
    let sources = 0..4_usize;
    let link = proptest::option::weighted(0.7, 0..3_u32);
    let after = proptest::prop_oneof![0..4_000_u64, 0..60_000_u64, 0..1_500_000_u64];
    let seen = (0..11_u8, link, after, sources).prop_map(|(recipient, link, after, source)| Seen {
        recipient,
        link,
        after,
        source,
    });
    proptest::collection::vec(seen, 20..90).prop_flat_map(|seen| {
        let order: Vec<usize> = (0..seen.len()).collect();
        (Just(seen), Just(order).prop_shuffle())
    })
}

/// The lines of a case, with the same ids for each tenant.
fn lines(service: &Service, tenant: u32, case: u8, seen: &[Seen], start: u64) -> Vec<String> {
    let mint = Mint::of(service, tenant);
    let mut edge = Edge::of(service, case);
    let line = |seen: &Seen| {
        let send = format!("snd-{case}-{}", seen.recipient);
        let mut id = [seen.recipient; 16];
        id[0] = case;
        let contact = ContactId::from_bytes(id).to_string();
        let (kind, token) = match seen.link {
            None => ("o", mint.open(&send, &contact)),
            Some(link) => {
                let url = format!("https://shop.example/{link}");
                ("c", mint.click(&send, &contact, link, &url))
            }
        };
        // Two browsers at one address, and one browser at two addresses of a network.
        let (last, name) = [(9, FIREFOX), (9, CHROME), (77, CHROME), (78, FIREFOX)][seen.source];
        let signals = json!({"ua": name, "ip": format!("203.0.{case}.{last}")});
        edge.line_with(kind, &token, UnixMillis(start + seen.after), signals)
    };
    seen.iter().map(line).collect()
}

#[test]
fn verdicts_are_the_same_in_whatever_order_and_groups_events_arrive() {
    let url = database::fresh().unwrap();
    let first = service("settling-order", &url);
    let twin = first.twin("settling-order-2", &url);
    let [at_once, in_parts] = ["at-once", "in-parts"].map(|name| first.tenant(name));
    let edge = Edge::of(&first, 1);
    let mut other = edge.clone();
    other.address = twin.backend.address();
    let start = now().0 - HOUR;
    let mut runner = TestRunner::default();
    let cases: Vec<_> = (0..24)
        .map(|case| {
            let (seen, order) = traffic().new_tree(&mut runner).unwrap().current();
            edge.post(lines(&first, 1, case, &seen, start).concat());
            let lines = lines(&first, 2, case, &seen, start);
            let lines: Vec<String> = order.iter().map(|at| lines[*at].clone()).collect();
            (seen, lines)
        })
        .collect();
    // In four rounds with settling between them, each in groups of different sizes.
    for round in 0..4 {
        for (case, (_, lines)) in cases.iter().enumerate() {
            let part = lines.len().div_ceil(4);
            for group in lines
                .chunks(part)
                .nth(round)
                .unwrap_or(&[])
                .chunks(1 + case % 7)
            {
                [&edge, &other][case % 2].post(group.concat());
            }
        }
        settled(&url);
    }
    let events = |api: &Api| {
        let mut events = all(api, "/events");
        for event in &mut events {
            event.as_object_mut().unwrap().remove("contact");
        }
        events
    };
    let [of_one, of_other] = [events(&at_once), events(&in_parts)];
    assert_eq!(of_one.len(), of_other.len());
    for (one, other) in of_one.iter().zip(&of_other) {
        assert_eq!(one, other, "{cases:?}");
    }
    for reason in ["burst", "many_recipients"] {
        let has = |event: &&Value| {
            event["reasons"]
                .as_array()
                .unwrap()
                .contains(&json!(reason))
        };
        let found = of_one.iter().filter(has).count();
        assert!(0 < found && found < of_one.len(), "{found} {reason}");
    }
    let totals = |api: &Api| api.read("/stats").unwrap()["totals"].take();
    assert_eq!(totals(&at_once), totals(&in_parts));
    assert_all_is_as_judged_from_scratch(&first);
}
