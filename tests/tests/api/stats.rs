//! Statistics: the same numbers as the events themselves, by hour, day, campaign and link.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, now, tokens};
use crate::service::{Service, all, texts};

/// Two campaigns and mail without one, over three days, opened and clicked more than once.
fn busy(name: &str) -> (Service, Api) {
    let url = database::fresh().unwrap();
    let service = Service::on(name, &url);
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    for number in 0..12_u64 {
        let campaign = [json!("spring"), json!("a/b ü"), Value::Null];
        let body = json!({"sendId": format!("snd-{number}"),
            "contact": format!("reader{}@example.com", number % 5),
            "campaign": campaign[(number % 3) as usize],
            "html": r#"<a href="https://shop.example/x">x</a><a href="https://shop.example/y">y</a>"#});
        let (pixel, clicks, page) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
        let mut batch = String::new();
        for event in 0..number {
            let at = UnixMillis(now().0 - event * 7 * HOUR - number);
            batch += &edge.line_at("o", &pixel, at);
            if event % 2 == 0 {
                let link = &clicks[usize::from(event % 3 == 0)];
                batch += &edge.line_at("c", link, at);
            }
        }
        if number == 7 {
            batch += &edge.line("u", &page);
        }
        edge.post(batch + &edge.clone().line("o", &pixel));
        if number > 3 {
            let report = json!({"status": if number == 4 { "bounced" } else { "delivered" }});
            let path = format!("/sends/snd-{number}");
            api.write("PATCH", &path, &report).unwrap();
        }
    }
    (service, api)
}

const TYPES: [(&str, &str); 7] = [
    ("email.sent", "sent"),
    ("email.delivered", "delivered"),
    ("email.bounced", "bounced"),
    ("email.complained", "complained"),
    ("email.opened", "opens"),
    ("email.clicked", "clicks"),
    ("email.unsubscribed", "unsubscribes"),
];

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn every_point_counts_the_events_that_lie_in_it() {
    let (_service, api) = busy("stats-points");
    let events = all(&api, "/events");
    for query in [
        "",
        "?interval=hour&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z",
        "?interval=hour",
        "?interval=day&timeZone=America/New_York",
        "?timeZone=Asia/Kolkata",
        "?campaign=spring",
        "?interval=hour&campaign=a/b%20%C3%BC",
    ] {
        let stats = api.read(&format!("/stats{query}")).unwrap();
        let points = stats["points"].as_array().unwrap();
        assert_eq!(points[0]["start"], stats["from"]);
        let mut sums = [0; TYPES.len()];
        for (place, point) in points.iter().enumerate() {
            let start = point["start"].as_str().unwrap();
            let end = points
                .get(place + 1)
                .map_or(&stats["to"], |next| &next["start"]);
            let end = end.as_str().unwrap();
            for (sum, (kind, name)) in sums.iter_mut().zip(TYPES) {
                let inside = events.iter().filter(|event| {
                    let at = event["timestamp"].as_str().unwrap();
                    let campaign = event["campaign"].as_str();
                    let asked = match query {
                        "?campaign=spring" => campaign == Some("spring"),
                        _ if query.contains("campaign") => campaign == Some("a/b ü"),
                        _ => true,
                    };
                    event["type"] == kind && start <= at && at < end && asked
                });
                let counted = inside.count() as u64;
                assert_eq!(number(&point[name]), counted, "{query} {start} {name}");
                *sum += counted;
            }
        }
        for (sum, (_, name)) in sums.iter().zip(TYPES) {
            assert_eq!(number(&stats["totals"][name]), *sum, "{query} {name}");
        }
        let empty = query.contains("2026-01-01");
        assert_eq!(sums.iter().sum::<u64>() == 0, empty, "{query}");
    }
}

#[test]
fn all_endpoints_show_the_same_numbers() {
    let (_service, api) = busy("stats-agree");
    let campaigns = all(&api, "/campaigns");
    assert_eq!(campaigns.len(), 2, "{campaigns:?}");
    for (campaign, path) in campaigns.iter().zip(["a%2Fb%20%C3%BC", "spring"]) {
        assert_eq!(&api.read(&format!("/campaigns/{path}")).unwrap(), campaign);
        let stats = api.read(&format!("/stats?campaign={path}")).unwrap();
        assert_eq!(stats["totals"], campaign["totals"]);
        assert_eq!(stats["rates"], campaign["rates"]);
        let sends: Vec<_> = (0..12)
            .map(|send| api.sent(&format!("snd-{send}")).unwrap())
            .collect();
        let own = sends
            .iter()
            .filter(|send| send["campaign"] == campaign["name"]);
        let own: Vec<_> = own.collect();
        let sum = |name: &str| own.iter().map(|send| number(&send[name])).sum::<u64>();
        let times = |name: &str| own.iter().filter(|send| !send[name].is_null()).count() as u64;
        let totals = &campaign["totals"];
        assert_eq!(number(&totals["opens"]), sum("opensCount"));
        assert_eq!(number(&totals["clicks"]), sum("clicksCount"));
        assert_eq!(number(&totals["uniqueOpens"]), times("openedAt"));
        assert_eq!(number(&totals["uniqueClicks"]), times("clickedAt"));
        assert_eq!(number(&totals["sent"]), own.len() as u64);
        let links = all(&api, &format!("/stats/links?campaign={path}"));
        let clicks = |links: &[Value]| {
            links
                .iter()
                .map(|link| number(&link["clicks"]))
                .sum::<u64>()
        };
        assert_eq!(clicks(&links), sum("clicksCount"));
        let of_sends = own.iter().flat_map(|send| {
            all(
                &api,
                &format!("/stats/links?sendId={}", send["id"].as_str().unwrap()),
            )
        });
        assert_eq!(clicks(&of_sends.collect::<Vec<_>>()), sum("clicksCount"));
    }
}

#[test]
fn only_the_types_that_are_asked_for_are_shown_and_rates_beside_them() {
    let (_service, api) = busy("stats-types");
    let every = api.read("/stats").unwrap();
    let some = api.read("/stats?type=email.clicked,email.bounced").unwrap();
    let names = |stats: &Value| -> Vec<String> {
        stats["totals"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let asked = |name: &String| name == "bounced" || name.to_lowercase().contains("clicks");
    let wanted: Vec<_> = names(&every).into_iter().filter(asked).collect();
    assert_eq!(names(&some), wanted);
    assert!(wanted.len() >= 3, "{wanted:?}");
    for name in names(&some) {
        assert_eq!(some["totals"][&name], every["totals"][&name], "{name}");
        let points = |stats: &Value| -> Vec<Value> {
            let points = stats["points"].as_array().unwrap().iter();
            points.map(|point| point[&name].clone()).collect()
        };
        assert_eq!(points(&some), points(&every), "{name}");
    }
    assert_eq!(some["rates"], every["rates"]);
    assert!(some["points"][0]["opens"].is_null());
}

#[test]
fn pages_of_campaigns_and_links_hold_what_one_page_holds() {
    let service = Service::start("stats-pages");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let links: String = (0..7)
        .map(|link| format!(r#"<a href="https://shop.example/{link}">{link}</a>"#))
        .collect();
    for campaign in 0..9 {
        let body = json!({"sendId": format!("snd-{campaign}"), "contact": "ada@example.com",
            "campaign": format!("campaign {}", campaign * 7 % 9), "html": links});
        let (_, clicks, _) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
        let clicks = clicks.iter().map(|token| edge.line("c", token));
        let batch: String = clicks.collect();
        edge.post(batch);
    }
    for (path, count) in [
        ("/campaigns", 9),
        ("/stats/links?campaign=campaign%203", 7),
        ("/stats/links?sendId=snd-4", 7),
    ] {
        let whole = all(&api, path);
        assert_eq!(whole.len(), count, "{path}");
        let joint = if path.contains('?') { '&' } else { '?' };
        for size in [1, 2, 4] {
            let mut items = Vec::new();
            let mut next = format!("{path}{joint}limit={size}");
            loop {
                let page = api.read(&next).unwrap();
                let some = page["items"].as_array().unwrap();
                assert!(some.len() <= size, "{path} {size}");
                items.extend(some.iter().cloned());
                let Some(cursor) = page["nextCursor"].as_str() else {
                    break;
                };
                next = format!("{path}{joint}limit={size}&cursor={cursor}");
            }
            assert_eq!(items, whole, "{path} {size}");
        }
    }
}

#[test]
fn campaigns_are_listed_by_when_they_were_last_active() {
    let service = Service::start("stats-active");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let hours = [1, 30, 100];
    for ago in hours {
        let at = UnixMillis(now().0 - ago * HOUR);
        let body = json!({"sendId": format!("snd-{ago}"), "contact": "ada@example.com",
            "campaign": format!("{ago} hours ago"), "sentAt": time(at)});
        api.write("POST", "/sends", &body).unwrap();
    }
    let names = |hours: u64| -> Vec<String> {
        let since = time(UnixMillis(now().0 - hours * HOUR));
        texts(
            &all(&api, &format!("/campaigns?activeSince={since}")),
            "name",
        )
    };
    assert_eq!(names(200), ["1 hours ago", "100 hours ago", "30 hours ago"]);
    assert_eq!(names(50), ["1 hours ago", "30 hours ago"]);
    assert_eq!(names(0), [""; 0]);
    // An open makes an old campaign active again, and its totals are those of all its time.
    let mail = json!({"sendId": "snd-again", "contact": "ada@example.com",
        "campaign": "100 hours ago", "html": "<p></p>", "status": "queued"});
    let (pixel, ..) = tokens(&api.write("POST", "/rewrite", &mail).unwrap());
    edge.record("o", &pixel, 1);
    assert_eq!(names(0), ["100 hours ago"]);
    let since = time(now());
    let found = all(&api, &format!("/campaigns?activeSince={since}"));
    assert_eq!(found[0]["totals"]["sent"], 1);
    assert_eq!(found[0]["totals"]["opens"], 1);
}

/// As RFC 3339 writes it.
fn time(at: UnixMillis) -> String {
    let time = jiff::Timestamp::from_millisecond(at.0 as i64).unwrap();
    time.to_string()
}

#[test]
fn each_mistake_in_a_question_names_its_parameter() {
    let service = Service::start("stats-bad");
    let api = service.tenant("shop");
    for (path, status, field) in [
        ("/stats?interval=week", 400, json!("interval")),
        ("/stats?timeZone=Mars/Olympus", 400, json!("timeZone")),
        ("/stats?from=monday", 400, json!("from")),
        ("/stats?from=2026-01-02&to=2026-01-02", 400, json!("from")),
        ("/stats?interval=hour&from=2025-01-01", 400, json!("from")),
        ("/stats?type=opens", 400, json!("type")),
        ("/stats?campaign=", 400, json!("campaign")),
        ("/stats/clients?from=monday", 400, json!("from")),
        ("/stats/clients?campaign=", 400, json!("campaign")),
        ("/stats/clients?timeZone=Mars", 400, json!("timeZone")),
        ("/stats/links", 400, json!("campaign")),
        ("/stats/links?campaign=a&sendId=b", 400, json!("sendId")),
        ("/stats/links?sendId=snd-9", 404, Value::Null),
        ("/stats/links?campaign=a&from=x", 400, json!("from")),
        ("/stats/links?campaign=a&cursor=x", 400, json!("cursor")),
        ("/campaigns?activeSince=x", 400, json!("activeSince")),
        ("/campaigns?cursor=!", 400, json!("cursor")),
        ("/campaigns/none", 404, Value::Null),
    ] {
        let answer = api.get(path).unwrap();
        assert_eq!(answer.status, status, "{path} {}", answer.text());
        assert_eq!(answer.json()["field"], field, "{path}");
    }
}

#[test]
fn clients_are_counted_once_each_and_add_up_to_the_statistics() {
    let service = Service::start("stats-clients");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    let mut batch = String::new();
    for (number, agent) in [
        json!({"ua": "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"}),
        json!({"ua": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}),
        json!({}),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"sendId": format!("snd-{number}"), "campaign": "spring",
            "contact": "ada@example.com", "html": r#"<a href="https://shop.example/">x</a>"#});
        let (pixel, clicks, _) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
        for _ in 0..=number {
            batch += &edge.line_with("o", &pixel, now(), agent.clone());
        }
        batch += &edge.line_with("c", &clicks[0], now(), agent);
    }
    edge.post(batch);
    let clients = api.read("/stats/clients?campaign=spring").unwrap();
    assert_eq!(
        api.read("/stats/clients").unwrap()["totals"],
        clients["totals"]
    );
    let stats = api.read("/stats?campaign=spring").unwrap();
    for name in ["opens", "clicks"] {
        assert_eq!(clients["totals"][name], stats["totals"][name]);
    }
    for list in ["mailClients", "browsers", "systems", "devices"] {
        let items = clients[list].as_array().unwrap();
        for count in [
            "opens",
            "humanOpens",
            "machineOpens",
            "clicks",
            "humanClicks",
        ] {
            let sum: u64 = items.iter().map(|item| number(&item[count])).sum();
            assert_eq!(sum, number(&clients["totals"][count]), "{list} {count}");
        }
    }
    assert_eq!(
        texts(
            clients["mailClients"].as_array().unwrap()[..2].as_ref(),
            "name"
        ),
        ["Gmail", "Thunderbird"]
    );
    assert_eq!(clients["mailClients"][2]["name"], Value::Null);
    assert_eq!(clients["mailClients"][2]["opens"], 3);
    assert_eq!(clients["devices"][0]["name"], "computer");
    assert_eq!(clients["proxied"]["opens"], 2);
    let none = api.read("/stats/clients?campaign=other").unwrap();
    assert_eq!(
        (&none["totals"]["opens"], &none["mailClients"]),
        (&json!(0), &json!([]))
    );
}
