//! What a group of events adds to contacts and sends, in the order in which their rows are locked.

use kraiter_wire::Day;
use uuid::Uuid;

use super::EdgeEvent;
use crate::clock::Timestamp;
use crate::events::EventType;
use crate::rollups::Tally;
use crate::tenants::store::key;
use crate::verdicts::Verdict;

/// What a group adds to one contact or one send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) opens: Seen,
    pub(super) clicks: Seen,
    pub(super) unsubscribed: Option<Timestamp>,
}

/// Opens, or clicks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) count: Tally,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// Of those that a person made.
    pub(super) first_human: Option<Timestamp>,
    pub(super) last_human: Option<Timestamp>,
}

impl Seen {
    fn add(&mut self, at: Timestamp, verdict: Option<Verdict>) {
        self.count += Tally::of(verdict);
        earlier(&mut self.first, at);
        self.last = self.last.max(Some(at));
        if verdict == Some(Verdict::Human) {
            earlier(&mut self.first_human, at);
            self.last_human = self.last_human.max(Some(at));
        }
    }
}

fn earlier(slot: &mut Option<Timestamp>, at: Timestamp) {
    *slot = Some(slot.map_or(at, |old| old.min(at)));
}

impl Delta {
    fn add(&mut self, event: &EdgeEvent) {
        let at = Timestamp(event.id.time());
        match event.kind {
            EventType::Opened => self.opens.add(at, event.verdict()),
            EventType::Clicked => self.clicks.add(at, event.verdict()),
            EventType::Unsubscribed => earlier(&mut self.unsubscribed, at),
            // No edge sees these.
            EventType::Sent | EventType::Delivered | EventType::Bounced | EventType::Complained => {
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ContactDelta {
    pub(super) tenant: i32,
    pub(super) id: Uuid,
    /// The day of one of its sends, in case the contact is not known.
    pub(super) day: Day,
    pub(super) delta: Delta,
}

#[derive(Clone, Debug)]
pub(super) struct SendDelta<'a> {
    pub(super) tenant: i32,
    pub(super) id: &'a str,
    /// These two in case the send is not known.
    pub(super) contact: Uuid,
    pub(super) day: Day,
    pub(super) delta: Delta,
}

/// By tenant and id.
pub(super) fn of_contacts<'a>(events: impl Iterator<Item = &'a EdgeEvent>) -> Vec<ContactDelta> {
    let mut sorted: Vec<_> = events
        .map(|event| (key(event.tenant), event.contact.uuid(), event))
        .collect();
    sorted.sort_unstable_by_key(|(tenant, contact, _)| (*tenant, *contact));
    let mut deltas: Vec<ContactDelta> = Vec::with_capacity(sorted.len());
    for (tenant, id, event) in sorted {
        match deltas.last_mut() {
            Some(last) if (last.tenant, last.id) == (tenant, id) => {
                last.delta.add(event);
            }
            _ => {
                let mut delta = Delta::default();
                delta.add(event);
                let day = event.day;
                deltas.push(ContactDelta {
                    tenant,
                    id,
                    day,
                    delta,
                });
            }
        }
    }
    deltas
}

/// By tenant and id.
pub(super) fn of_sends<'a>(events: impl Iterator<Item = &'a EdgeEvent>) -> Vec<SendDelta<'a>> {
    let mut sorted: Vec<_> = events
        .map(|event| (key(event.tenant), event.send.as_str(), event))
        .collect();
    sorted.sort_unstable_by_key(|(tenant, send, _)| (*tenant, *send));
    let mut deltas: Vec<SendDelta<'a>> = Vec::with_capacity(sorted.len());
    for (tenant, id, event) in sorted {
        match deltas.last_mut() {
            Some(last) if (last.tenant, last.id) == (tenant, id) => {
                last.delta.add(event);
            }
            _ => {
                let mut delta = Delta::default();
                delta.add(event);
                let (contact, day) = (event.contact.uuid(), event.day);
                deltas.push(SendDelta {
                    tenant,
                    id,
                    contact,
                    day,
                    delta,
                });
            }
        }
    }
    deltas
}
