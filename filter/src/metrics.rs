//! The names of all counters, and what has not been handed to the host yet.
//!
//! A request only adds to numbers in here; the sums go to the host once a tick, because a host call
//! for each counter of each request would cost more than verifying its token does. A name is
//! `kraiter.<what>.<label>.<value>…`; the proxy's `stats_tags` turn the pairs into labels.

use kraiter_wire::Kind;

use crate::plan::InvalidToken;

/// How a request to a tracked path went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Valid,
    Invalid,
    Method,
    /// Valid, but of a blocked tenant, send or destination.
    Blocked,
}

/// What came of asking for the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    Changed,
    NotModified,
    /// No usable answer: the policy of before stays.
    Failed,
}

/// What became of an event. `accepted + taken over = delivered + rejected + too_large + spilled +
/// handed over + still buffered`; what was refused for want of room was never accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Accepted,
    Delivered,
    /// Dropped: the collector refused the batch as malformed.
    Rejected,
    /// Dropped: too large for the collector even alone.
    TooLarge,
    /// Dropped: the buffer was full.
    Full,
    /// Written into the log when the VM ended.
    Spilled,
    /// Left in the queue for the VM that comes after this one.
    HandedOver,
    /// Taken out of the queue that the VM before this one left.
    TakenOver,
}

/// What became of one attempt to deliver a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    Delivered,
    /// Kept for another try after a passing failure.
    Retried,
    /// Kept, but somebody has to look: the collector does not take this edge's secret or route.
    Refused,
    Split,
    Dropped,
}

/// What an operator should be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// 401 or 403: the ingest secret does not fit.
    Auth,
    /// 404 or another answer that a collector does not give: a wrong route.
    Route,
    /// 400 or 422: a batch was dropped.
    Rejected,
    /// 413 for a single event: it was dropped.
    TooLarge,
    /// The header that is to hold the client's address holds another.
    Address,
}

/// One counter with its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Requests(Kind, Request),
    InvalidTokens(InvalidToken),
    Events(Kind, Event),
    Batches(Batch),
    Alerts(Alert),
    Polls(Poll),
}

const KINDS: [Kind; 3] = [Kind::Open, Kind::Click, Kind::Unsubscribe];
const REQUESTS: usize = 4;
const INVALID: usize = 4;
const EVENTS: usize = 8;
const BATCHES: usize = 5;
const ALERTS: usize = 5;
const POLLS: usize = 3;
pub(crate) const COUNTERS: usize =
    KINDS.len() * (REQUESTS + EVENTS) + INVALID + BATCHES + ALERTS + POLLS;

fn kind_index(kind: Kind) -> usize {
    match kind {
        Kind::Open => 0,
        Kind::Click => 1,
        Kind::Unsubscribe => 2,
    }
}

fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Open => "open",
        Kind::Click => "click",
        Kind::Unsubscribe => "unsubscribe",
    }
}

impl Counter {
    /// Every counter there is, in the order of their places.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        use Counter::*;
        let requests = [
            Request::Valid,
            Request::Invalid,
            Request::Method,
            Request::Blocked,
        ];
        let invalid = [
            InvalidToken::Malformed,
            InvalidToken::UnknownKey,
            InvalidToken::Signature,
            InvalidToken::OtherKind,
        ];
        let events = [
            Event::Accepted,
            Event::Delivered,
            Event::Rejected,
            Event::TooLarge,
            Event::Full,
            Event::Spilled,
            Event::HandedOver,
            Event::TakenOver,
        ];
        let batches = [
            Batch::Delivered,
            Batch::Retried,
            Batch::Refused,
            Batch::Split,
            Batch::Dropped,
        ];
        let alerts = [
            Alert::Auth,
            Alert::Route,
            Alert::Rejected,
            Alert::TooLarge,
            Alert::Address,
        ];
        (KINDS
            .into_iter()
            .flat_map(move |kind| requests.map(|it| Requests(kind, it))))
        .chain(invalid.map(InvalidTokens))
        .chain(
            KINDS
                .into_iter()
                .flat_map(move |kind| events.map(|it| Events(kind, it))),
        )
        .chain(batches.map(Batches))
        .chain(alerts.map(Alerts))
        .chain([Poll::Changed, Poll::NotModified, Poll::Failed].map(Polls))
    }

    #[inline]
    fn place(self) -> usize {
        let invalid = KINDS.len() * REQUESTS;
        let events = invalid + INVALID;
        let batches = events + KINDS.len() * EVENTS;
        match self {
            Self::Requests(kind, it) => kind_index(kind) * REQUESTS + it as usize,
            Self::InvalidTokens(it) => invalid + it as usize,
            Self::Events(kind, it) => events + kind_index(kind) * EVENTS + it as usize,
            Self::Batches(it) => batches + it as usize,
            Self::Alerts(it) => batches + BATCHES + it as usize,
            Self::Polls(it) => batches + BATCHES + ALERTS + it as usize,
        }
    }

    /// The name the host is given.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Requests(kind, it) => {
                let result = match it {
                    Request::Valid => "valid",
                    Request::Invalid => "invalid",
                    Request::Method => "method",
                    Request::Blocked => "blocked",
                };
                format!("kraiter.requests.kind.{}.result.{result}", kind_label(kind))
            }
            Self::InvalidTokens(it) => {
                let reason = match it {
                    InvalidToken::Malformed => "malformed",
                    InvalidToken::UnknownKey => "unknown_key",
                    InvalidToken::Signature => "signature",
                    InvalidToken::OtherKind => "other_kind",
                };
                format!("kraiter.invalid_tokens.reason.{reason}")
            }
            Self::Events(kind, it) => {
                let result = match it {
                    Event::Accepted => "accepted",
                    Event::Delivered => "delivered",
                    Event::Rejected => "dropped.reason.rejected",
                    Event::TooLarge => "dropped.reason.too_large",
                    Event::Full => "dropped.reason.full",
                    Event::Spilled => "spilled",
                    Event::HandedOver => "handed_over",
                    Event::TakenOver => "taken_over",
                };
                format!("kraiter.events.kind.{}.result.{result}", kind_label(kind))
            }
            Self::Batches(it) => {
                let result = match it {
                    Batch::Delivered => "delivered",
                    Batch::Retried => "retried",
                    Batch::Refused => "refused",
                    Batch::Split => "split",
                    Batch::Dropped => "dropped",
                };
                format!("kraiter.batches.result.{result}")
            }
            Self::Polls(it) => {
                let result = match it {
                    Poll::Changed => "changed",
                    Poll::NotModified => "not_modified",
                    Poll::Failed => "failed",
                };
                format!("kraiter.policy.result.{result}")
            }
            Self::Alerts(it) => {
                let reason = match it {
                    Alert::Auth => "auth",
                    Alert::Route => "route",
                    Alert::Rejected => "rejected",
                    Alert::TooLarge => "too_large",
                    Alert::Address => "address",
                };
                format!("kraiter.alerts.reason.{reason}")
            }
        }
    }
}

/// Bytes and events waiting to be acknowledged and entries of policies, in all VMs of the process
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gauge {
    BufferedBytes,
    BufferedEvents,
    PolicyEntries,
}

impl Gauge {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BufferedBytes => "kraiter.buffered_bytes",
            Self::BufferedEvents => "kraiter.buffered_events",
            Self::PolicyEntries => "kraiter.policy_entries",
        }
    }
}

/// What was counted since it was last handed over.
pub(crate) struct Counters {
    counts: [u64; COUNTERS],
    any: bool,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            counts: [0; COUNTERS],
            any: false,
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, counter: Counter, count: u64) {
        if let Some(slot) = self.counts.get_mut(counter.place()) {
            *slot = slot.saturating_add(count);
            self.any = true;
        }
    }

    /// Place and count of each counter that moved, which then start from zero. Places are those of
    /// [`Counter::all`].
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (usize, u64)> {
        let counts = match std::mem::take(&mut self.any) {
            true => self.counts.as_mut_slice(),
            false => &mut [],
        };
        (counts.iter_mut().enumerate())
            .filter(|(_, count)| **count > 0)
            .map(|(place, count)| (place, std::mem::take(count)))
    }

    #[cfg(test)]
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.counts.get(counter.place()).copied().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_counter_has_its_own_place_and_name() {
        let all: Vec<_> = Counter::all().collect();
        assert_eq!(all.len(), COUNTERS);
        for (place, counter) in all.iter().enumerate() {
            assert_eq!(counter.place(), place, "{counter:?}");
        }
        let names: HashSet<_> = all.iter().map(|counter| counter.name()).collect();
        assert_eq!(names.len(), COUNTERS);
    }

    #[test]
    fn names_are_pairs_of_label_and_value() {
        let name = Counter::Events(Kind::Click, Event::Full).name();
        assert_eq!(name, "kraiter.events.kind.click.result.dropped.reason.full");
        for counter in Counter::all() {
            let parts = counter.name().split('.').count();
            assert!(parts % 2 == 0, "{counter:?} is not kraiter.what and pairs");
        }
    }

    #[test]
    fn what_was_counted_is_handed_over_once() {
        let mut counters = Counters::new();
        let counter = Counter::Requests(Kind::Open, Request::Valid);
        counters.add(counter, 1);
        counters.add(counter, 2);
        assert_eq!(counters.take().collect::<Vec<_>>(), [(counter.place(), 3)]);
        assert_eq!(counters.take().count(), 0);
    }
}
