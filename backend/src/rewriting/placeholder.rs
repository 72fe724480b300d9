//! Template syntax that was never filled in: such a link leads nowhere, so signing it would only
//! hide the mistake.

/// Opening and closing signs of the template languages seen in mail.
const SIGNS: [(&str, &str); 6] = [
    ("{{", "}}"),
    ("{%", "%}"),
    ("*|", "|*"),
    ("%%", "%%"),
    ("[[", "]]"),
    ("<%=", "%>"),
];

pub(super) fn has_placeholder(value: &str) -> bool {
    let mut pairs = value.as_bytes().windows(2);
    let is_opening = |pair: &[u8]| matches!(pair, b"{{" | b"{%" | b"*|" | b"%%" | b"[[" | b"<%");
    pairs.any(is_opening) && opens_and_closes(value)
}

fn opens_and_closes(value: &str) -> bool {
    SIGNS.iter().any(|(open, close)| {
        value
            .split_once(open)
            .is_some_and(|(_, rest)| rest.contains(close))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_opened_and_closed() {
        for value in [
            "{{ url }}",
            "https://a.example/{{id}}",
            "{% url %}",
            "*|UNSUB|*",
            "%%view_email_url%%",
            "[[link]]",
            "<%= @url %>",
        ] {
            assert!(has_placeholder(value), "{value}");
        }
        for value in [
            "https://a.example/{{",
            "https://a.example/%20%25",
            "https://a.example/?a[0]=*|x",
            "https://a.example/%%",
        ] {
            assert!(!has_placeholder(value), "{value}");
        }
    }
}
