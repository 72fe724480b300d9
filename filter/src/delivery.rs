//! The way of a batch: closed, in flight, acknowledged, kept for another try, split or dropped.
//!
//! A state machine without a clock, a host or a log: moments come in as arguments, batches go out
//! as values, and every outcome is counted. What was accepted is delivered, dropped or still here.

use std::collections::VecDeque;
use std::time::Duration;

use kraiter_wire::Kind;

use crate::backoff::{Jitter, Moment};
use crate::buffer::{Batch, Buffer, Full};
use crate::config::DeliveryLimits;
use crate::metrics::{Alert, Batch as BatchResult, Counter, Counters, Event};

/// A call may take its time-out; after this much more its answer is not coming.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// Longest wait that a collector may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The host's name of a call to the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId(pub(crate) u32);

/// The root context that made a call: its calls end with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootId(pub(crate) u32);

/// How the collector answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// Nothing usable: closed, reset, or no status.
    Broken,
}

/// What came of an attempt, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered {
        events: usize,
    },
    Retry {
        events: usize,
    },
    RetrySlowly {
        events: usize,
        alert: Alert,
    },
    Split {
        events: usize,
    },
    Dropped {
        events: usize,
        alert: Alert,
    },
    /// An answer to no call that is known: it was given up before.
    Late,
}

/// A batch that may be sent, with how often that failed before.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) batch: Batch,
    failures: u32,
}

struct InFlight {
    call: CallId,
    root: RootId,
    give_up: Moment,
    parcel: Parcel,
}

struct Waiting {
    not_before: Moment,
    parcel: Parcel,
}

/// Whether the collector is known to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collector {
    Well,
    /// One batch at a time finds out whether it is back, not before `until`.
    Failing {
        failures: u32,
        until: Moment,
    },
}

pub(crate) struct Delivery {
    limits: DeliveryLimits,
    buffer: Buffer,
    /// Batches that failed before.
    waiting: VecDeque<Waiting>,
    in_flight: Vec<InFlight>,
    collector: Collector,
    /// When the batch being filled was first seen by a tick. Requests need not ask the time.
    filling_since: Option<Moment>,
    jitter: Jitter,
}

impl Delivery {
    pub(crate) fn new(limits: DeliveryLimits, jitter: Jitter) -> Self {
        Self {
            limits,
            buffer: Buffer::new(limits.batch),
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            collector: Collector::Well,
            filling_since: None,
            jitter,
        }
    }

    /// Takes limits over from a newer configuration, which may also have mended what failed: all
    /// waits end.
    pub(crate) fn configure(&mut self, limits: DeliveryLimits) {
        self.limits = limits;
        self.buffer.set_limits(limits.batch);
        self.collector = Collector::Well;
        for waiting in &mut self.waiting {
            waiting.not_before = Moment::default();
        }
    }

    /// Accepts one event, or counts it as dropped. `Ok(true)`: a batch is ready to go now.
    #[inline]
    pub(crate) fn push(
        &mut self,
        kind: Kind,
        counters: &mut Counters,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<bool, Full> {
        match self.buffer.push(kind, write) {
            Ok(closed) => {
                counters.add(Counter::Events(kind, Event::Accepted), 1);
                if closed {
                    self.filling_since = None;
                }
                let idle = self.in_flight.len() < self.limits.in_flight;
                Ok(closed && idle && self.collector == Collector::Well)
            }
            Err(Full) => {
                counters.add(Counter::Events(kind, Event::Full), 1);
                Err(Full)
            }
        }
    }

    /// A batch to send now, if there is one and it may go. The caller tells with
    /// [`Delivery::sent`] or [`Delivery::not_sent`] what became of it.
    pub(crate) fn next(&mut self, now: Moment) -> Option<Parcel> {
        match self.collector {
            Collector::Well if self.in_flight.len() >= self.limits.in_flight => return None,
            Collector::Failing { .. } if !self.in_flight.is_empty() => return None,
            Collector::Failing { until, .. } if now < until => return None,
            Collector::Well | Collector::Failing { .. } => {}
        }
        let due = self.waiting.iter().position(|it| it.not_before <= now);
        if let Some(Waiting { parcel, .. }) = due.and_then(|at| self.waiting.remove(at)) {
            return Some(parcel);
        }
        if !self.buffer.has_closed() && self.is_old(now) {
            self.buffer.close();
            self.filling_since = None;
        }
        let batch = self.buffer.take_closed()?;
        Some(Parcel { batch, failures: 0 })
    }

    fn is_old(&mut self, now: Moment) -> bool {
        if !self.buffer.is_filling() {
            return false;
        }
        let since = *self.filling_since.get_or_insert(now);
        // The oldest event came up to one tick before it was first seen.
        let age = self.limits.max_age.saturating_sub(self.limits.tick());
        now >= since.after(age)
    }

    pub(crate) fn sent(&mut self, parcel: Parcel, call: CallId, root: RootId, now: Moment) {
        let give_up = now.after(self.limits.timeout.saturating_add(ANSWER_GRACE));
        self.in_flight.push(InFlight {
            call,
            root,
            give_up,
            parcel,
        });
    }

    /// The host did not take the call: no such cluster, or its circuit breaker is open.
    pub(crate) fn not_sent(&mut self, parcel: Parcel, now: Moment, counters: &mut Counters) {
        self.retry(parcel, None, now, counters);
    }

    /// Call when an answer came.
    pub(crate) fn answered(
        &mut self,
        call: CallId,
        reply: Reply,
        now: Moment,
        counters: &mut Counters,
    ) -> Outcome {
        let Some(at) = self.in_flight.iter().position(|it| it.call == call) else {
            return Outcome::Late;
        };
        let parcel = self.in_flight.swap_remove(at).parcel;
        let events = parcel.batch.events();
        let (status, retry_after) = match reply {
            Reply::Status {
                status,
                retry_after,
            } => (status, retry_after),
            Reply::Broken => {
                self.retry(parcel, None, now, counters);
                return Outcome::Retry { events };
            }
        };
        match status {
            200..=299 => {
                self.collector = Collector::Well;
                counters.add(Counter::Batches(BatchResult::Delivered), 1);
                self.forget(parcel.batch, Event::Delivered, counters);
                Outcome::Delivered { events }
            }
            408 | 429 | 500..=599 => {
                self.retry(parcel, retry_after, now, counters);
                Outcome::Retry { events }
            }
            400 | 422 => {
                self.collector = Collector::Well;
                self.drop_loudly(parcel.batch, Event::Rejected, Alert::Rejected, counters)
            }
            413 => {
                self.collector = Collector::Well;
                self.split(parcel.batch, counters)
            }
            401 | 403 => self.retry_slowly(parcel, Alert::Auth, now, counters),
            _ => self.retry_slowly(parcel, Alert::Route, now, counters),
        }
    }

    /// Takes back calls whose answer is not coming any more.
    pub(crate) fn give_up_lost_calls(&mut self, now: Moment, counters: &mut Counters) {
        while let Some(at) = self.in_flight.iter().position(|it| it.give_up <= now) {
            let lost = self.in_flight.swap_remove(at);
            self.retry(lost.parcel, None, now, counters);
        }
    }

    /// Takes back the calls of a root context that ends: the host cancels them without a word.
    /// Whether they arrived is not known, so they go again; ids make that safe.
    pub(crate) fn root_ended(&mut self, root: RootId) {
        while let Some(at) = self.in_flight.iter().position(|it| it.root == root) {
            let InFlight { parcel, .. } = self.in_flight.swap_remove(at);
            let not_before = Moment::default();
            self.waiting.push_front(Waiting { not_before, parcel });
        }
    }

    /// Whether answers to this root's calls are still to come.
    pub(crate) fn has_calls(&self, root: RootId) -> bool {
        self.in_flight.iter().any(|it| it.root == root)
    }

    /// Accepts an event of the VM before this one.
    pub(crate) fn take_over(
        &mut self,
        kind: Kind,
        line: &[u8],
        counters: &mut Counters,
    ) -> Result<(), Full> {
        let taken = self.buffer.push(kind, |out| out.extend_from_slice(line));
        let event = match taken {
            Ok(_) => Event::TakenOver,
            Err(Full) => Event::Full,
        };
        counters.add(Counter::Events(kind, event), 1);
        taken.map(|_| ())
    }

    /// The VM ends: everything that is not acknowledged is given to `leave`, batches under way
    /// included, which says what became of each.
    pub(crate) fn end(&mut self, counters: &mut Counters, mut leave: impl FnMut(&Batch) -> Event) {
        self.buffer.close();
        self.filling_since = None;
        let in_flight = self.in_flight.drain(..).map(|it| it.parcel.batch);
        let waiting = self.waiting.drain(..).map(|it| it.parcel.batch);
        let mut batches: Vec<Batch> = in_flight.chain(waiting).collect();
        batches.extend(std::iter::from_fn(|| self.buffer.take_closed()));
        for batch in batches {
            let event = leave(&batch);
            self.forget(batch, event, counters);
        }
    }

    /// Bytes and events not acknowledged yet.
    pub(crate) fn buffered(&self) -> (usize, usize) {
        (self.buffer.bytes(), self.buffer.events())
    }

    fn retry(
        &mut self,
        mut parcel: Parcel,
        retry_after: Option<Duration>,
        now: Moment,
        counters: &mut Counters,
    ) {
        counters.add(Counter::Batches(BatchResult::Retried), 1);
        parcel.failures = parcel.failures.saturating_add(1);
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let failures = self.failures_with(now);
        let wait = self.jitter.wait(failures).max(asked);
        let until = now.after(wait);
        self.collector = Collector::Failing { failures, until };
        // A batch that fails where others pass must not stand in their way.
        let not_before = now.after(self.jitter.wait(parcel.failures).max(asked));
        self.waiting.push_back(Waiting { not_before, parcel });
    }

    fn retry_slowly(
        &mut self,
        mut parcel: Parcel,
        alert: Alert,
        now: Moment,
        counters: &mut Counters,
    ) -> Outcome {
        counters.add(Counter::Batches(BatchResult::Refused), 1);
        counters.add(Counter::Alerts(alert), 1);
        let events = parcel.batch.events();
        parcel.failures = parcel.failures.saturating_add(1);
        let failures = self.failures_with(now);
        let not_before = now.after(self.jitter.slow_wait());
        self.collector = Collector::Failing {
            failures,
            until: not_before,
        };
        self.waiting.push_back(Waiting { not_before, parcel });
        Outcome::RetrySlowly { events, alert }
    }

    /// Failures in a row with this one. Calls that were under way together count once.
    fn failures_with(&self, now: Moment) -> u32 {
        match self.collector {
            Collector::Well => 1,
            Collector::Failing { failures, until } if now < until => failures,
            Collector::Failing { failures, .. } => failures.saturating_add(1),
        }
    }

    fn split(&mut self, batch: Batch, counters: &mut Counters) -> Outcome {
        let events = batch.events();
        match Buffer::split(batch) {
            Ok((first, second)) => {
                counters.add(Counter::Batches(BatchResult::Split), 1);
                for batch in [second, first] {
                    let parcel = Parcel { batch, failures: 0 };
                    let not_before = Moment::default();
                    self.waiting.push_front(Waiting { not_before, parcel });
                }
                Outcome::Split { events }
            }
            Err(batch) => self.drop_loudly(batch, Event::TooLarge, Alert::TooLarge, counters),
        }
    }

    fn drop_loudly(
        &mut self,
        batch: Batch,
        event: Event,
        alert: Alert,
        counters: &mut Counters,
    ) -> Outcome {
        let events = batch.events();
        counters.add(Counter::Batches(BatchResult::Dropped), 1);
        counters.add(Counter::Alerts(alert), 1);
        self.forget(batch, event, counters);
        Outcome::Dropped { events, alert }
    }

    fn forget(&mut self, batch: Batch, event: Event, counters: &mut Counters) {
        for kind in batch.kinds() {
            counters.add(Counter::Events(kind, event), 1);
        }
        self.buffer.release(batch);
    }
}

#[cfg(test)]
mod tests;
