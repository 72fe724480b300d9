//! The commands that `make run` prints. They need curl and grep, and each stands for itself.

use std::path::Path;

/// By its own name, curl would be taken for the machine that it is.
const READER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.5.0";

/// Title and command; a test runs them as they are.
pub(crate) fn to_try(dev_env: &Path) -> [(&'static str, String); 3] {
    let data_dir = dev_env.parent().unwrap_or(dev_env);
    let source = format!(". {}", quoted(&dev_env.display().to_string()));
    let mail = quoted(&data_dir.join("mail.json").display().to_string());
    let authorization = r#"-H "authorization: Bearer $KRAITER_API_KEY""#;
    let html = r#"<p>Hello Ada, <a href=\"https://example.com/spring\">see what is new</a>.</p>"#;
    let body =
        format!(r#"{{"contact":"ada@example.com","campaign":"first-steps","html":"{html}"}}"#);
    [
        (
            "rewrite a mail: the answer has its pixel and its link signed",
            format!(
                r#"{source}; curl -sS "$KRAITER_API/rewrite" {authorization} -H 'content-type: application/json' -d '{body}' | tee {mail}; echo"#
            ),
        ),
        (
            "load its pixel from the edge, as the recipient's mail client does",
            format!(
                r#"{source}; curl -sS -A '{READER}' -o /dev/null -w '%{{http_code}} %{{content_type}}\n' "$(grep -o "$KRAITER_EDGE/o/[A-Za-z0-9_-]*\.gif" {mail} | head -n 1)""#
            ),
        ),
        (
            "read the contact: the open has been counted (it arrives within a second or two)",
            format!(
                r#"{source}; sleep 2; curl -sS "$KRAITER_API/contacts/ada@example.com" {authorization}; echo"#
            ),
        ),
    ]
}

/// As one word of a shell's.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_in_a_shell() {
        assert_eq!(quoted("/srv/data/dev.env"), "/srv/data/dev.env");
        assert_eq!(quoted("/my data/it's"), r"'/my data/it'\''s'");
    }
}
