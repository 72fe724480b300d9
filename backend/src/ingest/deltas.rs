//! What a group of events adds to contacts and sends, in the order in which their rows are locked.

use kraiter_wire::{Day, EventId};
use uuid::Uuid;

use super::EdgeEvent;
use crate::clock::Timestamp;
use crate::events::EventType;
use crate::tenants::store::key;

/// What a group adds to one contact or one send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) opens: i64,
    pub(super) clicks: i64,
    pub(super) first_open: Option<Timestamp>,
    pub(super) last_open: Option<Timestamp>,
    pub(super) first_click: Option<Timestamp>,
    pub(super) last_click: Option<Timestamp>,
    pub(super) unsubscribed: Option<Timestamp>,
}

impl Delta {
    fn add(&mut self, kind: EventType, id: EventId) {
        let at = Timestamp(id.time());
        let earlier =
            |slot: &mut Option<Timestamp>| *slot = Some(slot.map_or(at, |old| old.min(at)));
        match kind {
            EventType::Opened => {
                self.opens += 1;
                earlier(&mut self.first_open);
                self.last_open = self.last_open.max(Some(at));
            }
            EventType::Clicked => {
                self.clicks += 1;
                earlier(&mut self.first_click);
                self.last_click = self.last_click.max(Some(at));
            }
            EventType::Unsubscribed => earlier(&mut self.unsubscribed),
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
                last.delta.add(event.kind, event.id);
            }
            _ => {
                let mut delta = Delta::default();
                delta.add(event.kind, event.id);
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
                last.delta.add(event.kind, event.id);
            }
            _ => {
                let mut delta = Delta::default();
                delta.add(event.kind, event.id);
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
