//! The campaign's mails, rewritten by the API as a renderer would have them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use kraiter_wire::UnixMillis;
use serde_json::{Value, json};

use crate::api::Api;
use crate::http::Request;
use crate::simulation::{Action, Campaign};
use crate::trouble::{Outcome, Trouble};

/// Recipients in one call.
const BATCH: usize = 1000;

#[derive(Clone, Copy)]
pub(super) struct Mails<'a> {
    pub(super) api: &'a Api,
    pub(super) campaign: &'a str,
    pub(super) links: u32,
    pub(super) progress: &'a dyn Fn(&str, u64, u64),
}

/// What is tracked in one recipient's mail.
pub(super) struct Mail {
    pub(super) pixel: String,
    /// In the order of the links.
    pub(super) links: Vec<String>,
}

impl Mails<'_> {
    /// The tokens of those actions that are wanted.
    pub(super) fn tokens(
        &self,
        sent_at: &[UnixMillis],
        wanted: &HashSet<(u32, Action)>,
    ) -> Outcome<HashMap<(u32, Action), String>> {
        let mut tokens = HashMap::with_capacity(wanted.len());
        self.each(sent_at, |recipient, mail| {
            let clicks = (0..).map(Action::Click).zip(&mail.links);
            for (action, url) in [(Action::Open, &mail.pixel)].into_iter().chain(clicks) {
                if wanted.contains(&(recipient, action)) {
                    tokens.insert((recipient, action), token_of(url).to_owned());
                }
            }
            Ok(())
        })?;
        Ok(tokens)
    }

    /// Has a mail rewritten for each recipient, sent at the time given, and hands it on.
    pub(super) fn each(
        &self,
        sent_at: &[UnixMillis],
        mut take: impl FnMut(u32, &Mail) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut recipient = 0;
        let all = sent_at.len() as u64;
        for group in sent_at.chunks(BATCH) {
            let first =
                json!({"html": self.html(), "campaign": self.campaign, "keepPreview": true});
            let mut body = first.to_string();
            for (number, sent) in (recipient..).zip(group) {
                let line = json!({
                    "contact": format!("reader{number:06}@example.com"),
                    "sendId": format!("{}-{number}", self.campaign),
                    "sentAt": rfc_3339(*sent)?,
                });
                body.push('\n');
                body.push_str(&line.to_string());
            }
            let request = Request::new("POST", "/rewrite/batch").body("application/x-ndjson", body);
            let answer = self.api.send(request)?;
            for line in answer.text().lines() {
                take(recipient, &Mail::read(line)?)?;
                recipient += 1;
                if recipient % 250 == 0 || u64::from(recipient) == all {
                    (self.progress)("rewriting mails", recipient.into(), all);
                }
            }
        }
        match u64::from(recipient) == all {
            true => Ok(()),
            false => Err(useless(&format!("{recipient} of {all} mails came back"))),
        }
    }

    fn html(&self) -> String {
        let links: String = (0..self.links)
            .map(|link| {
                let url = Campaign::url(link);
                format!("<tr><td><a href=\"{url}\">Offer {link}</a></td></tr>")
            })
            .collect();
        format!(
            "<html><body><h1>Spring at the shop</h1><table>{links}</table>\
             <p><a href=\"kraiter:unsubscribe\">Unsubscribe</a></p></body></html>"
        )
    }
}

impl Mail {
    fn read(line: &str) -> Outcome<Self> {
        let answer: Value = serde_json::from_str(line).map_err(|error| useless(&error))?;
        let html = answer.get("html").and_then(Value::as_str);
        let html = html.ok_or_else(|| useless(&line))?;
        let pixel = html.split('"').find(|part| part.contains("/o/"));
        let links = answer.get("links").and_then(Value::as_array);
        let tracked = |link: &Value| Some(link.get("trackedUrl")?.as_str()?.to_owned());
        Ok(Self {
            pixel: pixel
                .ok_or_else(|| useless(&"a mail without a pixel"))?
                .to_owned(),
            links: links.into_iter().flatten().filter_map(tracked).collect(),
        })
    }
}

fn rfc_3339(at: UnixMillis) -> Outcome<String> {
    let at = i64::try_from(at.0).map_err(|error| useless(&error))?;
    let at = jiff::Timestamp::from_millisecond(at);
    at.map(|at| at.to_string()).map_err(|error| useless(&error))
}

/// What stands behind the last slash, without the pixel's ending.
fn token_of(url: &str) -> &str {
    let name = url.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".gif").unwrap_or(name)
}

fn useless(problem: &impl ToString) -> Trouble {
    Trouble::content(Path::new("/rewrite/batch"), problem.to_string())
}
