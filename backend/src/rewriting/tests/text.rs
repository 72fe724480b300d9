//! The text part.

use super::{Case, readable};

fn rewritten(text: &str, track_text: bool) -> (String, Vec<&'static str>) {
    let mut case = Case::of("").options(|options| options.track_text = track_text);
    case.text = Some(text);
    let outcome = case.rewrite();
    let skipped = outcome.links.iter().filter_map(|link| link.skipped);
    let skipped = skipped.collect();
    (readable(&outcome.text.unwrap()), skipped)
}

#[test]
fn urls_in_text_are_wrapped_on_request_only() {
    let text = "Go to https://a.example/x?a=1&b=2. Or <https://b.example/>\n(http://c.example)";
    assert_eq!(rewritten(text, false).0, text);
    assert_eq!(
        rewritten(text, true).0,
        "Go to «click 0 https://a.example/x?a=1&b=2». Or <«click 1 https://b.example/»>\n\
         («click 2 http://c.example»)"
    );
}

#[test]
fn text_has_no_entities_and_no_pixel() {
    let (text, _) = rewritten("https://a.example/?a&amp;b", true);
    assert_eq!(text, "«click 0 https://a.example/?a&amp;b»");
}

#[test]
fn text_links_follow_those_of_the_html() {
    let mut case = Case::of("<a href=\"https://a.example/\">");
    case.options.track_text = true;
    case.text = Some("https://b.example/ https://a.example/unsubscribe https://a.example/{{x}}");
    let outcome = case.rewrite();
    assert_eq!(
        outcome.wrapped(),
        ["https://a.example/", "https://b.example/"]
    );
    assert_eq!(outcome.skipped(), ["unsubscribe", "placeholder"]);
    assert!(readable(&outcome.text.unwrap()).starts_with("«click 1 https://b.example/» "));
}

#[test]
fn the_unsubscribe_placeholder_is_replaced_in_text_as_well() {
    let (text, skipped) = rewritten("Bye: kraiter:unsubscribe.", false);
    assert_eq!(text, "Bye: «unsubscribe».");
    assert_eq!(skipped, ["unsubscribe"]);
}

#[test]
fn rewriting_text_twice_changes_nothing() {
    let mut case = Case::of("").options(|options| options.track_text = true);
    case.text = Some("https://a.example/x, <https://b.example/ä> kraiter:unsubscribe!");
    let once = case.rewrite().text.unwrap();
    case.text = Some(&once);
    let twice = case.rewrite();
    assert_eq!(twice.text.as_deref(), Some(once.as_str()));
    assert_eq!(twice.skipped(), ["already_tracked"; 3]);
}
