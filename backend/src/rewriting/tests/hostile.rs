//! Input that nobody should send and everybody gets.

use std::time::{Duration, Instant};

use super::super::{MAX_MAIL_BYTES, RewriteError};
use super::Case;

/// Far above what any of these takes, far below what quadratic time would.
const PATIENCE: Duration = Duration::from_secs(20);

fn in_time(name: &str, html: &str) -> Result<super::Outcome, RewriteError> {
    let start = Instant::now();
    let outcome = Case::of(html).try_rewrite();
    assert!(
        start.elapsed() < PATIENCE,
        "{name} took {:?}",
        start.elapsed()
    );
    outcome
}

#[test]
fn large_mails_take_linear_time() {
    for (name, unit) in [
        (
            "links",
            "<p>Words <a href=\"https://a.example/?a=1&amp;b=2\">link</a> and words.</p>\n",
        ),
        ("tables", "<table><tr><td>"),
        ("end tags", "</div></span>"),
        (
            "marked",
            "<div data-no-track><p><a href=\"https://a.example/\">",
        ),
        ("open comments", "<!--[if mso]>"),
        (
            "conditional",
            "<p><!--[if mso]><a href=\"https://a.example/\"><![endif]-->",
        ),
        (
            "fake conditional",
            "<p title='<!--[if mso]><a href=x><![endif]-->'>",
        ),
        ("angle brackets", "<"),
        ("links without an end", "<a"),
        (
            "links without an end in a comment",
            "<!--[if mso]><a<v:rect href",
        ),
        ("noscript", "<noscript><a href=\"https://a.example/\">"),
        (
            "closed noscript",
            "<noscript><a href=\"https://a.example/\"></noscript>",
        ),
        (
            "tokens",
            "https://t.example/o/ <img src=\"https://t.example/c/\">",
        ),
        ("bodies", "<body></body>"),
        ("svg", "<svg><math>"),
        ("entities", "<a href=\"&amp&amp&\">"),
        ("markers", "data-no-track"),
    ] {
        let html = unit.repeat(2 * 1024 * 1024 / unit.len());
        let outcome = in_time(name, &html).unwrap();
        assert!(outcome.html.len() >= html.len(), "{name}");
    }
}

#[test]
fn ten_megabytes_are_rewritten() {
    let html = "<table><tr><td><a href=\"https://a.example/x\">x</a></td></tr></table>\n"
        .repeat(10 * 1024 * 1024 / 70);
    let outcome = in_time("10 MB", &html).unwrap();
    assert_eq!(outcome.links.len(), 10 * 1024 * 1024 / 70);
}

#[test]
fn unclosed_constructs_of_ten_megabytes_stay_within_the_memory_limit() {
    for start in [
        "<!--",
        "<!--[if mso]><a href=x>",
        "<style>",
        "<a href=\"",
        "<noscript>",
        "<p>",
    ] {
        let html = format!("<p>{start}{}", "words and more ".repeat(700_000));
        in_time(start, &html).unwrap();
    }
}

#[test]
fn a_tag_with_attributes_without_end_is_an_error_of_that_mail_only() {
    let html = format!("<body {}>", "b ".repeat(5 * 1024 * 1024));
    assert!(matches!(
        in_time("attributes", &html),
        Err(RewriteError::Memory { .. })
    ));
    for tag in ["a", "table"] {
        let html = format!("<{tag} {}><p>", "b ".repeat(5 * 1024 * 1024));
        in_time(tag, &html).unwrap();
    }
}

#[test]
fn what_is_too_large_is_not_read() {
    let html = "x".repeat(MAX_MAIL_BYTES + 1);
    assert_eq!(
        Case::of(&html).try_rewrite(),
        Err(RewriteError::TooLarge {
            got: MAX_MAIL_BYTES + 1,
            max: MAX_MAIL_BYTES
        })
    );
}

#[test]
fn comments_within_comments_are_read_to_a_limited_depth() {
    let html = format!(
        "{}<a href=\"https://a.example/\">",
        "<!--[if mso]>".repeat(1000)
    );
    assert!(in_time("nested", &html).unwrap().links.len() <= 1);
}
