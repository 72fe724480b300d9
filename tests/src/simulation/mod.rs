//! A simulated campaign: what a mail to many recipients makes happen, with the truth about each
//! event.
//!
//! `tests/simulation/README.md` describes the model and names where its figures are from. Knows
//! nothing of the rules that are measured with it.

mod chance;
mod machines;
mod networks;
mod parameters;
mod people;
mod recipients;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use kraiter_wire::{EventIdGenerator, Kind, SignalsWriter, UnixMillis};

use crate::trouble::{Outcome, Trouble};
use chance::Chance;
use parameters::{Client, UserAgents};
use recipients::Population;

pub use parameters::Parameters;

/// Everything that one campaign made happen.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub parameters: Parameters,
    /// When the mail was handed over, by recipient.
    pub sent_at: Vec<UnixMillis>,
    /// In the order in which it happened.
    pub events: Vec<SimulatedEvent>,
}

/// One request at the edge, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvent {
    pub at: UnixMillis,
    pub recipient: u32,
    pub action: Action,
    pub ip: IpAddr,
    pub user_agent: Option<Arc<str>>,
    pub sec_purpose: Option<&'static str>,
    pub truth: Truth,
    /// What in the model made it: a scanner's name, `apple`, `person` …
    pub cause: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Open,
    /// On the link of this index.
    Click(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    Human,
    Machine,
}

impl Campaign {
    /// Plays the campaign. The same parameters always give the same events.
    pub fn play(parameters: Parameters, start: UnixMillis) -> Outcome<Self> {
        let names = Names::read()?;
        let population = Population::new(&parameters, &names)
            .ok_or_else(|| useless("they make no population"))?;
        let sending = parameters.sending_minutes * 60_000;
        let end = start.0 + parameters.days * 86_400_000;
        let mut sent_at = Vec::new();
        let mut events = Vec::new();
        for number in 0..parameters.recipients {
            let mut chance = Chance::new(parameters.seed, u64::from(number));
            let sent = start.0 + sending * u64::from(number) / u64::from(parameters.recipients);
            sent_at.push(UnixMillis(sent));
            let recipient = population
                .recipient(number, &mut chance)
                .ok_or_else(|| useless("a list in them is empty"))?;
            let mut mailbox = Mailbox {
                parameters: &parameters,
                names: &names,
                recipient,
                chance,
                sent,
                delivered: sent,
                events: &mut events,
            };
            mailbox.deliver();
            mailbox.machines();
            mailbox.person();
        }
        events.retain(|event| event.at.0 < end);
        events.sort_by_key(|event| (event.at, event.recipient, event.action));
        Ok(Self {
            parameters,
            sent_at,
            events,
        })
    }

    /// The URL of a link, the same for all recipients.
    pub fn url(link: u32) -> String {
        format!("https://shop.example/offers/{link}?from=mail")
    }

    /// Event lines as an edge writes them, with ids of the events' own times. `token` signs for a
    /// recipient and an action.
    pub fn lines(&self, mut token: impl FnMut(u32, Action) -> String) -> Vec<Vec<u8>> {
        let mut seed = [0x5A; 16];
        for (byte, of_seed) in seed.iter_mut().zip(self.parameters.seed.to_be_bytes()) {
            *byte = of_seed;
        }
        let mut ids = EventIdGenerator::new(seed);
        let line = |event: &SimulatedEvent| {
            let ip = event.ip.to_string();
            let signals = SignalsWriter {
                ip: Some(&ip),
                user_agent: event.user_agent.as_deref().map(str::as_bytes),
                sec_purpose: event.sec_purpose.map(str::as_bytes),
                ..SignalsWriter::default()
            };
            let kind = match event.action {
                Action::Open => Kind::Open,
                Action::Click(_) => Kind::Click,
            };
            let mut line = Vec::with_capacity(400);
            let token = token(event.recipient, event.action);
            signals.write(ids.next(event.at), kind, token.as_bytes(), &mut line);
            line
        };
        self.events.iter().map(line).collect()
    }
}

fn useless(problem: &str) -> Trouble {
    Trouble::content(
        &parameters::folder(),
        format!("of the parameters, {problem}"),
    )
}

/// What clients call themselves, shared between events.
struct Names {
    mail: BTreeMap<Client, Vec<Arc<str>>>,
    phone: Vec<Arc<str>>,
    computer: Vec<Arc<str>>,
    company: Vec<Arc<str>>,
    chats: Vec<Arc<str>>,
}

impl Names {
    fn read() -> Outcome<Self> {
        fn shared(names: Vec<String>) -> Vec<Arc<str>> {
            names.into_iter().map(Arc::from).collect()
        }
        let all = UserAgents::read()?;
        Ok(Self {
            mail: all
                .mail
                .into_iter()
                .map(|(client, names)| (client, shared(names)))
                .collect(),
            phone: shared(all.browsers.phone),
            computer: shared(all.browsers.computer),
            company: shared(all.browsers.company),
            chats: shared(all.previews.chats),
        })
    }
}

/// One mail on its way, and what becomes of it. Machines and people are in modules of their own.
struct Mailbox<'a> {
    parameters: &'a Parameters,
    names: &'a Names,
    recipient: recipients::Recipient<'a>,
    chance: Chance,
    sent: u64,
    delivered: u64,
    events: &'a mut Vec<SimulatedEvent>,
}

/// What one request looks like, apart from when and what.
struct Look<'l> {
    ip: Option<IpAddr>,
    user_agent: &'l str,
    sec_purpose: Option<&'static str>,
    truth: Truth,
    cause: &'l str,
}

impl Mailbox<'_> {
    fn deliver(&mut self) {
        let delivery = &self.parameters.delivery;
        let mut delay = self.chance.time(delivery.delay);
        if self.chance.happens(delivery.greylisted_share) {
            delay += self.chance.seconds_between(delivery.greylisting_s);
        }
        self.delivered = self.sent + delay;
    }

    fn record(&mut self, at: u64, action: Action, look: &Look<'_>) {
        self.events.push(SimulatedEvent {
            at: UnixMillis(at),
            recipient: self.recipient.number,
            action,
            ip: look.ip.unwrap_or(self.recipient.address),
            user_agent: (!look.user_agent.is_empty()).then(|| Arc::from(look.user_agent)),
            sec_purpose: look.sec_purpose,
            truth: look.truth,
            cause: Arc::from(look.cause),
        });
    }
}
