//! URLs in the text part of a mail.

use std::ops::Range;

use memchr::memmem;

/// Punctuation that ends a sentence or a quotation and not a URL.
const TRAILING: [char; 16] = [
    '.', ',', ';', ':', '!', '?', '\'', '"', '*', '…', '”', '“', '’', '»', '。', '、',
];

const BRACKETS: [(char, char); 3] = [('(', ')'), ('[', ']'), ('{', '}')];

const UNSUBSCRIBE: &str = "kraiter:unsubscribe";

/// Something to look at in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mention {
    Url(Range<usize>),
    /// Template syntax follows that is not part of what a URL may hold.
    UnfinishedUrl(Range<usize>),
    KraiterUnsubscribe(Range<usize>),
}

impl Mention {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Url(range) | Self::UnfinishedUrl(range) | Self::KraiterUnsubscribe(range) => {
                range
            }
        }
    }
}

/// URLs and unsubscribe placeholders, in order.
pub(super) fn mentions(text: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut end = 0;
    for colon in memmem::find_iter(text.as_bytes(), b":") {
        if colon < end {
            continue;
        }
        let mention = url_at(text, colon, end).or_else(|| unsubscribe_at(text, colon));
        if let Some(mention) = mention {
            end = mention.range().end;
            found.push(mention);
        }
    }
    found
}

/// The URL whose scheme ends at `colon` and starts at `from` at the earliest.
fn url_at(text: &str, colon: usize, from: usize) -> Option<Mention> {
    let after = text.get(colon..)?.strip_prefix("://")?;
    let before = text.get(from..colon)?;
    let letters = before.len()
        - before
            .trim_end_matches(|c: char| c.is_ascii_alphanumeric())
            .len();
    let scheme = before.get(before.len() - letters..)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let start = colon - scheme.len();
    let stops = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"');
    let length = after.find(stops).unwrap_or(after.len());
    let (rest, following) = after.split_at_checked(length)?;
    let bracketed = text.get(..start)?.ends_with('<') && following.starts_with('>');
    let whole = start..colon + 3 + length;
    if following.starts_with("<%") || super::placeholder::has_placeholder(rest) {
        return Some(Mention::UnfinishedUrl(whole));
    }
    let kept = if bracketed {
        rest
    } else {
        without_trailing(rest)
    };
    (!kept.is_empty()).then(|| Mention::Url(start..colon + 3 + kept.len()))
}

/// Without punctuation at the end, and without closing brackets that were not opened in the URL.
fn without_trailing(url: &str) -> &str {
    let count = |wanted: char| url.matches(wanted).count();
    let mut unopened = BRACKETS.map(|(open, close)| (close, count(open), count(close)));
    let mut kept = url;
    while let Some(last) = kept.chars().next_back() {
        let bracket = unopened.iter_mut().find(|(close, ..)| *close == last);
        let cut = match bracket {
            Some((_, opened, closed)) if *closed > *opened => {
                *closed -= 1;
                true
            }
            Some(_) => false,
            None => TRAILING.contains(&last),
        };
        if !cut {
            break;
        }
        kept = kept.strip_suffix(last).unwrap_or_default();
    }
    kept
}

fn unsubscribe_at(text: &str, colon: usize) -> Option<Mention> {
    let start = colon.checked_sub("kraiter".len())?;
    let end = start + UNSUBSCRIBE.len();
    let is_word = |c: char| c.is_alphanumeric();
    let alone = !text.get(..start)?.ends_with(is_word) && !text.get(end..)?.starts_with(is_word);
    let matches = text.get(start..end)?.eq_ignore_ascii_case(UNSUBSCRIBE);
    (alone && matches).then_some(Mention::KraiterUnsubscribe(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<&str> {
        mentions(text)
            .iter()
            .filter_map(|mention| match mention {
                Mention::Url(range) => text.get(range.clone()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn punctuation_and_brackets_around_a_url_are_not_part_of_it() {
        assert_eq!(
            urls("See https://a.example/x. (Or http://b.example?q=1), \"HTTPS://c.example/\"!"),
            [
                "https://a.example/x",
                "http://b.example?q=1",
                "HTTPS://c.example/"
            ]
        );
        assert_eq!(
            urls("https://a.example/wiki/A_(b) [https://a.example/c]"),
            ["https://a.example/wiki/A_(b)", "https://a.example/c"]
        );
        assert_eq!(urls("„https://a.example/ä“ …"), ["https://a.example/ä"]);
    }

    #[test]
    fn angle_brackets_hold_all_of_a_url() {
        assert_eq!(urls("<https://a.example/x.>"), ["https://a.example/x."]);
        assert_eq!(urls("<https://a.example/\nx>"), ["https://a.example/"]);
    }

    #[test]
    fn other_schemes_and_words_are_no_urls() {
        assert!(urls("xhttps://a.example ftp://a.example https:// mailto:a@b.example").is_empty());
    }

    #[test]
    fn template_syntax_spoils_a_url() {
        for text in ["https://a.example/*|X|*", "https://a.example/<%= id %>"] {
            let found = mentions(text);
            assert!(
                matches!(found.as_slice(), [Mention::UnfinishedUrl(_)]),
                "{text}"
            );
        }
    }

    #[test]
    fn the_unsubscribe_placeholder_stands_alone() {
        let found = mentions("Bye: kraiter:unsubscribe. kraiter:unsubscribed xkraiter:unsubscribe");
        assert_eq!(found, [Mention::KraiterUnsubscribe(5..24)]);
    }

    #[test]
    fn a_hundred_thousand_brackets_cost_linear_time() {
        let text = format!("https://a.example/{}", ")".repeat(100_000));
        assert_eq!(urls(&text), ["https://a.example/"]);
    }
}
