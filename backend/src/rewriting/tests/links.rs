//! Which links are wrapped, and as what.

use super::{BASE, Case, says, skipped, wrapped};

#[test]
fn links_are_found_however_they_are_written() {
    for html in [
        "<a href=\"https://a.example/\">x</a>",
        "<A HREF='https://a.example/'>x</A>",
        "<a href=https://a.example/>x</a>",
        "<a\n  class=b\n  href = \"https://a.example/\"\n>x</a>",
        "<map><area shape=rect HREF=\"https://a.example/\"></map>",
        "<a title='>' href=\"https://a.example/\">",
        "\u{FEFF}<a href=\"https://a.example/\">",
        "<a href=\"https://a.example/\"/>",
        "<svg><a href=\"https://a.example/\"></svg>",
        "<noscript><a href=\"https://a.example/\"></noscript>",
        "<a href=\"https://a.example/\" href=\"https://b.example/\">",
        "<a href=\"https://a.example/\"",
    ] {
        let expected: &[&str] = match html.ends_with('"') {
            true => &[],
            false => &["https://a.example/"],
        };
        assert_eq!(wrapped(html), expected, "{html}");
    }
}

#[test]
fn only_links_are_wrapped() {
    for html in [
        "<link href=\"https://a.example/\">",
        "<base href=\"https://a.example/\">",
        "<form action=\"https://a.example/\">",
        "<img src=\"https://a.example/\">",
        "<svg><image href=\"https://a.example/\"/><use href=\"https://a.example/\"/></svg>",
        "<script>'<a href=\"https://a.example/\">'</script>",
        "<style><a href=\"https://a.example/\"></style>",
        "<textarea><a href=\"https://a.example/\"></textarea>",
        "<title><a href=\"https://a.example/\"></title>",
        "<!-- <a href=\"https://a.example/\"> -->",
        "<p title='<a href=\"https://a.example/\">'>",
        "<abbr href=\"https://a.example/\">",
        "<a data-href=\"https://a.example/\" xhref=\"https://a.example/\">",
        "<!--[if mso]><v:fill href=\"https://a.example/\"><![endif]-->",
    ] {
        let outcome = Case::of(html).rewrite();
        assert!(outcome.links.is_empty(), "{html}");
    }
}

/// Stretches outside of the markup share a tokenizer; none may see what another left open.
#[test]
fn what_is_shown_elsewhere_is_read_on_its_own() {
    let comment = |inside: &str| format!("<!--[if mso]>{inside}<![endif]-->");
    let link = "<a href=\"https://a.example/\">x</a>";
    for open in [
        "<style>",
        "<p title='",
        "<svg>",
        "<!--",
        "<textarea>",
        "<a ",
    ] {
        let html = format!("{}<p>{}", comment(&format!("{link}{open}")), comment(link));
        assert_eq!(wrapped(&html).len(), 2, "{html}");
    }
    let nested = format!("{}<noscript>{}</noscript>", comment(link), comment(link));
    assert_eq!(wrapped(&nested).len(), 2);
    let after_other = format!("{}<p><noscript>{}", comment(link), comment(link));
    assert_eq!(wrapped(&after_other).len(), 2);
}

#[test]
fn a_marker_on_a_link_is_about_that_link() {
    let html = "<a data-no-track><a href=\"https://a.example/\"><p data-no-track></p>";
    assert_eq!(wrapped(html), ["https://a.example/"]);
}

#[test]
fn links_of_conditional_comments_are_wrapped_in_document_order() {
    let html = "<a href=\"https://a.example/1\">1</a>\
        <!--[if mso]><v:roundrect href=\"https://a.example/2\" arcsize=\"10%\"><w:anchorlock/>\
        </v:roundrect><![endif]--><!--[if !mso]><!--><a href=\"https://a.example/3\">3</a>\
        <!--<![endif]--><!--[if (gte mso 9)|(IE)]><A HREF=https://a.example/4>4<![endif]-->\
        <a href=\"https://a.example/5\">5</a>";
    let outcome = Case::of(html).rewrite();
    let expected: Vec<_> = (1..=5).map(|n| format!("https://a.example/{n}")).collect();
    assert_eq!(outcome.wrapped(), expected);
    assert_eq!(outcome.undone(), html);
}

#[test]
fn what_only_looks_like_a_conditional_comment_is_not_read() {
    for html in [
        "<style><!--[if mso]><a href=\"https://a.example/\"><![endif]--></style><a name=x>",
        "<!-- <!--[if mso]><a href=\"https://a.example/\"><![endif]-->",
        "<p title='<!--[if mso]><a href=https://a.example/><![endif]-->'>",
        "<script>\"<p><!--[if mso]><a href='https://a.example/'><![endif]-->\"</script>",
    ] {
        assert!(wrapped(html).is_empty(), "{html}");
        let with_real_ones = format!(
            "<p><!--[if mso]><a href='https://r.example/1'><![endif]--></p>{html}<p>\
             <!--[if mso]><a href='https://r.example/2'><![endif]--></p>"
        );
        let expected = ["https://r.example/1", "https://r.example/2"];
        assert_eq!(wrapped(&with_real_ones), expected, "{html}");
    }
}

#[test]
fn a_conditional_comment_that_is_never_closed_is_still_read() {
    let html = "<p>x<!--[if mso]><a href=\"https://a.example/\">";
    assert_eq!(wrapped(html), ["https://a.example/"]);
}

#[test]
fn the_signed_url_is_the_one_a_browser_follows() {
    for (value, url) in [
        (
            "https://a.example/?a=1&amp;b=2",
            "https://a.example/?a=1&b=2",
        ),
        (
            "https://a.example/?a=1&#38;b&#x26;c&AMP;d",
            "https://a.example/?a=1&b&c&d",
        ),
        ("https://a.example/?a&AMP", "https://a.example/?a&"),
        // Without its semicolon a name is no entity before a letter or an equals sign.
        (
            "https://a.example/?a=1&copy=2&amp=3&ampx",
            "https://a.example/?a=1&copy=2&amp=3&ampx",
        ),
        (
            "https://a.example/?a=1&copy;",
            "https://a.example/?a=1%C2%A9",
        ),
        (
            " \n https://a.example/a\tb\r\nc \u{c}",
            "https://a.example/abc",
        ),
        ("https://a.example/a b", "https://a.example/a%20b"),
        (
            "\u{1f}https://a.example/\u{0}",
            "https://a.example/%EF%BF%BD",
        ),
        (
            "https://a.example/ä?ö#ü",
            "https://a.example/%C3%A4?%C3%B6#%C3%BC",
        ),
        (
            "https://a.example/&quot;&lt;x&gt;",
            "https://a.example/%22%3Cx%3E",
        ),
        ("//a.example/x", "https://a.example/x"),
        ("https:\\\\a.example\\x", "https://a.example\\x"),
        ("https:/a.example/x", "https://a.example/x"),
        (
            "https://münchen.example:8443/ä",
            "https://xn--mnchen-3ya.example:8443/%C3%A4",
        ),
        ("https://MÜNCHEN.example", "https://xn--mnchen-3ya.example"),
    ] {
        assert_eq!(wrapped(&format!("<a href=\"{value}\">")), [url], "{value}");
    }
}

#[test]
fn otherwise_the_authors_bytes_are_kept() {
    for url in [
        "HTTPS://A.Example:443/%7e%2F%2f/../x?b=1&a=%20+;|[]{}'()*!~^`\\#frag/?#x",
        "https://a.example",
        "https://a@b.example/",
        "https://user:p%40ss@b.example:80/?",
        "http://[2001:db8::1]:8080/x",
        "http://127.0.0.1/x",
        "https://a_b.example./x",
        "https://xn--mnchen-3ya.example/",
        "https://a.example/?X-Amz-Signature=ab%2Bcd==&X-Amz-Date=20261123T000000Z",
    ] {
        let html = format!("<a href=\"{url}\">");
        assert_eq!(wrapped(&html), [url]);
        let outcome = Case::of(&html).rewrite();
        let tracked = outcome.links[0].tracked.as_deref().unwrap();
        assert_eq!(says(tracked).unwrap(), format!("click 0 {url}"));
    }
}

#[test]
fn every_reason_not_to_wrap_is_told() {
    let long = format!("https://a.example/{}", "x".repeat(4096));
    for (value, reason) in [
        ("mailto:a@b.example", "scheme"),
        ("tel:+49", "scheme"),
        (" SMS:1", "scheme"),
        ("cid:1", "scheme"),
        ("data:text/html,x", "scheme"),
        ("java\nscript:alert(1)", "scheme"),
        ("myapp://x", "scheme"),
        ("ftp://a.example/", "scheme"),
        ("#top", "anchor"),
        ("", "relative"),
        ("page.html", "relative"),
        ("/page?a:b", "relative"),
        ("?x", "relative"),
        ("{{ url }}", "placeholder"),
        ("https://a.example/{{id}}", "placeholder"),
        ("{% url %}", "placeholder"),
        ("*|ARCHIVE|*", "placeholder"),
        ("%%url%%", "placeholder"),
        ("[[url]]", "placeholder"),
        ("<%= url %>", "placeholder"),
        ("https://t.example/c/AQEB", "already_tracked"),
        ("https://T.EXAMPLE/u/AQEB", "already_tracked"),
        ("https://", "invalid_url"),
        ("https:///", "invalid_url"),
        ("https:a.example", "invalid_url"),
        ("https://a b.example/", "invalid_url"),
        ("https://a.example:99999/", "invalid_url"),
        ("https://[::1/", "invalid_url"),
        ("https://1.2.3.999/", "invalid_url"),
        (long.as_str(), "too_long"),
        ("https://a.example/unsubscribe?u=1", "unsubscribe"),
        ("https://a.example/?do=opt-out", "unsubscribe"),
    ] {
        assert_eq!(
            skipped(&format!("<a href=\"{value}\">")),
            [reason],
            "{value}"
        );
    }
}

#[test]
fn urls_beyond_4096_bytes_are_too_long_after_encoding() {
    let link = |bytes: usize| format!("<a href=\"https://a.example/{}\">", "x".repeat(bytes - 18));
    assert_eq!(wrapped(&link(4096)).len(), 1);
    assert_eq!(skipped(&link(4097)), ["too_long"]);
    let umlauts = format!("<a href=\"https://a.example/{}\">", "ä".repeat(1000));
    assert_eq!(skipped(&umlauts), ["too_long"]);
}

#[test]
fn every_marker_of_every_service_is_honoured_on_links_and_around_them() {
    for marker in [
        "data-kraiter-no-track",
        "DATA-NO-TRACK=1",
        "clicktracking=\"off\"",
        "clickTracking=OFF",
        "data-pm-no-track",
        "ses:no-track",
        "disable-tracking=\"true\"",
        "data-msys-clicktrack='0'",
        "mautic:disable-tracking=\"true\"",
        "data-mautic-disable-tracking=\"true\"",
        "data-skip-click",
    ] {
        for html in [
            format!("<a {marker} href=\"https://a.example/\">x</a>"),
            format!("<a href=\"https://a.example/\" {marker}>x</a>"),
            format!("<table {marker}><tr><td><a href=\"https://a.example/\">x</a></table>"),
            format!("<div {marker}><!--[if mso]><a href=\"https://a.example/\"><![endif]--></div>"),
            format!("<!--[if mso]><div {marker}><a href=\"https://a.example/\"></div><![endif]-->"),
        ] {
            let outcome = Case::of(&html).rewrite();
            assert_eq!(outcome.skipped(), ["no_track"], "{html}");
            assert_eq!(outcome.undone(), html);
        }
        let beside = format!("<p {marker}>x</p><a href=\"https://a.example/\">");
        assert_eq!(wrapped(&beside), ["https://a.example/"], "{beside}");
    }
    assert!(skipped("<a clicktracking=on href=\"https://a.example/\">").is_empty());
    assert!(skipped("<a disable-tracking=false href=\"https://a.example/\">").is_empty());
}

#[test]
fn unsubscribe_links_are_left_alone() {
    let marked = "<a data-kraiter-unsubscribe href=\"https://a.example/1\">\
        <a rel=\"nofollow Unsubscribe\" href=\"https://a.example/2\">\
        <a href=\"https://a.example/bye?a=1&amp;b=2\"><a href=\"https://a.example/3\">";
    let mut case = Case::of(marked);
    case.list_unsubscribe = Some("<mailto:u@a.example>, <https://a.example/bye?a=1&b=2>");
    let outcome = case.rewrite();
    assert_eq!(outcome.skipped(), ["unsubscribe"; 3]);
    assert_eq!(outcome.wrapped(), ["https://a.example/3"]);
}

#[test]
fn the_detection_of_unsubscribe_links_can_be_turned_off() {
    let case = Case::of("<a href=\"https://a.example/unsubscribe\">")
        .options(|options| options.detect_unsubscribe = false);
    assert_eq!(case.rewrite().wrapped(), ["https://a.example/unsubscribe"]);
}

#[test]
fn our_own_placeholder_becomes_the_signed_unsubscribe_link() {
    let html = "<a href=\" Kraiter:Unsubscribe \">bye</a>\
        <p data-no-track><a href=kraiter:unsubscribe>";
    for track_clicks in [true, false] {
        let case = Case::of(html).options(|options| {
            options.track_clicks = track_clicks;
            options.track_opens = false;
        });
        let outcome = case.rewrite();
        assert_eq!(
            outcome.readable(),
            "<a href=\"«unsubscribe»\">bye</a><p data-no-track><a href=«unsubscribe»>"
        );
        assert_eq!(outcome.skipped(), ["unsubscribe", "unsubscribe"]);
    }
}

#[test]
fn without_click_tracking_no_link_changes() {
    let html = "<a href=\"https://a.example/\">x</a>";
    let outcome = Case::of(html)
        .options(|options| {
            options.track_clicks = false;
            options.track_opens = false;
        })
        .rewrite();
    assert_eq!(outcome.html, html);
    assert!(outcome.links.is_empty());
}

#[test]
fn the_same_url_twice_is_two_links() {
    let html = "<a href=\"https://a.example/\">1</a><a href=\"mailto:x@y.example\">\
        <a href=\"https://a.example/\">2</a>";
    let outcome = Case::of(html).rewrite();
    let indices: Vec<_> = outcome.links.iter().map(|link| link.index).collect();
    assert_eq!(indices, [Some(0), None, Some(1)]);
    assert!(outcome.readable().contains("«click 1 https://a.example/»"));
}

#[test]
fn a_report_shows_what_was_written_and_what_is_followed() {
    let outcome =
        Case::of("<a href=\" https://a.example/?a&amp;b\"><a href=\"mailto:a&#64;b\">").rewrite();
    assert_eq!(outcome.links[0].source, " https://a.example/?a&amp;b");
    assert_eq!(
        outcome.links[0].url.as_deref(),
        Some("https://a.example/?a&b")
    );
    assert!(
        outcome.links[0]
            .tracked
            .as_deref()
            .unwrap()
            .starts_with(BASE)
    );
    assert_eq!(outcome.links[1].source, "mailto:a&#64;b");
    assert_eq!(outcome.links[1].url.as_deref(), Some("mailto:a@b"));
    assert_eq!(outcome.links[1].tracked, None);
}
