//! Events as they arrive: one poller for each tenant that somebody listens to, on each replica, and
//! any number of listeners who never make it wait. Knows neither HTTP nor SQL.
//!
//! An event's id tells when it happened, not when it was stored, and no column does. So a poller looks
//! at the ids of the last minute again and again and takes those that are new to it. What arrives later
//! than that, or faster than it is read, is counted by the rollups, which change with the events: what
//! they grew by and nobody was sent is told as skipped, with the hour from which `GET /events` has it.

pub(crate) mod http;
mod hub;
mod poller;
mod store;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use kraiter_wire::UnixMillis;
use serde::Serialize;
use uuid::Uuid;

use super::http::EventView;
use super::{Event, EventFilter, time_of};
use crate::clock::Timestamp;

pub(crate) use hub::Hub;

/// Events that happened longer ago when they arrive are counted, not sent. Edges deliver within
/// seconds.
const WINDOW: Duration = Duration::from_secs(60);
/// Ids of the window that are looked at; a poller keeps as many.
const WINDOW_IDS: i64 = 10_000;
/// Events that are read and sent at once; what is over comes with the next look.
const AT_ONCE: usize = 1_000;
/// Events older than this are not even counted when they arrive.
const COUNTED_BACK: Duration = Duration::from_secs(24 * 3600);
const HOUR: u64 = 3_600_000;

/// What goes to all who listen to a tenant.
#[derive(Debug)]
enum Sent {
    Event { event: Event, frame: Bytes },
    Skipped(Bytes),
}

impl Sent {
    fn event(event: Event) -> Self {
        let id = event.id;
        let view = EventView::from(event.clone());
        // A plain struct of text and numbers always serialises, on one line.
        let json = serde_json::to_string(&view).unwrap_or_default();
        let frame = format!("id: {id}\ndata: {json}\n\n").into();
        Self::Event { event, frame }
    }
}

/// Why events were not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Why {
    /// They arrived more than a minute after they happened, or too many arrived at once.
    Late,
    /// The listener did not read fast enough.
    Slow,
    /// More happened while the listener was away than is made up for.
    Away,
}

/// Events that a listener has to fetch if it wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Skipped {
    reason: Why,
    /// How many events of the tenant, whatever the filter; `None` if that was not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// They happened at or after this time.
    from: Timestamp,
}

impl Skipped {
    fn frame(&self) -> Bytes {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("event: skipped\ndata: {json}\n\n").into()
    }
}

/// What one look at the database shows.
struct Look {
    /// Of the newest events of the window, newest first.
    ids: Vec<Uuid>,
    /// How many events each hour has, by its beginning, if that was asked.
    hours: Option<Hours>,
}

struct Hours {
    since: Timestamp,
    counts: BTreeMap<u64, i64>,
}

/// What a poller knows to have arrived.
#[derive(Default)]
struct Arrivals {
    /// Ids of the window that were sent, or were there before.
    known: Option<HashSet<Uuid>>,
    hours: Option<Hours>,
    /// Sent since the hours were counted, by hour.
    sent: BTreeMap<u64, i64>,
}

impl Arrivals {
    /// The events to send, oldest first, and what nobody was sent since the hours were last counted.
    fn take(&mut self, look: Look) -> (Vec<Uuid>, Option<Skipped>) {
        let mut fresh: Vec<Uuid> = match &self.known {
            // Before the first look nobody listened.
            None => Vec::new(),
            Some(known) => {
                let unknown = look.ids.iter().filter(|id| !known.contains(*id));
                unknown.copied().collect()
            }
        };
        fresh.sort_unstable();
        let later: HashSet<Uuid> = fresh.drain(AT_ONCE.min(fresh.len())..).collect();
        self.known = Some(
            look.ids
                .into_iter()
                .filter(|id| !later.contains(id))
                .collect(),
        );
        for id in &fresh {
            *self.sent.entry(hour_of(*id)).or_default() += 1;
        }
        // Those that come with the next look are not skipped yet.
        let waiting = later
            .iter()
            .fold(BTreeMap::<u64, i64>::new(), |mut all, id| {
                *all.entry(hour_of(*id)).or_default() += 1;
                all
            });
        (fresh, look.hours.and_then(|now| self.skipped(now, waiting)))
    }

    /// These could not be read: the next look takes them again.
    fn forget(&mut self, fresh: &[Uuid]) {
        for id in fresh {
            if let Some(known) = &mut self.known {
                known.remove(id);
            }
            *self.sent.entry(hour_of(*id)).or_default() -= 1;
        }
    }

    fn skipped(&mut self, now: Hours, waiting: BTreeMap<u64, i64>) -> Option<Skipped> {
        let mut sent = std::mem::take(&mut self.sent);
        for (hour, count) in &waiting {
            *sent.entry(*hour).or_default() += count;
            *self.sent.entry(*hour).or_default() -= count;
        }
        let before = self.hours.replace(now)?;
        let now = self.hours.as_ref()?;
        let count = |counts: &BTreeMap<u64, i64>, hour| counts.get(hour).copied().unwrap_or(0);
        let missed: Vec<(u64, i64)> = now
            .counts
            .keys()
            .filter(|hour| **hour >= before.since.millis())
            .map(|hour| {
                let grown = count(&now.counts, hour) - count(&before.counts, hour);
                (*hour, grown - count(&sent, hour))
            })
            .filter(|(_, missed)| *missed > 0)
            .collect();
        let (first, _) = missed.first()?;
        let total: i64 = missed.iter().map(|(_, missed)| missed).sum();
        Some(Skipped {
            reason: Why::Late,
            count: Some(total.unsigned_abs()),
            from: Timestamp(UnixMillis(*first)),
        })
    }
}

fn hour_of(id: Uuid) -> u64 {
    hour(time_of(id)).millis()
}

/// The beginning of the hour.
fn hour(time: Timestamp) -> Timestamp {
    time.minus(Duration::from_millis(time.millis() % HOUR))
}

/// Whether an event is one of those that the filter asks for. Times are not looked at: what arrives
/// is new.
fn matches(filter: &EventFilter, event: &Event) -> bool {
    fn is<T: PartialEq>(wanted: &Option<T>, value: Option<&T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| value == Some(wanted))
    }
    let kinds = filter.kinds.as_ref();
    let verdicts = filter.verdicts.as_ref();
    kinds.is_none_or(|kinds| kinds.contains(&event.kind))
        && verdicts.is_none_or(|all| event.verdict.is_some_and(|verdict| all.contains(&verdict)))
        && is(&filter.send, Some(&event.send_id))
        && is(&filter.contact, Some(&event.contact_id))
        && is(&filter.campaign, event.campaign.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_795_694_400_000;

    fn id(after: u64) -> Uuid {
        // Of version 7, as ids of events are.
        Uuid::from_u128(u128::from(NOON + after) << 80 | 7 << 76 | 1 << 63)
    }

    fn look(ids: &[Uuid], hours: &[(u64, i64)]) -> Look {
        Look {
            ids: ids.to_vec(),
            hours: Some(Hours {
                since: Timestamp(UnixMillis(NOON - 24 * HOUR)),
                counts: hours.iter().map(|(at, n)| (NOON + at, *n)).collect(),
            }),
        }
    }

    #[test]
    fn what_was_there_before_anybody_listened_is_not_sent_and_the_rest_once() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.take(look(&[id(1)], &[(0, 1)])), (Vec::new(), None));
        let later = look(&[id(9), id(2), id(1)], &[(0, 3)]);
        assert_eq!(arrivals.take(later), (vec![id(2), id(9)], None));
        assert_eq!(
            arrivals.take(look(&[id(9), id(2), id(1)], &[(0, 3)])),
            (Vec::new(), None)
        );
    }

    #[test]
    fn what_came_too_late_to_be_seen_is_counted_from_its_hour_on() {
        let mut arrivals = Arrivals::default();
        let hour = NOON - 3 * HOUR;
        let counts = |late: i64, now: i64| Look {
            hours: Some(Hours {
                since: Timestamp(UnixMillis(NOON - 24 * HOUR)),
                counts: [(hour, late), (NOON, now)].into(),
            }),
            ids: (1..=now.unsigned_abs()).map(id).collect(),
        };
        arrivals.take(counts(5, 1));
        let (fresh, skipped) = arrivals.take(counts(8, 2));
        assert_eq!(fresh, [id(2)]);
        let skipped = skipped.unwrap();
        assert_eq!(skipped.count, Some(3));
        assert_eq!(skipped.from.millis(), hour);
        assert_eq!(arrivals.take(counts(8, 2)).1, None, "told once");
    }

    #[test]
    fn more_than_is_sent_at_once_comes_with_the_next_look_and_is_not_called_skipped() {
        let mut arrivals = Arrivals::default();
        arrivals.take(look(&[], &[]));
        let many: Vec<Uuid> = (1..=AT_ONCE as u64 + 5).map(id).collect();
        let all = || look(&many, &[(0, many.len() as i64)]);
        let (first, skipped) = arrivals.take(all());
        assert_eq!((first.len(), skipped), (AT_ONCE, None));
        let (rest, skipped) = arrivals.take(all());
        assert_eq!((rest.len(), skipped), (5, None));
        assert_eq!(arrivals.take(all()), (Vec::new(), None));
    }

    #[test]
    fn what_left_the_window_unsent_is_skipped() {
        let mut arrivals = Arrivals::default();
        arrivals.take(look(&[], &[]));
        let many: Vec<Uuid> = (1..=AT_ONCE as u64 + 5).map(id).collect();
        let count = many.len() as i64;
        arrivals.take(look(&many, &[(0, count)]));
        let (fresh, skipped) = arrivals.take(look(&[], &[(0, count)]));
        assert!(fresh.is_empty());
        assert_eq!(skipped.unwrap().count, Some(5));
    }
}
