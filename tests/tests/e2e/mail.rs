//! A mail on its whole way: rewritten, opened, followed, counted.

use serde_json::{Value, json};

use crate::rewritten::{Platform, Rewritten};

const NEWSLETTER: &str = r##"<!DOCTYPE html>
<html><body>
<table><tr><td>
<a href="https://shop.example/spring?x=1&amp;y=2#top">Spring</a>
<a class="b" href='https://shop.example/spring?x=1&amp;y=2#top'>Spring again</a>
<a href="http://other.example:8080/p/%2F?q=a+b">Other</a>
<a href="mailto:help@shop.example">Mail us</a>
<a href="#part">Part</a>
<a href="tel:+49123">Call</a>
<a href="https://shop.example/unsubscribe">Unsubscribe</a>
</td></tr></table>
</body></html>"##;

#[test]
fn a_mail_is_rewritten_opened_and_followed_and_shows_exactly_that() {
    let platform = Platform::start("mail");
    let Platform { stack, api } = &platform;
    let mail = platform.rewrite("snd-1", "ada@example.com", NEWSLETTER);
    let links = mail.links();
    let destinations: Vec<&str> = links.iter().map(|(_, url)| url.as_str()).collect();
    assert_eq!(
        destinations,
        [
            "https://shop.example/spring?x=1&y=2#top",
            "https://shop.example/spring?x=1&y=2#top",
            "http://other.example:8080/p/%2F?q=a+b",
        ]
    );
    let skipped = mail.skipped();
    let reasons: Vec<&str> = skipped.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["scheme", "anchor", "scheme", "unsubscribe"]);

    assert_eq!(platform.counts("ada@example.com"), [1, 0, 0]);
    let sent = api.sent("snd-1").unwrap();
    assert_eq!(sent["status"], "sent");
    assert_eq!(
        (&sent["openedAt"], &sent["clickedAt"]),
        (&Value::Null, &Value::Null)
    );

    for _ in 0..3 {
        let pixel = stack.follow(&mail.pixel()).unwrap();
        assert_eq!((pixel.status, pixel.body.len()), (200, 43));
        assert_eq!(pixel.header("content-type").unwrap(), "image/gif");
        assert!(pixel.header("cache-control").unwrap().contains("no-store"));
    }
    for (tracked, url) in &links {
        let redirect = stack.follow(tracked).unwrap();
        assert_eq!(redirect.status, 302);
        assert_eq!(&redirect.header("location").unwrap(), url);
        assert!(
            redirect
                .header("cache-control")
                .unwrap()
                .contains("no-store")
        );
        assert!(redirect.header("referrer-policy").is_some());
        assert_eq!(redirect.header("x-robots-tag").unwrap(), "noindex");
        assert_eq!(redirect.header("set-cookie"), None);
    }
    stack.delivered(6).unwrap();

    assert_eq!(platform.counts("ada@example.com"), [1, 3, 3]);
    let sent = api.sent("snd-1").unwrap();
    assert_eq!(sent["contact"], "ada@example.com");
    assert_eq!(sent["campaign"], "spring");
    assert_eq!(sent["opens"].as_array().unwrap().len(), 3);
    let clicks = sent["clicks"].as_array().unwrap();
    let mut clicked: Vec<(u64, &str)> = clicks
        .iter()
        .map(|click| {
            (
                click["index"].as_u64().unwrap(),
                click["url"].as_str().unwrap(),
            )
        })
        .collect();
    clicked.sort_unstable();
    let expected: Vec<(u64, &str)> = (0..).zip(destinations).collect();
    assert_eq!(clicked, expected);
    assert!(
        sent["openedAt"].is_string() && sent["clickedAt"].is_string(),
        "{sent}"
    );

    let events = api.read("/contacts/ada@example.com/events").unwrap();
    let mut types: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    let clicked = ["email.clicked"; 3];
    let opened = ["email.opened"; 3];
    assert_eq!(types, [&clicked[..], &opened, &["email.sent"]].concat());
}

#[test]
fn a_head_request_is_answered_like_a_get_and_counts_nothing() {
    let platform = Platform::start("head");
    let stack = &platform.stack;
    let html = r#"<p><a href="https://shop.example/x">x</a></p>"#;
    let mail = platform.rewrite("snd-1", "ada@example.com", html);
    let (click, _) = mail.links().remove(0);
    for url in [mail.pixel(), click.clone(), mail.unsubscribe()] {
        let path = stack.path_of(&url).unwrap();
        let get = kraiter_tests::http::Request::new("HEAD", path);
        let head = stack.envoy.send(&get).unwrap();
        let expected = if url == click { 302 } else { 200 };
        assert_eq!((head.status, head.body.len()), (expected, 0), "{url}");
    }
    // One that counts, so that what came before it has been delivered if it ever is.
    stack.follow(&click).unwrap();
    stack.delivered(1).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 0, 1]);
}

#[test]
fn contacts_and_sends_are_told_apart() {
    let platform = Platform::start("apart");
    let stack = &platform.stack;
    let html = r#"<a href="https://shop.example/x">x</a>"#;
    let ada = platform.rewrite("snd-ada", "ada@example.com", html);
    let again = platform.rewrite("snd-ada-2", "ada@example.com", html);
    let bob = platform.rewrite("snd-bob", "bob@example.com", html);
    stack.follow(&ada.pixel()).unwrap();
    stack.follow(&again.pixel()).unwrap();
    stack.follow(&bob.links()[0].0).unwrap();
    stack.delivered(3).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [2, 2, 0]);
    assert_eq!(platform.counts("bob@example.com"), [1, 0, 1]);
    for (send, opens, clicks) in [("snd-ada", 1, 0), ("snd-ada-2", 1, 0), ("snd-bob", 0, 1)] {
        let sent = platform.api.sent(send).unwrap();
        assert_eq!(sent["opens"].as_array().unwrap().len(), opens, "{send}");
        assert_eq!(sent["clicks"].as_array().unwrap().len(), clicks, "{send}");
    }
}

#[test]
fn a_dry_run_registers_nothing() {
    let platform = Platform::start("dry-run");
    let html = r#"<a href="https://shop.example/x">x</a>"#;
    let body = json!({"sendId": "s", "contact": "ada@example.com", "html": html, "dryRun": true});
    let dry = Rewritten::of(&platform.api, &body);
    assert_eq!(dry.links().len(), 1);
    // A dry run registers nothing: the id is still free for another contact.
    platform.rewrite("s", "bob@example.com", html);
    assert_eq!(
        platform
            .api
            .get("/contacts/ada@example.com")
            .unwrap()
            .status,
        404
    );
}
