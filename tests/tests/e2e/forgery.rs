//! What nobody signed: it never redirects and never counts.

use kraiter_tests::forge::Forge;
use kraiter_tests::stack::StackOptions;
use serde_json::json;

use crate::rewritten::Platform;

const HTML: &str = r#"<a href="https://shop.example/x">x</a>"#;

fn token(path: &str) -> &str {
    path[3..].trim_end_matches(".gif")
}

/// The token with the character at `at` replaced by another of the alphabet.
fn altered(token: &str, at: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn altered_and_mixed_up_tokens_never_redirect_and_never_count() {
    let platform = Platform::start("forgery");
    let Platform { stack, api } = &platform;
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let pixel = mail.pixel();
    let (click, _) = mail.links().remove(0);
    let unsubscribe = mail.unsubscribe();
    let [open, click, unsubscribe] =
        [&pixel, &click, &unsubscribe].map(|url| token(stack.path_of(url).unwrap()).to_owned());

    let mut bad_clicks = vec![String::new(), "x".to_owned(), "A".repeat(9000)];
    bad_clicks.extend((0..click.len()).step_by(7).map(|at| altered(&click, at)));
    bad_clicks.extend([
        altered(&click, click.len() - 1),
        format!("{click}A"),
        format!("{click}="),
    ]);
    bad_clicks.extend([
        click[..click.len() - 1].to_owned(),
        open.clone(),
        unsubscribe.clone(),
    ]);
    for token in &bad_clicks {
        let answer = stack.envoy.get(&format!("/c/{token}")).unwrap();
        assert_eq!(answer.status, 404, "/c/{token}");
        assert_eq!(answer.header("location"), None, "/c/{token}");
    }
    for token in [&click, &unsubscribe, &altered(&open, 30), ""] {
        let answer = stack.envoy.get(&format!("/o/{token}.gif")).unwrap();
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, 43),
            "/o/{token}.gif"
        );
    }
    for token in [&click, &open, &altered(&unsubscribe, 30), ""] {
        let path = format!("/u/{token}");
        let post = kraiter_tests::http::Request::new("POST", path.as_str()).body(
            "application/x-www-form-urlencoded",
            "List-Unsubscribe=One-Click",
        );
        assert_eq!(stack.envoy.get(&path).unwrap().status, 404, "{path}");
        assert_eq!(stack.envoy.send(&post).unwrap().status, 404, "POST {path}");
    }

    assert_eq!(
        stack.envoy.get(&format!("/o/{open}.gif")).unwrap().status,
        200
    );
    stack.delivered(1).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 1, 0]);
    assert!(api.contact("ada@example.com").unwrap()["unsubscribedAt"].is_null());
    let invalid = |kind| {
        let labels = [("kind", kind), ("result", "invalid")];
        stack.envoy.metric("kraiter_requests", &labels).unwrap()
    };
    let seen = [invalid("open"), invalid("click"), invalid("unsubscribe")];
    assert_eq!(seen, [4, bad_clicks.len() as u64, 8]);
}

#[test]
fn a_token_signed_with_another_ring_leads_nowhere() {
    let platform = Platform::start("other-ring");
    let stack = &platform.stack;
    let forge = Forge::new([0x66; 32], 1).unwrap();
    let click = forge.click("snd-1", "https://evil.example/").unwrap();
    let answer = stack.envoy.get(&click).unwrap();
    assert_eq!((answer.status, answer.header("location")), (404, None));
}

#[test]
fn a_fallback_page_takes_links_that_do_not_verify() {
    let options = StackOptions::for_test("fallback").unwrap();
    let url = "https://shop.example/sorry?a=b";
    let platform = Platform::with(options.edit(move |c| c.set("fallback_url", json!(url))));
    let answer = platform.stack.envoy.get("/c/nothing").unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location").unwrap(), url);
    let answer = platform.stack.envoy.get("/u/nothing").unwrap();
    assert_eq!((answer.status, answer.header("location")), (404, None));
}

#[test]
fn one_tenants_mail_shows_nothing_to_another() {
    let platform = Platform::start("tenants");
    let Platform { stack, api } = &platform;
    let other = stack.tenant("other").unwrap();
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    stack.follow(&mail.pixel()).unwrap();
    stack.delivered(1).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 1, 0]);
    for path in ["/sends/snd-1", "/contacts/ada@example.com"] {
        assert_eq!(other.get(path).unwrap().status, 404, "{path}");
        assert_eq!(api.get(path).unwrap().status, 200, "{path}");
    }
    assert_eq!(other.read("/events").unwrap()["items"], json!([]));
    // The same ids in the other tenant are other things, with tokens of their own.
    let body = json!({"sendId": "snd-1", "contact": "ada@example.com", "html": HTML});
    let theirs = crate::rewritten::Rewritten::of(&other, &body);
    assert_ne!(theirs.pixel(), mail.pixel());
    stack.follow(&theirs.links()[0].0).unwrap();
    stack.delivered(2).unwrap();
    assert_eq!(platform.counts("ada@example.com"), [1, 1, 0]);
    let contact = other.contact("ada@example.com").unwrap();
    let counts = (
        &contact["emailsOpenedCount"],
        &contact["emailsClickedCount"],
    );
    assert_eq!(counts, (&json!(0), &json!(1)));
}

/// A token takes its tenant's key: with the tenant's number in it changed it is no token at all.
#[test]
fn a_tenant_cannot_be_swapped_inside_a_token() {
    let platform = Platform::start("swapped");
    let stack = &platform.stack;
    let mail = platform.rewrite("snd-1", "ada@example.com", HTML);
    let (click, _) = mail.links().remove(0);
    let click = token(stack.path_of(&click).unwrap()).to_owned();
    // Bytes 3 and 4 are the tenant's length and number: characters 4 to 7.
    for at in 4..7 {
        let answer = stack
            .envoy
            .get(&format!("/c/{}", altered(&click, at)))
            .unwrap();
        assert_eq!((answer.status, answer.header("location")), (404, None));
    }
}
