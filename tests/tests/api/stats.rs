//! Statistics: the same numbers as the events themselves, by hour, day, campaign and link.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::edge::{Edge, HOUR, now, tokens};
use crate::service::{Service, all};

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
