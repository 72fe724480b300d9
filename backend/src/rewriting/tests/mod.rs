//! What rewriting does to whole mails.

mod hostile;
mod links;
mod mails;
mod pixel;
pub(super) mod properties;
mod text;

use kraiter_wire::{
    ContactId, Day, KeyId, Keyring, Link, LinkIndex, Secret, SendId, TenantId, TenantSigner,
    Verifier,
};

use super::pixel::{AFTER_URL, BEFORE_URL};
use super::{Options, Plan, Recipient, RewriteError, Rewritten, Rules, Scratch, TrackingBase};

const BASE: &str = "https://t.example";

/// One mail and what it was asked to be rewritten with.
struct Case<'c> {
    html: &'c str,
    text: Option<&'c str>,
    options: Options,
    list_unsubscribe: Option<&'c str>,
}

/// What came of it, with everything owned.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    html: String,
    text: Option<String>,
    links: Vec<Seen>,
}

/// A link as reported.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    index: Option<u32>,
    source: String,
    url: Option<String>,
    tracked: Option<String>,
    skipped: Option<&'static str>,
}

impl<'c> Case<'c> {
    fn of(html: &'c str) -> Self {
        Self {
            html,
            text: None,
            options: Options::default(),
            list_unsubscribe: None,
        }
    }

    fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    fn try_rewrite(&self) -> Result<Outcome, RewriteError> {
        let base = TrackingBase::parse(BASE, "").unwrap();
        let rules = Rules {
            options: &self.options,
            base: &base,
            list_unsubscribe: self.list_unsubscribe,
        };
        let plan = Plan::parse(self.html, self.text, &rules)?;
        let rewritten = render(&plan);
        let links = plan.links(&rewritten).map(|link| Seen {
            index: link.index,
            source: link.source.to_owned(),
            url: link.url.map(str::to_owned),
            tracked: link.tracked_url.map(str::to_owned),
            skipped: link.skipped.map(|reason| reason.as_str()),
        });
        let links = links.collect();
        Ok(Outcome {
            html: rewritten.html,
            text: rewritten.text,
            links,
        })
    }

    fn rewrite(&self) -> Outcome {
        self.try_rewrite().unwrap()
    }
}

impl Outcome {
    /// The URLs that were wrapped.
    fn wrapped(&self) -> Vec<&str> {
        let wrapped = self.links.iter().filter(|link| link.index.is_some());
        wrapped.filter_map(|link| link.url.as_deref()).collect()
    }

    /// The reasons of the links that were not.
    fn skipped(&self) -> Vec<&str> {
        self.links.iter().filter_map(|link| link.skipped).collect()
    }

    /// The HTML with signed tokens replaced by what they say, so that a person can read it.
    fn readable(&self) -> String {
        readable(&self.html)
    }

    /// The HTML with the authors' links and without the pixel.
    fn undone(&self) -> String {
        let mut undone = self.html.clone();
        let ours = format!("{BEFORE_URL}{BASE}/o/");
        for (start, _) in self.html.match_indices(&ours) {
            let url = &self.html[start + BEFORE_URL.len()..];
            let after = url.split_once(".gif").map(|(_, after)| after);
            if let Some(rest) = after.and_then(|after| after.strip_prefix(AFTER_URL)) {
                undone.replace_range(start..self.html.len() - rest.len(), "");
                break;
            }
        }
        for link in &self.links {
            let ours = link
                .source
                .trim()
                .eq_ignore_ascii_case("kraiter:unsubscribe");
            let start = undone.find(&format!("{BASE}/u/")).filter(|_| ours);
            if let Some(start) = start {
                let ends = |c: char| "\"' >".contains(c);
                let end = start + undone[start..].find(ends).unwrap();
                undone.replace_range(start..end, &link.source);
            }
            if let Some(tracked) = &link.tracked {
                undone = undone.replacen(tracked.as_str(), &link.source, 1);
            }
        }
        undone
    }
}

/// The URLs that come wrapped out of a mail of this one link.
fn wrapped(html: &str) -> Vec<String> {
    let outcome = Case::of(html).rewrite();
    outcome.wrapped().into_iter().map(str::to_owned).collect()
}

fn skipped(html: &str) -> Vec<String> {
    let outcome = Case::of(html).rewrite();
    outcome.skipped().into_iter().map(str::to_owned).collect()
}

fn signer() -> TenantSigner {
    TenantSigner::new(
        KeyId::new(1).unwrap(),
        &Secret::from_bytes([7; 32]),
        TenantId::new(12).unwrap(),
    )
}

fn verifier() -> Verifier {
    let keys = [(KeyId::new(1).unwrap(), Secret::from_bytes([7; 32]))];
    Verifier::new(&Keyring::new(keys).unwrap())
}

fn render(plan: &Plan<'_>) -> Rewritten {
    let recipient = Recipient {
        signer: &signer(),
        send: &SendId::parse("snd_test").unwrap(),
        contact: ContactId::from_bytes([5; 16]),
        day: Day(20_780),
    };
    plan.render(&recipient, &mut Scratch::default())
}

/// What a tracking URL says: its kind, and for clicks index and destination.
fn says(url: &str) -> Result<String, kraiter_wire::DecodeError> {
    let token = url.rsplit('/').next().unwrap();
    let token = token.strip_suffix(".gif").unwrap_or(token);
    let mut verifier = verifier();
    let token = verifier.verify(token.as_bytes())?;
    Ok(match &token.claims().link {
        Link::Open => "open".to_owned(),
        Link::Unsubscribe => "unsubscribe".to_owned(),
        Link::Click { index, url } => {
            let LinkIndex(index) = index;
            format!("click {index} {}", url.as_str())
        }
    })
}

/// A text with tracking URLs spelled out as `«…»`, and the pixel as `[pixel]`.
fn readable(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BASE) {
        out.push_str(&rest[..at]);
        let from = &rest[at..];
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "-_./:".contains(c));
        let url = from[..from.find(ends).unwrap_or(from.len())].trim_end_matches('.');
        match says(url) {
            Ok(said) => out.push_str(&format!("«{said}»")),
            Err(_) => out.push_str(url),
        }
        rest = &from[url.len()..];
    }
    out.push_str(rest);
    out.replace(&format!("{BEFORE_URL}«open»{AFTER_URL}"), "[pixel]")
}
