//! Answers of many requests as one text, for a snapshot.

use kraiter_tests::http::Response;

/// Headers that belong to an error's contract.
const SHOWN: [&str; 3] = ["allow", "retry-after", "www-authenticate"];

#[derive(Default)]
pub(crate) struct Answers {
    text: String,
    hidden: Vec<(String, String)>,
}

impl Answers {
    /// What differs from run to run is shown as `[name]`.
    pub(crate) fn hide(mut self, value: impl Into<String>, name: &str) -> Self {
        self.hidden.push((value.into(), format!("[{name}]")));
        self
    }

    pub(crate) fn add(&mut self, case: &str, answer: &Response) {
        let content_type = answer.header("content-type").unwrap_or_default();
        self.text += &format!("== {case}\n{} {content_type}\n", answer.status);
        for name in SHOWN {
            if let Some(value) = answer.header(name) {
                self.text += &format!("{name}: {value}\n");
            }
        }
        let json = answer.json();
        let body = match json.as_str() {
            Some(text) => text.to_owned(),
            None => serde_json::to_string_pretty(&json).unwrap(),
        };
        self.text += &format!("{body}\n\n");
    }

    pub(crate) fn text(self) -> String {
        self.hidden
            .iter()
            .fold(self.text, |text, (value, name)| text.replace(value, name))
    }
}
