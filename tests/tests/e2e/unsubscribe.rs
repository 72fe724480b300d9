//! One-click unsubscribe (RFC 8058): a POST takes effect, a GET never does.

use kraiter_tests::http::Request;

use crate::rewritten::Platform;

const HTML: &str = r#"<p>Hello. <a href="kraiter:unsubscribe">Leave</a></p>"#;

fn one_click(path: &str) -> Request {
    Request::new("POST", path).body(
        "application/x-www-form-urlencoded",
        "List-Unsubscribe=One-Click",
    )
}

#[test]
fn following_the_link_has_no_effect_and_posting_to_it_has() {
    let platform = Platform::start("unsubscribe");
    let Platform { stack, api } = &platform;
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let post = &mail.answer["headers"]["List-Unsubscribe-Post"];
    assert_eq!(post, "List-Unsubscribe=One-Click");
    let path = stack.path_of(&mail.unsubscribe()).unwrap().to_owned();
    assert!(mail.html().contains("/u/"), "{}", mail.html());
    assert!(
        !mail.html().contains("kraiter:unsubscribe"),
        "{}",
        mail.html()
    );

    for _ in 0..3 {
        let page = stack.envoy.get(&path).unwrap();
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        let text = page.text().to_lowercase();
        assert!(text.contains("<form") && text.contains("post"), "{text}");
        assert_eq!(page.header("set-cookie"), None);
    }
    // Something that is recorded, after which nothing of the visits can still be under way.
    stack.follow(&mail.pixel()).unwrap();
    stack.delivered(1).unwrap();
    assert!(api.contact("ada@example.com").unwrap()["unsubscribedAt"].is_null());

    let done = stack.envoy.send(&one_click(&path)).unwrap();
    assert_eq!(done.status, 200);
    assert_eq!(
        (done.header("location"), done.header("set-cookie")),
        (None, None)
    );
    stack.delivered(2).unwrap();
    let contact = api.contact("ada@example.com").unwrap();
    assert!(contact["unsubscribedAt"].is_string(), "{contact}");
    let first = contact["unsubscribedAt"].clone();

    let events = api.read("/events?type=email.unsubscribed").unwrap();
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["contact"], "ada@example.com");
    assert_eq!(events[0]["sendId"], "snd-1");

    // A second click on the button, as people do.
    assert_eq!(stack.envoy.send(&one_click(&path)).unwrap().status, 200);
    stack.delivered(3).unwrap();
    let contact = api.contact("ada@example.com").unwrap();
    assert_eq!(contact["unsubscribedAt"], first);
}

#[test]
fn other_methods_on_the_link_are_refused() {
    let platform = Platform::start("unsubscribe-methods");
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let path = platform
        .stack
        .path_of(&mail.unsubscribe())
        .unwrap()
        .to_owned();
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = platform
            .stack
            .envoy
            .send(&Request::new(method, path.as_str()))
            .unwrap();
        assert_eq!(answer.status, 405, "{method}");
        let allow = answer.header("allow").unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }
    let contact = platform.api.contact("ada@example.com").unwrap();
    assert!(contact["unsubscribedAt"].is_null());
}
