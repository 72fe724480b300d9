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
use crate::config::{Collector, Config};
use crate::delivery::{CallId, Delivery, Outcome, Reply, RootId};
use crate::host::{self, LogLevel, MetricId};
use crate::metrics::{Alert, Counter, Counters, Gauge};
use crate::plan::Event;

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
}

struct Metrics {
    counters: Vec<Option<MetricId>>,
    bytes: Option<MetricId>,
    events: Option<MetricId>,
    /// What this VM has added to the gauges, which belong to all VMs.
    told: (usize, usize),
}

/// Something the proxy has to allow before the filter can work.
pub(crate) struct Missing(pub(crate) &'static str);

impl Vm {
    /// Takes a configuration over; the first one starts the VM.
    pub(crate) fn configure(config: &Config) -> Result<(), Missing> {
        host::wall_clock().ok_or(Missing("proxy_get_current_time_nanoseconds"))?;
        host::now().ok_or(Missing("clock_time_get"))?;
        VM.with_borrow_mut(|slot| {
            if let Some(vm) = slot {
                vm.delivery.configure(config.delivery);
                vm.collector = config.collector.clone();
                vm.timeout = config.delivery.timeout;
                return Ok(());
            }
            let seed = host::random().ok_or(Missing("random_get"))?;
            let jitter = host::random().ok_or(Missing("random_get"))?;
            *slot = Some(Self {
                ids: EventIdGenerator::new(seed),
                delivery: Delivery::new(config.delivery, Jitter::new(u64::from_le_bytes(jitter))),
                counters: Counters::new(),
                metrics: None,
                collector: config.collector.clone(),
                timeout: config.delivery.timeout,
                said_well: true,
            });
            Ok(())
        })
    }

    /// The VM, if it was configured. Contexts never call one another, so it is never in use.
    #[inline]
    pub(crate) fn with<T>(act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        VM.with(|slot| slot.try_borrow_mut().ok()?.as_mut().map(act))
    }

    /// Puts an event into the buffer. `Ok(true)`: a batch is ready to go now.
    #[inline]
    pub(crate) fn record(
        &mut self,
        event: &Event<'_>,
        address: Option<&AddressText>,
    ) -> Result<bool, Full> {
        let signals = SignalsWriter {
            ip: address.and_then(AddressText::as_str),
            ..event.signals
        };
        let now = host::wall_clock().ok_or(Full)?;
        let id = self.ids.next(now);
        self.delivery.push(event.kind, &mut self.counters, |out| {
            signals.write(id, event.kind, event.token, out);
        })
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
        self.delivery.give_up_lost_calls(now, &mut self.counters);
        self.send_due(root, now);
        self.report();
    }

    pub(crate) fn answered(&mut self, root: RootId, call: CallId, reply: Reply) {
        let Some(now) = host::now() else { return };
        let outcome = self.delivery.answered(call, reply, now, &mut self.counters);
        self.log_outcome(outcome, reply);
        self.send_due(root, now);
    }

    pub(crate) fn root_ended(&mut self, root: RootId) {
        self.delivery.root_ended(root);
        self.report();
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
            bytes: host::gauge(Gauge::BufferedBytes.name()),
            events: host::gauge(Gauge::BufferedEvents.name()),
            told: (0, 0),
        });
        for (place, count) in self.counters.take() {
            if let Some(Some(id)) = metrics.counters.get(place) {
                host::add_to_metric(*id, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        let (bytes, events) = self.delivery.buffered();
        let moved = |id: Option<MetricId>, from: usize, to: usize| {
            // Both are far below 2^63: a VM has 4 GiB at most.
            let change = to as i64 - from as i64;
            if let (Some(id), 1.. | ..=-1) = (id, change) {
                host::add_to_metric(id, change);
            }
        };
        moved(metrics.bytes, metrics.told.0, bytes);
        moved(metrics.events, metrics.told.1, events);
        metrics.told = (bytes, events);
    }
}
