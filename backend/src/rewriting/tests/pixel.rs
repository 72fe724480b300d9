//! Where the pixel stands.

use super::super::{GMAIL_CLIP_BYTES, PixelPosition};
use super::{BASE, Case, render};

fn bottom(html: &str) -> String {
    Case::of(html).rewrite().readable()
}

fn top(html: &str) -> String {
    let case = Case::of(html).options(|options| options.pixel = PixelPosition::Top);
    case.rewrite().readable()
}

#[test]
fn the_pixel_is_the_last_thing_in_the_body() {
    for (html, expected) in [
        ("<body>x</body></html>", "<body>x[pixel]</body></html>"),
        ("<BODY>x</BODY\n>", "<BODY>x[pixel]</BODY\n>"),
        ("x</body>", "x[pixel]</body>"),
        ("<body>x</html>\n", "<body>x</html>\n[pixel]"),
        ("<p>x", "<p>x[pixel]"),
        ("", "[pixel]"),
        (
            "<body>1</body><body>2</body>",
            "<body>1</body><body>2</body>[pixel]",
        ),
        ("<body>x</body></body>", "<body>x</body></body>[pixel]"),
        (
            "<body>x<!-- </body> --><script>'</body>'</script></body>",
            "<body>x<!-- </body> --><script>'</body>'</script>[pixel]</body>",
        ),
        (
            "<body>x<!--[if mso]></body><![endif]--></body>",
            "<body>x<!--[if mso]></body><![endif]-->[pixel]</body>",
        ),
    ] {
        assert_eq!(bottom(html), expected);
    }
}

#[test]
fn the_pixel_is_never_swallowed_by_something_unclosed() {
    for (html, expected) in [
        ("<p>x<!-- y", "<p>x[pixel]<!-- y"),
        ("<p>x<style> y", "<p>x[pixel]<style> y"),
        ("<p>x<style>", "<p>x[pixel]<style>"),
        ("<p>x<script>a<b", "<p>x[pixel]<script>a<b"),
        ("<p>x<noscript><p>y", "<p>x[pixel]<noscript><p>y"),
        ("<p>x<textarea>", "<p>x[pixel]<textarea>"),
        ("<p>x<textarea c=>", "<p>x[pixel]<textarea c=>"),
        (
            "<p>x</p><style c = ><a href=\"https://no.example/\">y",
            "<p>x</p>[pixel]<style c = ><a href=\"https://no.example/\">y",
        ),
        ("<p>x<a href=\"y", "<p>x[pixel]<a href=\"y"),
        ("<p>x<a", "<p>x[pixel]<a"),
        ("<p>x<", "<p>x<[pixel]"),
        ("<p>x</", "<p>x[pixel]</"),
        ("<p>x<!", "<p>x[pixel]<!"),
        ("<p>x<!--[if mso]><p>", "<p>x[pixel]<!--[if mso]><p>"),
        ("<style>x", "[pixel]<style>x"),
        ("<plaintext>x</body>", "[pixel]<plaintext>x</body>"),
        ("<p>x<svg><![CDATA[ y", "<p>x[pixel]<svg><![CDATA[ y"),
    ] {
        assert_eq!(bottom(html), expected);
    }
}

#[test]
fn a_pixel_at_the_top_follows_the_body_tag() {
    for (html, expected) in [
        ("<body class=x>y</body>", "<body class=x>[pixel]y</body>"),
        ("<body>1<body>2", "<body>[pixel]1<body>2"),
        ("<p>x", "[pixel]<p>x"),
        ("\u{FEFF}<p>x", "\u{FEFF}[pixel]<p>x"),
        (
            "<!doctype html><head><title>t</title></head><p>x",
            "<!doctype html><head><title>t</title></head>[pixel]<p>x",
        ),
        ("<!DOCTYPE html><p>x", "<!DOCTYPE html><p>x[pixel]"),
    ] {
        assert_eq!(top(html), expected);
    }
}

#[test]
fn the_pixel_is_small_silent_and_shown() {
    let html = Case::of("").rewrite().html;
    assert!(html.starts_with(&format!("<img src=\"{BASE}/o/")));
    for part in [
        ".gif\" width=\"1\" height=\"1\" alt=\"\"",
        "aria-hidden=\"true\"",
        "display:block",
        "border:0",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("display:none"));
}

#[test]
fn a_mail_has_one_pixel_at_most() {
    let once = Case::of("<body>x</body>").rewrite();
    let twice = Case::of(&once.html).rewrite();
    assert_eq!(twice.html, once.html);
    let quoted = format!("<!-- {} -->", once.html);
    assert!(bottom(&quoted).ends_with("-->[pixel]"));
    let none = Case::of("<p>").options(|options| options.track_opens = false);
    assert_eq!(none.rewrite().html, "<p>");
}

#[test]
fn long_mails_are_clipped_by_gmail() {
    use super::super::{Options, Plan, Rules, TrackingBase};
    let base = TrackingBase::parse(BASE, "").unwrap();
    let rules = Rules {
        options: &Options::default(),
        base: &base,
        list_unsubscribe: None,
    };
    let clipped = |bytes: usize| {
        let plan = Plan::parse("x".repeat(bytes), None::<&str>, &rules).unwrap();
        render(&plan).is_clipped_by_gmail()
    };
    assert!(!clipped(GMAIL_CLIP_BYTES - 1000));
    assert!(clipped(GMAIL_CLIP_BYTES));
}
