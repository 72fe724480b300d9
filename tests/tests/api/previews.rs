//! The mail of a campaign, kept to look at: what all recipients share, with the clicks on its links.

use kraiter_tests::api::Api;
use kraiter_tests::database;
use kraiter_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::edge::{Edge, tokens};
use crate::service::{Service, all};

const HTML: &str = "<p><a href=\"https://shop.example/?a=1&amp;b=2\">a</a> \
                    <a href=\"mailto:x@shop.example\">b</a> \
                    <a href='https://shop.example/c'>c</a></p>";
const KEPT: &str = "<p><a href=\"#kraiter-link-0\">a</a> <a href=\"mailto:x@shop.example\">b</a> \
                    <a href='#kraiter-link-1'>c</a></p>";

fn batch(api: &Api, lines: &[Value]) -> Response {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let request = Request::new("POST", "/rewrite/batch");
    api.send(request.body("application/x-ndjson", lines))
        .unwrap()
}

fn answers(api: &Api, lines: &[Value]) -> Vec<Value> {
    let answer = batch(api, lines);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn shared(html: &str) -> Value {
    json!({"html": html, "campaign": "spring", "keepPreview": true})
}

fn preview(api: &Api) -> Value {
    api.read("/campaigns/spring/preview").unwrap()
}

#[test]
fn the_shared_mail_is_kept_with_its_links_marked_and_their_clicks_as_the_statistics_count_them() {
    let service = Service::start("preview");
    let api = service.tenant("shop");
    let own = "<p>Dear Ada <a href=\"https://secret.example/\">only yours</a></p>";
    let mails = answers(
        &api,
        &[
            shared(HTML),
            json!({"contact": "ada@example.com", "html": own}),
            json!({"contact": "grace@example.com"}),
            json!({"contact": "joan@example.com"}),
        ],
    );
    let mut edge = Edge::of(&service, 1);
    let (_, grace, _) = tokens(&mails[1]);
    let (_, joan, _) = tokens(&mails[2]);
    let (_, ada, _) = tokens(&mails[0]);
    edge.record("c", &grace[1], 2);
    edge.record("c", &joan[1], 1);
    edge.record("c", &joan[0], 1);
    edge.record("c", &ada[0], 5);

    let kept = preview(&api);
    assert_eq!(kept["html"], KEPT);
    assert!(!kept.to_string().contains("secret") && !kept.to_string().contains("Ada"));
    let counted = all(&api, "/stats/links?campaign=spring");
    let links = kept["links"].as_array().unwrap();
    assert_eq!(links.len(), 2);
    for (link, (index, url, clicks)) in links.iter().zip([
        (0, "https://shop.example/?a=1&b=2", 1),
        (1, "https://shop.example/c", 3),
    ]) {
        assert_eq!((&link["index"], &link["url"]), (&json!(index), &json!(url)));
        assert_eq!(link["clicks"], clicks);
        let same = counted
            .iter()
            .find(|of| of["index"] == link["index"] && of["url"] == link["url"]);
        assert_eq!(link, same.unwrap(), "a recipient's own link is another one");
    }
    let campaign = api.read("/campaigns/spring").unwrap();
    assert_eq!(campaign["previewKeptAt"], kept["keptAt"]);
}

#[test]
fn the_next_mail_takes_the_place_of_the_one_before_and_without_asking_nothing_is_kept() {
    let service = Service::start("preview-next");
    let api = service.tenant("shop");
    let other = service.tenant("other");
    let plain = json!({"html": "<p>not kept</p>", "campaign": "spring"});
    let to = json!({"contact": "ada@example.com"});
    answers(&api, &[plain.clone(), to.clone()]);
    let missing = api.get("/campaigns/spring/preview").unwrap();
    assert_eq!(
        (missing.status, &missing.json()["code"]),
        (404, &json!("unknown_preview"))
    );
    assert_eq!(
        api.read("/campaigns/spring").unwrap()["previewKeptAt"],
        Value::Null
    );

    let mut dry = shared("<p>dry</p>");
    dry["dryRun"] = json!(true);
    answers(&api, &[dry, to.clone()]);
    assert_eq!(api.get("/campaigns/spring/preview").unwrap().status, 404);

    answers(&api, &[shared("<p>one\u{0}</p>"), to.clone()]);
    let one = preview(&api);
    assert_eq!(one["html"], "<p>one\u{0}</p>");
    answers(&api, &[shared("<p>one\u{0}</p>"), to.clone()]);
    let again = preview(&api);
    assert_eq!(again["html"], one["html"]);
    assert!(again["keptAt"].as_str() > one["keptAt"].as_str());
    answers(&api, &[shared(HTML), to.clone()]);
    answers(&api, &[plain, to]);
    assert_eq!(preview(&api)["html"], KEPT);
    assert_eq!(other.get("/campaigns/spring/preview").unwrap().status, 404);
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_is_registered() {
    let service = Service::start("preview-refused");
    let api = service.tenant("shop");
    let to = json!({"contact": "ada@example.com"});
    let large = format!("<p>{}</p>", "x".repeat(1024 * 1024));
    for (first, field) in [
        (json!({"html": HTML, "keepPreview": true}), "campaign"),
        (json!({"campaign": "spring", "keepPreview": true}), "html"),
        (shared(&large), "keepPreview"),
        (
            json!({"html": HTML, "campaign": "", "keepPreview": true}),
            "campaign",
        ),
    ] {
        let refused = batch(&api, &[first, to.clone()]);
        assert_eq!(
            (refused.status, &refused.json()["field"]),
            (422, &json!(field))
        );
    }
    assert_eq!(api.get("/contacts/ada@example.com").unwrap().status, 404);
}

#[test]
fn a_kept_mail_goes_with_what_its_tenant_keeps_no_longer() {
    let url = database::fresh().unwrap();
    let service = Service::on("preview-retention", &url);
    let (api, other) = (service.tenant("shop"), service.tenant("other"));
    for api in [&api, &other] {
        answers(api, &[shared(HTML)]);
        let winter = json!({"html": HTML, "campaign": "winter", "keepPreview": true});
        answers(api, &[winter]);
    }
    let age = "update previews set kept_at = now() - interval '40 days' where campaign = 'spring'";
    database::execute(&url, age).unwrap();
    api.write("PATCH", "/settings", &json!({"retentionDays": 30}))
        .unwrap();
    let retention = |args: &[&str]| {
        let args = [&["retention", "--json"], args].concat();
        service.backend.says(&args).unwrap()["tenants"][0]["previews"].clone()
    };
    assert_eq!(retention(&["--dry-run"]), 1);
    assert_eq!(preview(&api)["html"], KEPT);
    assert_eq!(retention(&[]), 1);
    assert_eq!(api.get("/campaigns/spring/preview").unwrap().status, 404);
    assert_eq!(api.get("/campaigns/winter/preview").unwrap().status, 200);
    assert_eq!(preview(&other)["html"], KEPT);
    assert_eq!(retention(&[]), 0);
}
