//! What all contexts of one VM share: events waiting, calls under way, counters, ids.
//!
//! A newer plugin configuration makes a second root context in the same VM, so none of this may
//! hang on a root. Carries decisions of [`crate::delivery`] out by host calls and logs them.

use std::cell::RefCell;
use std::time::Duration;

use kraiter_wire::{EventIdGenerator, SignalsWriter};

use crate::address::AddressText;
use crate::backoff::{Jitter, Moment};
use crate::buffer::Full;
use crate::config::{Collector, Config, PolicyFeed};
use crate::delivery::{CallId, Delivery, Outcome, Reply, RootId};
use crate::feed::Feed;
use crate::handover::{End, GENERATION_KEY, Generation, LOG_MARK, QUEUE, kind_of};
use crate::host::{self, LogLevel, MetricId, QueueId};
use crate::metrics::{Alert, Counter, Counters, Event as Outcomes, Gauge, Poll};
use crate::plan::Event;
use crate::policy::{MAX_POLICY_BYTES, Policy};

/// Batches sent on the way out, on the chance that they leave before the process does.
const MAX_LAST_CALLS: u32 = 8;

/// Part of a collector's answer that goes into the log.
const MAX_LOGGED_BODY_BYTES: usize = 300;

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

pub(crate) struct Vm {
    ids: EventIdGenerator,
    delivery: Delivery,
    pub(crate) counters: Counters,
    metrics: Option<Metrics>,
    collector: Collector,
    timeout: Duration,
    /// What was last said about the collector in the log.
    said_well: bool,
    pub(crate) policy: Policy,
    policy_path: String,
    feed: Feed,
    generation: Generation,
    queue: Option<QueueId>,
    /// The event line being written; kept for its memory.
    line: Vec<u8>,
}

struct Metrics {
    counters: Vec<Option<MetricId>>,
    /// Each with what this VM has added to it: gauges belong to all VMs.
    gauges: [(Option<MetricId>, usize); 3],
}

/// Something the proxy has to allow before the filter can work.
pub(crate) struct Missing(pub(crate) &'static str);

impl Vm {
    /// Takes a configuration over; the first one starts the VM.
    pub(crate) fn configure(config: &Config, environment: &[u8]) -> Result<(), Missing> {
        host::wall_clock().ok_or(Missing("proxy_get_current_time_nanoseconds"))?;
        host::now().ok_or(Missing("clock_time_get"))?;
        let PolicyFeed { path, every } = config.policy.clone();
        VM.with_borrow_mut(|slot| {
            if let Some(vm) = slot {
                vm.delivery.configure(config.delivery);
                vm.collector = config.collector.clone();
                vm.timeout = config.delivery.timeout;
                vm.feed.configure(every);
                vm.policy_path = path;
                return Ok(());
            }
            let seed = host::random().ok_or(Missing("random_get"))?;
            let jitter = host::random().ok_or(Missing("random_get"))?;
            let jitter = || Jitter::new(u64::from_le_bytes(jitter));
            *slot = Some(Self {
                ids: EventIdGenerator::new(seed),
                delivery: Delivery::new(config.delivery, jitter()),
                counters: Counters::new(),
                metrics: None,
                collector: config.collector.clone(),
                timeout: config.delivery.timeout,
                said_well: true,
                policy: Policy::default(),
                policy_path: path,
                feed: Feed::new(every, jitter()),
                generation: Generation::of(environment),
                queue: None,
                line: Vec::new(),
            });
            Ok(())
        })
    }

    /// The VM, if it was configured. Contexts never call one another, so it is never in use.
    #[inline]
    pub(crate) fn with<T>(act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        VM.with(|slot| slot.try_borrow_mut().ok()?.as_mut().map(act))
    }

    /// Puts an event into the buffer, and where the access log finds it. `Ok(true)`: a batch is
    /// ready to go now.
    #[inline]
    pub(crate) fn record(
        &mut self,
        event: &Event<'_>,
        address: Option<&AddressText>,
        journal: bool,
    ) -> Result<bool, Full> {
        let signals = SignalsWriter {
            ip: address.and_then(AddressText::as_str),
            ..event.signals
        };
        let now = host::wall_clock().ok_or(Full)?;
        let id = self.ids.next(now);
        let Self {
            delivery,
            counters,
            line,
            ..
        } = self;
        if !journal {
            return delivery.push(event.kind, counters, |out| {
                signals.write(id, event.kind, event.token, out);
            });
        }
        line.clear();
        signals.write(id, event.kind, event.token, line);
        host::keep_for_journal(line.strip_suffix(b"\n").unwrap_or(line));
        delivery.push(event.kind, counters, |out| out.extend_from_slice(line))
    }

    /// Says that requests bring an address of their own where the proxy was to write its own.
    pub(crate) fn header_differs(&mut self) {
        self.counters.add(Counter::Alerts(Alert::Address), 1);
        let line = "kraiter: x-envoy-external-address is not the client's address: this listener \
                    lacks use_remote_address, or address_from is wrong; the connection's is taken";
        host::log(LogLevel::Error, line);
    }

    /// Sends what is due and hands the counters over.
    pub(crate) fn tick(&mut self, root: RootId) {
        let Some(now) = host::now() else { return };
        if self.queue.is_none() {
            self.announce();
        }
        self.delivery.give_up_lost_calls(now, &mut self.counters);
        self.send_due(root, now);
        if self.feed.is_due(now) {
            self.ask_for_policy(root, now);
        }
        self.report();
    }

    /// On the first tick, which a VM made only to try a configuration out never gets: from now on
    /// this is the generation that others hand over to.
    fn announce(&mut self) {
        host::write(GENERATION_KEY, self.generation.as_bytes());
        self.queue = host::register_queue(QUEUE);
        self.take_over();
    }

    /// Takes what VMs before this one have left in the queue.
    pub(crate) fn take_over(&mut self) {
        let Some(queue) = self.queue else { return };
        let mut events = 0;
        while let Some(lines) = host::dequeue(queue) {
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                let Some(kind) = kind_of(line) else { continue };
                match self.delivery.take_over(kind, line, &mut self.counters) {
                    Ok(()) => events += 1,
                    Err(Full) => spill(line),
                }
            }
        }
        if events > 0 {
            let line = format!("kraiter: {events} events taken over from a VM that ended");
            host::log(LogLevel::Warn, &line);
        }
    }

    /// What came back from a call of this root's; `may_send`: more calls may follow.
    pub(crate) fn answered(&mut self, root: RootId, call: CallId, reply: Reply, may_send: bool) {
        let Some(now) = host::now() else { return };
        if self.feed.answered(call, now) {
            return self.policy_answered(reply);
        }
        let outcome = self.delivery.answered(call, reply, now, &mut self.counters);
        self.log_outcome(outcome, reply);
        if may_send {
            self.send_due(root, now);
        }
    }

    pub(crate) fn has_calls(&self, root: RootId) -> bool {
        self.delivery.has_calls(root)
    }

    /// A root ended and others go on.
    pub(crate) fn root_ended(&mut self, root: RootId) {
        self.delivery.root_ended(root);
        self.feed.root_ended(root);
        self.report();
    }

    /// The last root ends, and with it the VM: whatever is not acknowledged leaves it.
    pub(crate) fn end(&mut self) {
        let newest = host::read(GENERATION_KEY);
        let end = self.generation.ends(newest.as_deref());
        let queue = self.queue.or_else(|| host::register_queue(QUEUE));
        let (collector, timeout) = (&self.collector, self.timeout);
        let mut calls = 0;
        self.delivery.end(&mut self.counters, |batch| {
            let queued = queue.is_some_and(|queue| host::enqueue(queue, batch.bytes()));
            if queued && end == End::Replaced {
                return Outcomes::HandedOver;
            }
            batch.lines().for_each(spill);
            // It may still leave over a connection that is open, but nobody will hear the answer.
            if calls < MAX_LAST_CALLS {
                calls += 1;
                let headers = collector.batch_headers(false);
                host::call(&collector.cluster, &headers, batch.bytes(), timeout);
            }
            Outcomes::Spilled
        });
        self.report();
    }

    fn ask_for_policy(&mut self, root: RootId, now: Moment) {
        let headers = (self.collector).policy_headers(&self.policy_path, self.policy.version());
        let call = host::call(&self.collector.cluster, &headers, &[], self.timeout);
        if call.is_none() {
            self.counters.add(Counter::Polls(Poll::Failed), 1);
        }
        self.feed.asked(call, root, now, self.timeout);
    }

    fn policy_answered(&mut self, reply: Reply) {
        let status = match reply {
            Reply::Status { status, .. } => status,
            Reply::Broken => 0,
        };
        let poll = match status {
            304 => Poll::NotModified,
            200 => {
                let body = host::call_response_body(MAX_POLICY_BYTES + 1).unwrap_or_default();
                match Policy::parse(&body) {
                    Ok(policy) => {
                        self.policy = policy;
                        Poll::Changed
                    }
                    Err(why) => {
                        let line = format!("kraiter: the policy is not usable: {why}");
                        host::log(LogLevel::Error, &line);
                        Poll::Failed
                    }
                }
            }
            _ => Poll::Failed,
        };
        self.counters.add(Counter::Polls(poll), 1);
    }

    fn send_due(&mut self, root: RootId, now: Moment) {
        while let Some(parcel) = self.delivery.next(now) {
            let lines = parcel.batch.bytes();
            let compressed = match self.collector.compress {
                true => host::compressed(lines),
                false => None,
            };
            let body = compressed.as_deref().unwrap_or(lines);
            let headers = self.collector.batch_headers(compressed.is_some());
            match host::call(&self.collector.cluster, &headers, body, self.timeout) {
                Some(call) => self.delivery.sent(parcel, call, root, now),
                None => {
                    self.delivery.not_sent(parcel, now, &mut self.counters);
                    self.say_failing("the call was refused: no such cluster, or too many calls");
                }
            }
        }
    }

    fn log_outcome(&mut self, outcome: Outcome, reply: Reply) {
        let answer = match reply {
            Reply::Status { status, .. } => format!("status {status}"),
            Reply::Broken => "the connection broke".to_owned(),
        };
        match outcome {
            Outcome::Delivered { .. } if !self.said_well => {
                self.said_well = true;
                let line = "kraiter: the collector takes events again";
                host::log(LogLevel::Warn, line);
            }
            Outcome::Delivered { .. } | Outcome::Split { .. } | Outcome::Late => {}
            Outcome::Retry { .. } => self.say_failing(&answer),
            Outcome::RetrySlowly { events, alert } => {
                self.said_well = false;
                let advice = match alert {
                    Alert::Auth => "collector.secret or KRAITER_INGEST_SECRET does not fit",
                    _ => "check collector.cluster, collector.authority and collector.path",
                };
                let line = format!(
                    "kraiter: the collector refuses events ({answer}): {advice}; {events} are \
                     kept and tried again"
                );
                host::log(LogLevel::Error, &line);
            }
            Outcome::Dropped { events, .. } => {
                let body = host::call_response_body(MAX_LOGGED_BODY_BYTES).unwrap_or_default();
                let body = String::from_utf8_lossy(&body);
                let line = format!(
                    "kraiter: {events} events dropped, the collector does not take them \
                     ({answer}): {body:?}"
                );
                host::log(LogLevel::Error, &line);
            }
        }
    }

    /// Once for each time it stops working; how often it then fails is what counters are for.
    fn say_failing(&mut self, why: &str) {
        if std::mem::take(&mut self.said_well) {
            let line = format!("kraiter: the collector fails ({why}); events are kept for later");
            host::log(LogLevel::Warn, &line);
        }
    }

    fn report(&mut self) {
        let metrics = self.metrics.get_or_insert_with(|| Metrics {
            counters: Counter::all()
                .map(|counter| host::counter(&counter.name()))
                .collect(),
            gauges: [
                Gauge::BufferedBytes,
                Gauge::BufferedEvents,
                Gauge::PolicyEntries,
            ]
            .map(|gauge| (host::gauge(gauge.name()), 0)),
        });
        for (place, count) in self.counters.take() {
            if let Some(Some(id)) = metrics.counters.get(place) {
                host::add_to_metric(*id, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        let (bytes, events) = self.delivery.buffered();
        let values = [bytes, events, self.policy.entries()];
        for ((id, told), value) in metrics.gauges.iter_mut().zip(values) {
            // All are far below 2^63: a VM has 4 GiB at most.
            let change = value as i64 - *told as i64;
            if let (Some(id), 1.. | ..=-1) = (*id, change) {
                host::add_to_metric(id, change);
            }
            *told = value;
        }
    }
}

/// Writes an event where `kraiter replay` finds it.
fn spill(line: &[u8]) {
    let text = String::from_utf8_lossy(line.trim_ascii_end());
    host::log(LogLevel::Warn, &format!("{LOG_MARK}{text}"));
}
