//! Links that end a subscription are left alone: a recipient who wants out is not tracked on the
//! way, and mail programs compare such links with the header.

use super::any_case::{self, differs};

/// Whether path or query hold the words unsubscribe, opt-out or optout.
pub(super) fn says_unsubscribe(url: &str) -> bool {
    may_say_unsubscribe(url.as_bytes()) && has_the_words(url)
}

/// Whether there is `unsu` or `out` at all.
fn may_say_unsubscribe(url: &[u8]) -> bool {
    // A URL starts with its scheme, so neither is at its very start or alone.
    any_case::may_hold(url, |[first, second, third, last]| {
        let unsu = differs(first, b'u') | differs(second, b'n') | differs(third, b's');
        let out = differs(second, b'o') | differs(third, b'u') | differs(last, b't');
        unsu.min(out)
    })
}

fn has_the_words(url: &str) -> bool {
    let after_host = url
        .split_once("://")
        .and_then(|(_, rest)| rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)))
        .unwrap_or_default();
    let path_and_query = after_host.split('#').next().unwrap_or_default();
    let mut previous = "";
    for word in words(path_and_query) {
        let is = |wanted: &str| word.eq_ignore_ascii_case(wanted);
        if is("unsubscribe") || is("optout") {
            return true;
        }
        if is("out") && previous.eq_ignore_ascii_case("opt") {
            return true;
        }
        previous = word;
    }
    false
}

/// Runs of letters and digits; an encoded byte (`%2F`) separates as the byte itself would.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('%').enumerate().flat_map(|(nth, part)| {
        let part = match (nth, part.get(..2)) {
            (1.., Some(hex)) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                part.get(2..).unwrap_or_default()
            }
            _ => part,
        };
        part.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
    })
}

/// The URLs of a `List-Unsubscribe` header, or the one URL given without brackets.
pub(super) fn listed_urls(header: &str) -> impl Iterator<Item = &str> {
    let bracketed = header.contains('<');
    let whole = (!bracketed).then(|| header.trim());
    let inside = header
        .split('<')
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .map(|(url, _)| url.trim());
    whole.into_iter().chain(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_not_letters() {
        for url in [
            "https://a.example/unsubscribe?u=1",
            "https://a.example/Unsubscribe.html",
            "https://a.example/?action=opt-out",
            "https://a.example?optout=1",
            "https://a.example/opt_out/x",
            "https://a.example/r?to=%2Funsubscribe%3Fx",
        ] {
            assert!(says_unsubscribe(url), "{url}");
        }
        for url in [
            "https://unsubscribe.example/",
            "https://a.example/unsubscribers",
            "https://a.example/opt-outside",
            "https://a.example/adopt-out",
            "https://a.example/out-opt",
            "https://a.example/#unsubscribe",
        ] {
            assert!(!says_unsubscribe(url), "{url}");
        }
    }

    #[test]
    fn a_list_unsubscribe_may_be_a_header_or_a_url() {
        let urls = |header| listed_urls(header).collect::<Vec<_>>();
        assert_eq!(urls(" https://a.example/u "), ["https://a.example/u"]);
        assert_eq!(
            urls("<mailto:a@b.example>, <https://a.example/u>"),
            ["mailto:a@b.example", "https://a.example/u"]
        );
    }
}
