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

use kraiter_tests::wait;
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
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

#[test]
fn the_dashboard_works_in_a_browser() {
    let service = Service::start("browser");
    let api = service.tenant("shop");
    let mut edge = Edge::of(&service, 1);
    campaign(&api, &mut edge, "welcome", 1);
    campaign(&api, &mut edge, "spring-sale", 240);
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
        "small": "welcome",
        "large": "spring-sale",
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

/// Sent over two days and a half, read by people and machines.
fn campaign(api: &kraiter_tests::api::Api, edge: &mut Edge, name: &str, sends: u64) {
    let links = ["/", "/dresses", "/shoes/sandals", "/gift-cards", "/stores"];
    let html: String = links
        .iter()
        .map(|path| format!(r#"<a href="https://shop.example{path}">x</a>"#))
        .collect();
    let mut batch = String::new();
    let start = now().0 - 60 * HOUR;
    let mut reports = String::new();
    for number in 0..sends {
        let sent = UnixMillis(start + number * 20_000);
        let id = format!("{name}-{number}");
        let body = json!({"sendId": id, "contact": format!("reader{number}@example.com"),
            "campaign": name, "html": html, "sentAt": rfc_3339(sent)});
        let (pixel, clicks, page) = tokens(&api.write("POST", "/rewrite", &body).unwrap());
        let bounced = number % 41 == 7;
        let status = if bounced { "bounced" } else { "delivered" };
        let at = rfc_3339(UnixMillis(sent.0 + 4000));
        reports += &format!(
            "{}\n",
            json!({"sendId": id, "status": status, "timestamp": at})
        );
        if bounced {
            continue;
        }
        // Most soon, few late.
        let minutes = 3 + (number * number * 37) % 90 + (number % 11).pow(3) * 3;
        let ip = format!("198.51.{}.{}", number % 7, number);
        let mut line = |kind: &str, token: &str, after: u64, agent: &str| {
            let at = UnixMillis(sent.0 + after * 60_000 + number);
            batch += &edge.line_with(kind, token, at, json!({"ua": agent, "ip": ip}));
        };
        let agent = CLIENTS[(number % 5) as usize];
        if number % 8 < 5 {
            line("o", &pixel, minutes, agent);
        }
        if number % 4 == 0 {
            line("o", &pixel, minutes + 1 + number % 300, CLIENTS[4]);
        }
        if number % 3 != 2 && number % 8 < 4 {
            line(
                "c",
                &clicks[(number % 7 % 5) as usize],
                minutes + 2,
                BROWSER,
            );
        }
        if number % 16 == 4 {
            line(
                "c",
                &clicks[0],
                1,
                "Mozilla/5.0 (compatible; Googlebot/2.1)",
            );
            line("o", &pixel, 1, "Mozilla/5.0 (compatible; Googlebot/2.1)");
        }
        if number % 60 == 9 {
            line("u", &page, minutes + 5, BROWSER);
        }
    }
    let answer = edge.post(batch);
    assert_eq!(
        answer["rejected"].as_u64().unwrap_or_default(),
        0,
        "{answer}"
    );
    let request = kraiter_tests::http::Request::new("POST", "/sends/status")
        .body("application/x-ndjson", reports);
    assert_eq!(api.send(request).unwrap().status, 200);
}

fn rfc_3339(at: UnixMillis) -> Value {
    let time = jiff::Timestamp::from_millisecond(at.0 as i64).unwrap();
    json!(time.to_string())
}
