//! Rewriting over whole mails: what is decided for each, and what holds of all.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write;

use kraiter_backend::rewriting::{GMAIL_CLIP_BYTES, Options, PixelPosition};
use kraiter_tests::corpus::{self, Mail};
use kraiter_tests::invariants::{Reader, Request, is_own_unsubscribe, offset_in};

/// Above this the links are counted and only the first ones listed.
const LISTED_LINKS: usize = 60;

const CONTEXT_BYTES: usize = 40;

fn options_to_try() -> [Options; 3] {
    [
        Options::default(),
        Options {
            pixel: PixelPosition::Top,
            detect_unsubscribe: false,
            track_text: true,
            ..Options::default()
        },
        Options {
            track_clicks: false,
            ..Options::default()
        },
    ]
}

/// The invariants over all mails, with every broken one named.
fn check(mails: &[Mail]) {
    let mut reader = Reader::new().unwrap();
    let mut broken = Vec::new();
    for mail in mails {
        // The source is a text as good as any, with URLs in all kinds of places.
        let text = mail.html.clone();
        for options in options_to_try() {
            let request = Request {
                html: &mail.html,
                text: options.track_text.then_some(&text),
                options,
                list_unsubscribe: None,
            };
            if let Err(error) = reader.check(&request) {
                broken.push(format!("{}: {}", mail.name, error.0));
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_links_and_the_pixel_change_in_any_mail_and_every_link_leads_where_it_did() {
    check(&corpus::own().unwrap());
}

#[test]
fn the_same_holds_for_the_mails_of_a_given_folder() {
    check(&corpus::foreign().unwrap());
}

#[test]
fn the_corpus_has_small_and_large_mails_of_many_kinds() {
    let mails = corpus::own().unwrap();
    let sizes = mails.iter().map(|mail| mail.html.len());
    let (smallest, largest) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
    assert!(mails.len() >= 40, "{} mails", mails.len());
    assert!(
        smallest < 250 && largest > 1_000_000,
        "{smallest}, {largest}"
    );
}

#[test]
fn what_is_decided_for_a_mail_does_not_change_unnoticed() {
    let mut reader = Reader::new().unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("corpus-snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for mail in corpus::own().unwrap() {
        let decided = decided(&mut reader, &mail);
        let name = mail.name.replace('/', "-");
        settings.bind(|| insta::assert_snapshot!(name, decided));
    }
}

/// Each link with what became of it, where the pixel stands, what is warned of.
fn decided(reader: &mut Reader, mail: &Mail) -> String {
    let request = Request {
        html: &mail.html,
        ..Request::default()
    };
    let plan = reader.parse(&request).unwrap();
    let rewritten = reader.render(&plan);
    let links: Vec<_> = plan.links(&rewritten).collect();
    let mut decided = format!("{} bytes, {} links\n", mail.html.len(), links.len());
    for link in links.iter().take(LISTED_LINKS) {
        let at = offset_in(&mail.html, link.source).unwrap();
        match (link.index, link.skipped) {
            (Some(index), None) => write!(decided, "{at:>7} {index}").unwrap(),
            (None, Some(_)) if is_own_unsubscribe(link) => {
                write!(decided, "{at:>7} signed unsubscribe").unwrap();
            }
            (None, Some(reason)) => write!(decided, "{at:>7} {}", reason.as_str()).unwrap(),
            other => panic!("{other:?}"),
        }
        writeln!(decided, "  {}", shortened(link.source)).unwrap();
        if let Some(url) = link.url.filter(|url| *url != link.source) {
            writeln!(decided, "        = {}", shortened(url)).unwrap();
        }
    }
    if links.len() > LISTED_LINKS {
        let wrapped = links.iter().filter(|link| link.index.is_some()).count();
        writeln!(decided, "        … {wrapped} of all are wrapped").unwrap();
    }
    match reader.pixel(&rewritten) {
        Some(pixel) => {
            let html = &rewritten.html;
            let from = html.floor_char_boundary(pixel.start.saturating_sub(CONTEXT_BYTES));
            let until = html.floor_char_boundary(pixel.end + CONTEXT_BYTES);
            let before = html.get(from..pixel.start).unwrap();
            let after = html.get(pixel.end..until).unwrap();
            writeln!(decided, "pixel between {before:?} and {after:?}").unwrap();
        }
        None => decided.push_str("no pixel\n"),
    }
    if rewritten.is_clipped_by_gmail() {
        writeln!(decided, "warning: above {GMAIL_CLIP_BYTES} bytes").unwrap();
    }
    decided
}

/// Visible on one line, and not longer than that.
fn shortened(text: &str) -> String {
    let visible = text.escape_debug().to_string();
    match visible.char_indices().nth(150) {
        Some((cut, _)) => format!("{}… ({} bytes)", visible.get(..cut).unwrap(), text.len()),
        None => visible,
    }
}
