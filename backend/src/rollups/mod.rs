//! Rollups: how many events of a kind happened in an hour, how many sends had their first one in
//! it, and how often a link was clicked on a day. Knows neither HTTP nor SQL.
//!
//! They change in the transaction that changes the events they count, and are locked last: events,
//! contacts, sends, rollups, rollups of links, each in the order of its key.

pub(crate) mod store;

use std::collections::BTreeMap;

use kraiter_wire::Day;

use crate::clock::Timestamp;
use crate::events::EventType;

pub(crate) const HOUR_MILLIS: u64 = 3_600_000;

/// What one transaction adds to rollups, and takes from them. Borrows names and URLs from the rows
/// and events that it counts.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    hours: BTreeMap<HourKey<'a>, HourChange>,
    links: BTreeMap<LinkKey<'a>, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HourKey<'a> {
    tenant: i32,
    /// Empty for sends without a campaign.
    campaign: &'a str,
    /// Milliseconds at which the hour starts.
    hour: u64,
    kind: i16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HourChange {
    events: i64,
    firsts: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LinkKey<'a> {
    tenant: i32,
    campaign: &'a str,
    index: i64,
    url: &'a str,
    day: Day,
}

/// The rollups of one campaign, to which events are added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) tenant: i32,
    pub(crate) campaign: Option<&'a str>,
}

impl<'a> Of<'a> {
    fn campaign(self) -> &'a str {
        self.campaign.unwrap_or_default()
    }
}

impl<'a> Changes<'a> {
    /// `events` of a kind happened; a negative number takes them back.
    pub(crate) fn add_events(&mut self, of: Of<'a>, kind: EventType, at: Timestamp, events: i64) {
        self.hour(of, kind, at).events += events;
    }

    /// The first event of its kind on `sends` happened.
    pub(crate) fn add_firsts(&mut self, of: Of<'a>, kind: EventType, at: Timestamp, sends: i64) {
        self.hour(of, kind, at).firsts += sends;
    }

    /// A link was clicked.
    pub(crate) fn add_clicks(
        &mut self,
        of: Of<'a>,
        index: i64,
        url: &'a str,
        at: Timestamp,
        clicks: i64,
    ) {
        let key = LinkKey {
            tenant: of.tenant,
            campaign: of.campaign(),
            index,
            url,
            day: at.0.day(),
        };
        *self.links.entry(key).or_default() += clicks;
    }

    fn hour(&mut self, of: Of<'a>, kind: EventType, at: Timestamp) -> &mut HourChange {
        let key = HourKey {
            tenant: of.tenant,
            campaign: of.campaign(),
            hour: at.millis() - at.millis() % HOUR_MILLIS,
            kind: kind.number(),
        };
        self.hours.entry(key).or_default()
    }
}

/// When a send was opened or clicked for the first time, before and after a group of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) before: Option<Timestamp>,
    pub(crate) in_group: Timestamp,
}

impl First {
    /// An event may arrive after later ones: the first then moves from one hour to another.
    pub(crate) fn add_to<'a>(self, changes: &mut Changes<'a>, of: Of<'a>, kind: EventType) {
        match self.before {
            Some(before) if before <= self.in_group => return,
            Some(before) => changes.add_firsts(of, kind, before, -1),
            None => {}
        }
        changes.add_firsts(of, kind, self.in_group, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::UnixMillis;

    const OF: Of<'static> = Of {
        tenant: 1,
        campaign: Some("spring"),
    };

    fn at(hour: u64) -> Timestamp {
        Timestamp(UnixMillis(hour * HOUR_MILLIS + 1234))
    }

    /// The hours in which firsts were counted.
    fn firsts(before: Option<u64>, in_group: u64) -> Vec<(u64, i64)> {
        let mut changes = Changes::default();
        let first = First {
            before: before.map(at),
            in_group: at(in_group),
        };
        first.add_to(&mut changes, OF, EventType::Opened);
        let hours = changes.hours.iter();
        hours
            .map(|(key, change)| (key.hour / HOUR_MILLIS, change.firsts))
            .collect()
    }

    #[test]
    fn a_first_moves_to_the_hour_of_an_earlier_event_that_arrives_later() {
        assert_eq!(firsts(None, 7), [(7, 1)]);
        assert_eq!(firsts(Some(9), 7), [(7, 1), (9, -1)]);
        assert_eq!(firsts(Some(5), 7), []);
        assert_eq!(firsts(Some(7), 7), []);
    }

    #[test]
    fn events_of_one_hour_are_counted_in_one_row() {
        let mut changes = Changes::default();
        changes.add_events(OF, EventType::Opened, at(3), 1);
        changes.add_events(OF, EventType::Opened, at(3), 2);
        changes.add_events(OF, EventType::Clicked, at(3), 1);
        let counted: Vec<i64> = changes.hours.values().map(|change| change.events).collect();
        assert_eq!(counted, [3, 1]);
    }
}
