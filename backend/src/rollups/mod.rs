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
use crate::verdicts::Verdict;

pub(crate) const HOUR_MILLIS: u64 = 3_600_000;

/// What one transaction adds to rollups, and takes from them. Borrows names and URLs from the rows
/// and events that it counts.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    hours: BTreeMap<HourKey<'a>, HourChange>,
    links: BTreeMap<LinkKey<'a>, Tally>,
}

/// How many events there are, and how many of them were made by whom. The rest is suspect, or was
/// not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) all: i64,
    pub(crate) human: i64,
    pub(crate) machine: i64,
}

impl Tally {
    /// One event with this verdict.
    pub(crate) fn of(verdict: Option<Verdict>) -> Self {
        Self {
            all: 1,
            human: i64::from(verdict == Some(Verdict::Human)),
            machine: i64::from(verdict == Some(Verdict::Machine)),
        }
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.human += other.human;
        self.machine += other.machine;
    }
}

impl std::ops::Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            all: self.all - other.all,
            human: self.human - other.human,
            machine: self.machine - other.machine,
        }
    }
}

impl std::ops::Neg for Tally {
    type Output = Self;

    fn neg(self) -> Self {
        Self::default() - self
    }
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
    events: Tally,
    firsts: i64,
    human_firsts: i64,
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
    /// Events of a kind happened; negative numbers take them back.
    pub(crate) fn add_events(&mut self, of: Of<'a>, kind: EventType, at: Timestamp, events: Tally) {
        self.hour(of, kind, at).events += events;
    }

    /// The first event of its kind on `sends` happened, or the first one that a person made.
    pub(crate) fn add_firsts(
        &mut self,
        of: Of<'a>,
        kind: EventType,
        (whose, at): (Whose, Timestamp),
        sends: i64,
    ) {
        let hour = self.hour(of, kind, at);
        match whose {
            Whose::Anyones => hour.firsts += sends,
            Whose::Peoples => hour.human_firsts += sends,
        }
    }

    /// A link was clicked.
    pub(crate) fn add_clicks(
        &mut self,
        of: Of<'a>,
        index: i64,
        url: &'a str,
        at: Timestamp,
        clicks: Tally,
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

/// Whose first event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Anyones,
    Peoples,
}

/// When a send was opened or clicked for the first time, before and after a group of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) whose: Whose,
    pub(crate) before: Option<Timestamp>,
    pub(crate) in_group: Timestamp,
}

impl First {
    /// An event may arrive after later ones: the first then moves from one hour to another.
    pub(crate) fn add_to<'a>(self, changes: &mut Changes<'a>, of: Of<'a>, kind: EventType) {
        match self.before {
            Some(before) if before <= self.in_group => return,
            Some(before) => changes.add_firsts(of, kind, (self.whose, before), -1),
            None => {}
        }
        changes.add_firsts(of, kind, (self.whose, self.in_group), 1);
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
            whose: Whose::Anyones,
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
        let (human, machine) = (Some(Verdict::Human), Some(Verdict::Machine));
        for verdict in [human, machine, Some(Verdict::Suspect), None, human] {
            changes.add_events(OF, EventType::Opened, at(3), Tally::of(verdict));
        }
        changes.add_events(OF, EventType::Clicked, at(3), Tally::of(machine));
        let counted = changes.hours.values().map(|change| change.events);
        let counted: Vec<_> = counted
            .map(|tally| (tally.all, tally.human, tally.machine))
            .collect();
        assert_eq!(counted, [(5, 2, 1), (1, 0, 1)]);
    }
}
