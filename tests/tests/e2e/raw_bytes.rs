//! Bytes that break proxies: line breaks and non-ASCII in destinations, headers that are no text.

use kraiter_tests::http::Request;
use serde_json::json;

use crate::rewritten::{Platform, Rewritten};

#[test]
fn line_breaks_and_non_ascii_in_a_destination_arrive_encoded() {
    let platform = Platform::start("destinations");
    let stack = &platform.stack;
    let html = "<a href=\"https://shop.example/a\r\n b&#13;&#10;x-injected: 1\">1</a>\
                <a href=\"https://shop.example/ä?ö=ü#ß\">2</a>\
                <a href=\"https://bücher.example/\">3</a>\
                <a href=\"https://shop.example/%0d%0ax-injected:%201\">4</a>\
                <a href=\"  https://shop.example/a b\t\">5</a>";
    let mail = platform.rewrite("snd-1", "ada@example.com", html);
    let locations: Vec<String> = mail
        .links()
        .iter()
        .map(|(tracked, url)| {
            let answer = stack.follow(tracked).unwrap();
            assert_eq!(answer.status, 302, "{url}");
            assert_eq!(answer.header("x-injected"), None, "{url}");
            assert_eq!(&answer.header("location").unwrap(), url);
            url.clone()
        })
        .collect();
    assert_eq!(
        locations,
        [
            "https://shop.example/a%20bx-injected:%201",
            "https://shop.example/%C3%A4?%C3%B6=%C3%BC#%C3%9F",
            "https://xn--bcher-kva.example/",
            "https://shop.example/%0d%0ax-injected:%201",
            "https://shop.example/a%20b",
        ]
    );
    stack.delivered(5).unwrap();
    let sent = platform.api.sent("snd-1").unwrap();
    let mut clicked: Vec<&str> = sent["clicks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|click| click["url"].as_str().unwrap())
        .collect();
    clicked.sort_unstable();
    let mut expected: Vec<&str> = locations.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(clicked, expected);
}

#[test]
fn a_destination_of_every_allowed_byte_arrives_as_the_author_wrote_it() {
    let platform = Platform::start("all-bytes");
    // Not the few that HTML or URLs give another meaning, nor those that get encoded.
    let odd = r"!$()*+,-./0:;=@AZ[]^_`az{|}~%zz%2f?q=[a]|b&c#d/e?f";
    let url = format!("https://user:pw@shop.example:8443/{odd}");
    let html = format!("<a href=\"{}\">x</a>", url.replace('&', "&amp;"));
    let mail = platform.rewrite("snd-1", "ada@example.com", &html);
    let answer = platform.stack.follow(&mail.links()[0].0).unwrap();
    assert_eq!(answer.header("location").unwrap(), url);
}

#[test]
fn headers_that_are_no_text_neither_break_the_edge_nor_the_count() {
    let platform = Platform::start("headers");
    let stack = &platform.stack;
    let html = r#"<a href="https://shop.example/x">x</a>"#;
    let mail = platform.rewrite("snd-1", "ada@example.com", html);
    let pixel = stack.path_of(&mail.pixel()).unwrap().to_owned();
    let values: [&[u8]; 6] = [
        b"\xFF\xFE\x80",
        b"Mozilla/5.0 \xC3\x28 \"quoted\\\" \xF0\x9F",
        "Mozilla/5.0 ünï 🦀".as_bytes(),
        b"",
        b"{\"id\":\"x\"}",
        &[b'u'; 6000],
    ];
    for value in values {
        let request = Request::get(pixel.as_str())
            .header("user-agent", value)
            .header("accept-language", value)
            .header("sec-purpose", value)
            .header("purpose", value)
            .header("x-purpose", value)
            .header("x-moz", value)
            .header("referer", value)
            .header("cookie", value);
        assert_eq!(stack.envoy.send(&request).unwrap().status, 200, "{value:?}");
    }
    stack.delivered(values.len() as u64).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 6, 0]);
}

#[test]
fn odd_paths_and_methods_are_answered_and_count_nothing() {
    let platform = Platform::start("odd-requests");
    let stack = &platform.stack;
    let html = r#"<a href="https://shop.example/x">x</a>"#;
    let mail = platform.rewrite("snd-1", "ada@example.com", html);
    let (click, _) = mail.links().remove(0);
    let click = stack.path_of(&click).unwrap().to_owned();
    let pixel = stack.path_of(&mail.pixel()).unwrap().to_owned();
    for (method, path) in [
        ("POST", &click),
        ("PUT", &click),
        ("DELETE", &pixel),
        ("POST", &pixel),
        ("OPTIONS", &pixel),
    ] {
        let answer = stack
            .envoy
            .send(&Request::new(method, path.as_str()))
            .unwrap();
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(
            answer.header("allow").unwrap().contains("GET"),
            "{method} {path}"
        );
    }
    for path in [
        &b"/c/\xFF\xFE"[..],
        b"/c/%00",
        b"/c/../../etc/passwd",
        b"/c/<script>",
    ] {
        let status = stack.envoy.send(&Request::get(path)).unwrap().status;
        assert!((400..500).contains(&status), "{path:?}: {status}");
    }
    // A query that some mail client adds changes nothing.
    let answer = stack
        .envoy
        .get(&format!("{click}?utm_source=x&a=/b"))
        .unwrap();
    assert_eq!(answer.header("location").unwrap(), "https://shop.example/x");
    stack.delivered(1).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 0, 1]);
}

#[test]
fn a_send_registered_without_rewriting_counts_its_mail_as_sent() {
    let platform = Platform::start("plain-send");
    let body = json!({"sendId": "plain", "contact": "ada@example.com", "campaign": "spring"});
    platform.api.write("POST", "/sends", &body).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 0, 0]);
    let text = json!({"sendId": "t", "contact": "ada@example.com", "html": "<p>é 🦀</p>"});
    let mail = Rewritten::of(&platform.api, &text);
    assert!(mail.html().starts_with("<p>é 🦀</p>"), "{}", mail.html());
    assert_eq!(platform.counts("ada@example.com"), [2, 0, 0]);
}
