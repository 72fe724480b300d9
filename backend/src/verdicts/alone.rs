//! What one event tells by itself.

use aho_corasick::{AhoCorasick, BuildError};
use isbot::Bots;
use kraiter_wire::UnixMillis;

use super::lists::{Contains, Lists, NetworkList};
use super::networks::Networks;
use super::{Action, Lines, Reason, Reasons, Seen};

/// An event this long before its mail was sent says that the time of sending was told wrongly.
const MAX_BEFORE_SENDING_MILLIS: i64 = 60_000;

/// The lists, made ready to be asked.
pub struct Rules {
    apple_mpp: Vec<String>,
    gmail_prefetch: Vec<String>,
    image_proxy: AhoCorasick,
    bots: AhoCorasick,
    people: AhoCorasick,
    /// The general list of bots.
    general: Bots,
    scanners: Networks,
    operators: Networks,
    apple_relays: Networks,
}

impl Rules {
    /// Fails if a list holds more than can be searched for at once.
    pub fn new(lists: Lists) -> Result<Self, BuildError> {
        let Lists {
            user_agents,
            networks,
        } = lists;
        let joined = |lists: Vec<NetworkList>| -> Networks {
            lists.into_iter().flat_map(|list| list.networks).collect()
        };
        Ok(Self {
            apple_mpp: user_agents.apple_mpp.exactly,
            gmail_prefetch: user_agents.gmail_prefetch.exactly,
            image_proxy: any_of(&user_agents.image_proxy)?,
            bots: any_of(&user_agents.bots)?,
            people: any_of(&user_agents.people)?,
            general: Bots::default(),
            scanners: joined(networks.scanner),
            operators: joined(networks.operator),
            apple_relays: joined(networks.apple_relay),
        })
    }

    /// Every rule that applies to the event alone.
    pub fn judge(&self, seen: &Seen<'_>, lines: &Lines) -> Reasons {
        let mut reasons = Reasons::default();
        match seen
            .user_agent
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            Some(name) => self.judge_name(name, seen.action, &mut reasons),
            None => reasons.add(Reason::BotUa),
        }
        if seen.purposes.into_iter().flatten().any(announces_prefetch) {
            reasons.add(Reason::Prefetch);
        }
        if let Some(ip) = seen.ip {
            if reasons.has(Reason::AppleMpp) && self.apple_relays.hold(ip) {
                reasons.add(Reason::AppleRelay);
            }
            if self.operators.hold(ip) {
                reasons.add(Reason::OperatorNet);
            }
            if self.scanners.hold(ip) {
                reasons.add(Reason::ScannerNet);
            }
        }
        reasons.with(Reason::TooSoon, is_too_soon(seen.at, seen.sent_at, lines))
    }

    fn judge_name(&self, name: &str, action: Action, reasons: &mut Reasons) {
        let is_open = action == Action::Open;
        if self.apple_mpp.iter().any(|exact| exact == name) {
            // No browser says so little; as a click it is some program.
            reasons.add(if is_open {
                Reason::AppleMpp
            } else {
                Reason::BotUa
            });
            return;
        }
        if self.gmail_prefetch.iter().any(|exact| exact == name) {
            reasons.add(Reason::GmailPrefetch);
            return;
        }
        if is_open && self.image_proxy.is_match(name) {
            reasons.add(Reason::ImageProxy);
            return;
        }
        let listed = self.bots.is_match(name);
        if listed || (self.general.is_bot(name) && !self.people.is_match(name)) {
            reasons.add(Reason::BotUa);
        }
    }
}

/// Whether an event came sooner after sending than a person could have made it.
pub fn is_too_soon(at: UnixMillis, sent_at: Option<UnixMillis>, lines: &Lines) -> bool {
    sent_at.is_some_and(|sent_at| {
        let after = at.0 as i64 - sent_at.0 as i64;
        (-MAX_BEFORE_SENDING_MILLIS..lines.too_soon as i64).contains(&after)
    })
}

fn any_of(list: &Contains) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(&list.contains)
}

/// <https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header>, and what browsers sent
/// before it.
fn announces_prefetch(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    ["prefetch", "preview", "prerender"]
        .iter()
        .any(|word| value.contains(word))
}
