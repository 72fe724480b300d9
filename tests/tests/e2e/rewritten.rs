//! A stack with one tenant and the mails it has had rewritten.

use kraiter_tests::api::Api;
use kraiter_tests::stack::{Stack, StackOptions};
use serde_json::{Value, json};

/// A stack and access to its one tenant.
pub(crate) struct Platform {
    pub(crate) stack: Stack,
    pub(crate) api: Api,
}

impl Platform {
    pub(crate) fn start(name: &str) -> Self {
        Self::with(StackOptions::for_test(name).unwrap())
    }

    pub(crate) fn with(options: StackOptions) -> Self {
        let stack = Stack::start(options).unwrap();
        let api = stack.tenant("shop").unwrap();
        Self { stack, api }
    }

    /// Has a mail to one contact rewritten.
    pub(crate) fn rewrite(&self, send: &str, contact: &str, html: &str) -> Rewritten {
        let body = json!({"sendId": send, "contact": contact, "campaign": "spring", "html": html});
        Rewritten::of(&self.api, &body)
    }

    /// The contact's numbers of sends, opens and clicks.
    pub(crate) fn counts(&self, contact: &str) -> [u64; 3] {
        let contact = self.api.contact(contact).unwrap();
        ["emailsSentCount", "emailsOpenedCount", "emailsClickedCount"].map(|name| {
            contact[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} in {contact}"))
        })
    }
}

/// The answer to a rewrite.
pub(crate) struct Rewritten {
    pub(crate) answer: Value,
}

impl Rewritten {
    pub(crate) fn of(api: &Api, body: &Value) -> Self {
        let answer = api.write("POST", "/rewrite", body).unwrap();
        Self { answer }
    }

    pub(crate) fn html(&self) -> &str {
        self.answer["html"].as_str().unwrap()
    }

    /// The one pixel in the mail.
    pub(crate) fn pixel(&self) -> String {
        let html = self.html();
        let found: Vec<&str> = html
            .split('"')
            .filter(|part| part.ends_with(".gif"))
            .collect();
        assert_eq!(found.len(), 1, "one pixel in {html}");
        assert!(found[0].contains("/o/"), "{html}");
        found[0].to_owned()
    }

    /// The tracked links with the destinations they have, in document order.
    pub(crate) fn links(&self) -> Vec<(String, String)> {
        let text = |link: &Value, name: &str| link[name].as_str().unwrap().to_owned();
        let links = self.answer["links"].as_array().unwrap().iter();
        links
            .filter(|link| link.get("trackedUrl").is_some())
            .map(|link| (text(link, "trackedUrl"), text(link, "url")))
            .collect()
    }

    /// Each link that was left alone, with the reason.
    pub(crate) fn skipped(&self) -> Vec<(String, String)> {
        let text = |link: &Value, name: &str| link[name].as_str().unwrap().to_owned();
        let links = self.answer["links"].as_array().unwrap().iter();
        links
            .filter(|link| link.get("skipped").is_some())
            .map(|link| (text(link, "source"), text(link, "skipped")))
            .collect()
    }

    /// What the mail's `List-Unsubscribe` header leads to.
    pub(crate) fn unsubscribe(&self) -> String {
        let header = self.answer["headers"]["List-Unsubscribe"].as_str().unwrap();
        let url = header.split(['<', '>']).find(|part| part.contains("/u/"));
        url.unwrap_or_else(|| panic!("no link in {header}"))
            .to_owned()
    }
}
