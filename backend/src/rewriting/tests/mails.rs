//! Mails as they are sent, and all that becomes of them.

use std::fmt::Write;

use super::{Case, readable};

/// The rewritten mail with its tokens spelled out, and what was reported of each link.
fn account(html: &str, text: Option<&str>) -> String {
    let mut case = Case::of(html).options(|options| options.track_text = true);
    case.text = text;
    let outcome = case.rewrite();
    assert_eq!(outcome.undone(), html);
    let mut account = outcome.readable();
    if let Some(text) = &outcome.text {
        write!(account, "\n---- text\n{}", readable(text)).unwrap();
    }
    account.push_str("\n---- links\n");
    for link in &outcome.links {
        match (link.index, link.skipped) {
            (Some(index), _) => write!(account, "{index}").unwrap(),
            (None, reason) => account.push_str(reason.unwrap_or("?")),
        }
        write!(account, "  {}", link.source).unwrap();
        match &link.url {
            Some(url) if *url != link.source => writeln!(account, "\n   {url}").unwrap(),
            _ => account.push('\n'),
        }
    }
    account
}

fn matches_snapshot(name: &str, html: &str, text: Option<&str>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, account(html, text)));
}

#[test]
fn a_newsletter_with_outlook_buttons() {
    let text = "The No. 4 plane is back: https://workshop.example/planes/no-4.\n\
        Unsubscribe: <kraiter:unsubscribe>\n";
    matches_snapshot(
        "newsletter",
        include_str!("mails/newsletter.html"),
        Some(text),
    );
}

#[test]
fn a_letter_from_word() {
    matches_snapshot("word", include_str!("mails/word.html"), None);
}

#[test]
fn a_forwarded_mail() {
    matches_snapshot("forward", include_str!("mails/forward.html"), None);
}
