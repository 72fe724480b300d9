//! The dashboard in a real Chromium: `tests/browser/dashboard.mjs` drives it, on data made here.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    dead_code,
    clippy::panic,
    clippy::string_slice,
    reason = "some of what the API's suite has is not needed here"
)]

#[path = "api/edge.rs"]
mod edge;
#[path = "api/service.rs"]
mod service;

use std::path::Path;
use std::process::Command;

use kraiter_tests::api::Api;
use kraiter_tests::http::Request;
use kraiter_tests::{database, wait};
use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use edge::{Edge, HOUR, now, tokens};
use service::Service;

const CLIENTS: [&str; 5] = [
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.17928; ms-office; MSOffice 16)",
];
/// A mail like those of the field: tables, styles, pictures from elsewhere, a part for Outlook, and what
/// a page must not do to the dashboard.
const MAIL: &str = include_str!("../browser/mail.html");
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// What is not a number of the API is as large here as anywhere.
const LARGE: u64 = 100_000;
/// Of them, those that come through the API; a database is faster at the rest.
const BY_API: u64 = 1_000;
const REST: &str = "
    with new as materialized (select n, gen_random_uuid() as id from generate_series(1, 99000) as n),
      moment as (select now() - interval '50 hours' as at),
      contact as (insert into contacts (tenant_id, id, email, email_key, created_at, emails_sent_count)
        select 1, id, 'n' || n || '@example.com', 'n' || n || '@example.com', now(), 1 from new),
      send as (insert into sends (tenant_id, id, contact_id, campaign, status, registered_at, sent_at)
        select 1, 'n-' || n, id, 'newsletter', 'sent', now(), at from new, moment),
      event as (insert into events (tenant_id, id, kind, contact_id, send_id)
        select 1, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008'
          || lpad(to_hex(n), 15, '0'))::uuid, 4, id, 'n-' || n from new, moment)
    insert into rollups (tenant_id, campaign, hour, kind, shard, events_count)
      select 1, 'newsletter', date_trunc('hour', at, 'UTC'), 4, 100, 99000 from moment";

#[test]
fn the_dashboard_works_in_a_browser() {
    let url = database::fresh().unwrap();
    let service = Service::on("browser", &url);
    let api = service.tenant("shop");
    let nobody = service.tenant("nobody");
    let mut edge = Edge::of(&service, 1);
    campaign(&api, &mut edge, "welcome", 3);
    campaign(&api, &mut edge, "spring-sale", 240);
    campaign(&api, &mut edge, "spring-reminder", 90);
    plain(&api, &mut edge, "receipts", 1);
    plain(&api, &mut edge, "newsletter", BY_API);
    database::execute(&url, REST).unwrap();
    // Verdicts that neighbours tell come later; the page and the API are to be asked of the same.
    wait::until_or("verdicts to be settled", || {
        let judged = service
            .backend
            .says(&["reclassify", "--dry-run", "--json"])?;
        Ok(match judged["verdictsChanged"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(judged.to_string()),
        })
    })
    .unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let programs = ["chromium", "chromium-browser", "google-chrome"];
    let browser = programs
        .map(|name| Path::new("/usr/bin").join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap();
    let job = json!({
        "origin": format!("http://{}", service.backend.address()),
        "key": api.key,
        "nobody": nobody.key,
        "campaign": "spring-sale",
        "small": "receipts",
        "large": "newsletter",
        "largeSends": LARGE,
        "contact": "reader4@example.com",
        "send": "spring-sale-4",
        "browser": browser,
    });
    let status = Command::new("node")
        .arg(folder.join("dashboard.mjs"))
        .arg(job.to_string())
        .status()
        .unwrap();
    assert!(status.success(), "the browser's test ended with {status}");
}

fn batch(api: &Api, lines: String) -> Vec<Value> {
    let request = Request::new("POST", "/rewrite/batch").body("application/x-ndjson", lines);
    let answer = api.send(request).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let answers = text.lines().map(|line| serde_json::from_str(line).unwrap());
    answers.collect()
}

/// Mails without a preview; each eighth is opened by a person.
fn plain(api: &Api, edge: &mut Edge, name: &str, sends: u64) {
    let first = json!({"campaign": name, "html": "<a href=\"https://shop.example/\">x</a>"});
    let sent_at = rfc_3339(UnixMillis(now().0 - 50 * HOUR));
    let mut lines = format!("{first}\n");
    for number in 0..sends {
        let contact = format!("{name}{number}@example.com");
        let line = json!({"contact": contact, "sentAt": sent_at});
        lines += &format!("{line}\n");
    }
    let mut events = String::new();
    for (number, mail) in (0u64..).zip(batch(api, lines)).step_by(8) {
        let (pixel, clicks, _) = tokens(&mail);
        let at = UnixMillis(now().0 - 49 * HOUR + number * 60_000);
        let ip = format!("198.51.{}.{}", number % 250, number / 250);
        let signals = json!({"ua": BROWSER, "ip": ip});
        events += &edge.line_with("o", &pixel, at, signals.clone());
        if number % 64 == 0 {
            events += &edge.line_with("c", &clicks[0], UnixMillis(at.0 + 60_000), signals);
        }
    }
    edge.post(events);
}

/// Sent over two days and a half, read by people and machines; its mail is kept.
fn campaign(api: &Api, edge: &mut Edge, name: &str, sends: u64) {
    let start = now().0 - 60 * HOUR;
    let mut lines = format!(
        "{}\n",
        json!({"html": MAIL, "campaign": name, "keepPreview": true})
    );
    for number in 0..sends {
        let sent = rfc_3339(UnixMillis(start + number * 20_000));
        let contact = format!("reader{number}@example.com");
        let line =
            json!({"sendId": format!("{name}-{number}"), "contact": contact, "sentAt": sent});
        lines += &format!("{line}\n");
    }
    let mut events = String::new();
    let mut reports = String::new();
    for (number, mail) in (0..).zip(batch(api, lines)) {
        let sent = UnixMillis(start + number * 20_000);
        let id = format!("{name}-{number}");
        let (pixel, clicks, page) = tokens(&mail);
        let bounced = number % 41 == 7;
        let status = if bounced { "bounced" } else { "delivered" };
        let at = rfc_3339(UnixMillis(sent.0 + 4000));
        let report = json!({"sendId": id, "status": status, "timestamp": at});
        reports += &format!("{report}\n");
        if bounced {
            continue;
        }
        // Most soon, few late.
        let minutes = 3 + (number * number * 37) % 90 + (number % 11).pow(3) * 3;
        let ip = format!("198.51.{}.{}", number % 7, number);
        let mut line = |kind: &str, token: &str, after: u64, agent: &str| {
            let at = UnixMillis(sent.0 + after * 60_000 + number);
            events += &edge.line_with(kind, token, at, json!({"ua": agent, "ip": ip}));
        };
        let agent = CLIENTS[(number % 5) as usize];
        if number % 8 < 5 {
            line("o", &pixel, minutes, agent);
        }
        if number % 4 == 0 {
            line("o", &pixel, minutes + 1 + number % 300, CLIENTS[4]);
        }
        if number % 3 != 2 && number % 8 < 4 {
            let link = [1, 1, 0, 4, 1, 3, 4, 6, 5][(number % 9) as usize];
            line("c", &clicks[link], minutes + 2, BROWSER);
        }
        if number % 16 == 4 {
            let bot = "Mozilla/5.0 (compatible; Googlebot/2.1)";
            line("c", &clicks[0], 1, bot);
            line("o", &pixel, 1, bot);
        }
        if number % 60 == 9 {
            line("u", &page, minutes + 5, BROWSER);
        }
    }
    let answer = edge.post(events);
    let rejected = answer["rejected"].as_u64().unwrap_or_default();
    assert_eq!(rejected, 0, "{answer}");
    let request = Request::new("POST", "/sends/status").body("application/x-ndjson", reports);
    assert_eq!(api.send(request).unwrap().status, 200);
}

fn rfc_3339(at: UnixMillis) -> Value {
    let time = jiff::Timestamp::from_millisecond(at.0 as i64).unwrap();
    json!(time.to_string())
}
