//! Who made an event: the verdict beside it, and numbers of people and machines apart.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, Mint, now, stranger, tokens};
use crate::service::{Service, all, rewrite};

pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0";
const GMAIL: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 \
                     (via ggpht.com GoogleImageProxy)";

fn verdicts(api: &Api, query: &str) -> Vec<(Value, Value, Value)> {
    let events = all(api, &format!("/events{query}"));
    let mut found: Vec<_> = events
        .iter()
        .map(|event| {
            let of = |name| event[name].clone();
            (of("type"), of("verdict"), of("reasons"))
        })
        .collect();
    found.reverse();
    found
}

#[test]
fn each_open_and_click_has_its_verdict_and_reasons_at_once() {
    let service = Service::start("verdicts-at-once");
    let api = service.tenant("shop");
    let (pixel, clicks, page) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let at = |minutes: u64| UnixMillis(now().0 - HOUR + minutes * 60_000);
    let cases = [
        (
            "o",
            json!({"ua": FIREFOX, "ip": "203.0.113.9"}),
            "human",
            json!([]),
        ),
        (
            "o",
            json!({"ua": "Mozilla/5.0"}),
            "machine",
            json!(["apple_mpp"]),
        ),
        ("o", json!({"ua": GMAIL}), "human", json!(["image_proxy"])),
        (
            "o",
            json!({"ua": FIREFOX, "sp": "prefetch;prerender"}),
            "machine",
            json!(["prefetch"]),
        ),
        (
            "c",
            json!({"ua": "curl/8.5.0"}),
            "machine",
            json!(["bot_ua"]),
        ),
        (
            "o",
            json!({"ua": FIREFOX, "ip": "40.107.3.4"}),
            "suspect",
            json!(["scanner_net"]),
        ),
        ("o", json!({}), "machine", json!(["bot_ua"])),
        ("u", json!({}), "", Value::Null),
    ];
    let mut batch = String::new();
    let mut expected = Vec::new();
    for (minutes, (kind, signals, verdict, reasons)) in (0..).zip(cases) {
        let (token, name) = match kind {
            "o" => (&pixel, "email.opened"),
            "c" => (&clicks[0], "email.clicked"),
            _ => (&page, "email.unsubscribed"),
        };
        batch += &edge.line_with(kind, token, at(minutes), signals);
        let verdict = if verdict.is_empty() {
            Value::Null
        } else {
            json!(verdict)
        };
        expected.push((json!(name), verdict, reasons));
    }
    edge.post(batch);
    let seen = "?type=email.opened,email.clicked,email.unsubscribed";
    assert_eq!(verdicts(&api, seen), expected);
    let machines = expected
        .iter()
        .filter(|(_, verdict, _)| verdict == "machine");
    assert_eq!(
        verdicts(&api, "?verdict=machine"),
        machines.cloned().collect::<Vec<_>>()
    );
    assert_eq!(verdicts(&api, "?verdict=human,suspect").len(), 3);
    let wrong = api.read("/events?verdict=robot").unwrap_err().to_string();
    assert!(wrong.contains("human, machine or suspect"), "{wrong}");
}

/// A contact's, a send's and a campaign's numbers, checked against the same expectation.
#[test]
fn people_and_machines_are_counted_apart_and_the_totals_stay_what_they_were() {
    let url = database::fresh().unwrap();
    let service = Service::on("verdicts-apart", &url);
    let api = service.tenant("shop");
    let (pixel, clicks, _) = tokens(&rewrite(&api, "snd-1", "ada@example.com"));
    let mut edge = Edge::of(&service, 1);
    let at = |hours: u64| UnixMillis(now().0 - 40 * HOUR + hours * HOUR);
    let person = json!({"ua": FIREFOX, "ip": "203.0.113.9"});
    let machine = json!({"ua": "Mozilla/5.0", "ip": "203.0.113.200"});
    let suspect = json!({"ua": FIREFOX, "ip": "40.107.3.4"});
    let mut lines = Vec::new();
    for (kind, token, hours, signals) in [
        ("o", &pixel, 1, &machine),
        ("o", &pixel, 5, &person),
        ("o", &pixel, 9, &person),
        ("o", &pixel, 10, &suspect),
        ("c", &clicks[0], 2, &machine),
        ("c", &clicks[0], 6, &person),
    ] {
        lines.push(edge.line_with(kind, token, at(hours), signals.clone()));
    }
    // In three groups, the earlier events last.
    edge.post(lines[2..4].concat());
    edge.post(lines[5].clone() + &lines[1]);
    edge.post(lines[0].clone() + &lines[4]);
    let contact = api.contact("ada@example.com").unwrap();
    let send = api.sent("snd-1").unwrap();
    let events = all(&api, "/events?verdict=human");
    let time = |kind: &str, first: bool| {
        let mut of_kind = events.iter().filter(|event| event["type"] == kind);
        let event = if first {
            of_kind.next_back()
        } else {
            of_kind.next()
        };
        event.unwrap()["timestamp"].clone()
    };
    let numbers = [
        (&contact["emailsOpenedCount"], 4),
        (&contact["emailsHumanOpenedCount"], 2),
        (&contact["emailsMachineOpenedCount"], 1),
        (&contact["emailsClickedCount"], 2),
        (&contact["emailsHumanClickedCount"], 1),
        (&contact["emailsMachineClickedCount"], 1),
        (&send["opensCount"], 4),
        (&send["humanOpensCount"], 2),
        (&send["machineOpensCount"], 1),
        (&send["clicksCount"], 2),
        (&send["humanClicksCount"], 1),
        (&send["machineClicksCount"], 1),
    ];
    for (number, (value, expected)) in numbers.into_iter().enumerate() {
        assert_eq!(*value, expected, "{number}: {contact} {send}");
    }
    assert_eq!(
        contact["lastEmailHumanOpenedAt"],
        time("email.opened", false)
    );
    assert_eq!(
        contact["lastEmailHumanClickedAt"],
        time("email.clicked", false)
    );
    assert_eq!(send["humanOpenedAt"], time("email.opened", true));
    assert_eq!(send["humanClickedAt"], time("email.clicked", true));
    let campaign = api.read("/campaigns/spring").unwrap();
    let stats = api.read("/stats?campaign=spring&interval=hour").unwrap();
    assert_eq!(stats["totals"], campaign["totals"]);
    for (name, expected) in [
        ("opens", 4),
        ("humanOpens", 2),
        ("machineOpens", 1),
        ("uniqueOpens", 1),
        ("uniqueHumanOpens", 1),
        ("clicks", 2),
        ("humanClicks", 1),
        ("machineClicks", 1),
        ("uniqueHumanClicks", 1),
    ] {
        assert_eq!(stats["totals"][name], expected, "{name}: {stats}");
    }
    assert_eq!(stats["rates"]["humanOpenRate"], 1.0);
    let points = stats["points"].as_array().unwrap();
    let firsts = points.iter().filter(|point| point["uniqueHumanOpens"] == 1);
    assert_eq!(
        firsts.map(|point| &point["humanOpens"]).collect::<Vec<_>>(),
        [1]
    );
    for of in ["campaign=spring", "sendId=snd-1"] {
        let links = all(&api, &format!("/stats/links?{of}"));
        assert_eq!(links[0]["clicks"], 2, "{links:?}");
        assert_eq!(links[0]["humanClicks"], 1, "{links:?}");
        assert_eq!(links[0]["machineClicks"], 1, "{links:?}");
    }
    let conditions = json!({"conditions": [
        {"property": "contact.emailsHumanOpenedCount", "operator": "equals", "value": 2},
        {"property": "contact.emailsMachineClickedCount", "operator": "equals", "value": 1},
        {"property": "contact.lastEmailHumanClickedAt", "operator": "withinLast", "value": "2d"}]});
    let found = api.write("POST", "/contacts/search", &conditions).unwrap();
    assert_eq!(found["items"][0]["email"], "ada@example.com", "{found}");
    let report = service.backend.command(&["verify"]).unwrap();
    assert!(report.starts_with("0 differences"), "{report}");
}

#[test]
fn an_event_names_its_client_and_says_where_a_proxy_asked() {
    let service = Service::start("verdicts-clients");
    service.tenant("shop");
    let api = service.tenant("other");
    let mint = Mint::of(&service, 2);
    let mut edge = Edge::of(&service, 1);
    let token = mint.open("snd-1", &stranger(1));
    let mut batch = String::new();
    for (minutes, signals) in [json!({"ua": FIREFOX}), json!({"ua": GMAIL}), json!({})]
        .into_iter()
        .enumerate()
    {
        let at = UnixMillis(now().0 - HOUR + minutes as u64 * 60_000);
        batch += &edge.line_with("o", &token, at, signals);
    }
    edge.post(batch);
    let clients: Vec<_> = all(&api, "/events")
        .iter()
        .map(|event| event["client"].clone())
        .collect();
    let firefox = json!({"browser": "Firefox", "os": "Windows 10", "device": "computer",
        "proxied": false});
    let gmail = json!({"mailClient": "Gmail", "proxied": true});
    assert_eq!(clients, [Value::Null, gmail, firefox]);
}

#[test]
fn a_truncated_address_is_judged_where_its_prefix_decides() {
    let service = Service::start("verdicts-truncated");
    let api = service.tenant("shop");
    let settings = json!({"addressMode": "truncated"});
    api.write("PATCH", "/settings", &settings).unwrap();
    let mint = Mint::of(&service, 1);
    let mut edge = Edge::of(&service, 1);
    let token = mint.open("snd-1", &stranger(1));
    let signals = json!({"ua": FIREFOX, "ip": "40.92.7.8"});
    let line = edge.line_with("o", &token, now(), signals);
    edge.post(line);
    let event = &all(&api, "/events")[0];
    assert_eq!(
        (&event["ip"], &event["verdict"]),
        (&json!("40.92.7.0"), &json!("suspect"))
    );
}
