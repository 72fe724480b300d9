//! The machine against a simulated collector and clock, and against a model of what was promised.

use super::*;
use crate::config::BatchLimits;
use proptest::prelude::*;

const LIMITS: DeliveryLimits = DeliveryLimits {
    batch: BatchLimits {
        max_bytes: 400,
        max_events: 4,
        buffer_bytes: 3_200,
    },
    max_age: Duration::from_secs(1),
    in_flight: 2,
    timeout: Duration::from_secs(5),
};
const ROOT: RootId = RootId(1);

/// A delivery with its clock, counters and the calls that went out.
struct Edge {
    delivery: Delivery,
    counters: Counters,
    now: Moment,
    calls: Vec<(CallId, Vec<u8>)>,
    last_call: u32,
}

impl Edge {
    fn new() -> Self {
        Self {
            delivery: Delivery::new(LIMITS, Jitter::new(7)),
            counters: Counters::new(),
            now: Moment(Duration::from_secs(1)),
            calls: Vec::new(),
            last_call: 0,
        }
    }

    fn push(&mut self, kind: Kind, line: &str) -> Result<bool, Full> {
        let write = |out: &mut Vec<u8>| out.extend_from_slice(line.as_bytes());
        self.delivery.push(kind, &mut self.counters, write)
    }

    fn fill_batch(&mut self) {
        for _ in 0..4 {
            self.push(Kind::Open, "line\n").unwrap();
        }
    }

    /// Sends what may go now.
    fn tick(&mut self) {
        self.delivery
            .give_up_lost_calls(self.now, &mut self.counters);
        while let Some(parcel) = self.delivery.next(self.now) {
            self.last_call += 1;
            let call = CallId(self.last_call);
            self.calls.push((call, parcel.batch.bytes().to_vec()));
            self.delivery.sent(parcel, call, ROOT, self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Ticks as the VM does until a call is out; the time that took.
    fn until_call(&mut self) -> Duration {
        let start = self.now;
        for _ in 0..10_000 {
            self.tick();
            if !self.calls.is_empty() {
                return self.now.0 - start.0;
            }
            self.pass(LIMITS.tick());
        }
        panic!("nothing was sent");
    }

    fn answer_first(&mut self, status: u16) -> Outcome {
        let (call, _) = self.calls.remove(0);
        self.answer(call, status)
    }

    fn answer(&mut self, call: CallId, status: u16) -> Outcome {
        let reply = Reply::Status {
            status,
            retry_after: None,
        };
        self.delivery
            .answered(call, reply, self.now, &mut self.counters)
    }

    fn count(&self, kind: Kind, event: Event) -> u64 {
        self.counters.get(Counter::Events(kind, event))
    }

    /// Another VM takes this one's place and its events. Gives those that find no room there, which
    /// go into the log.
    fn replace(&mut self) -> Vec<Vec<u8>> {
        let mut queue: Vec<(Kind, Vec<u8>)> = Vec::new();
        self.delivery.end(&mut self.counters, |batch| {
            let lines = batch.lines().map(<[u8]>::to_vec);
            queue.extend(batch.kinds().zip(lines));
            Event::HandedOver
        });
        self.kept_promise();
        self.begin_anew();
        let mut no_room = Vec::new();
        for (kind, line) in queue {
            let taken = (self.delivery).take_over(kind, &line, &mut self.counters);
            if taken.is_err() {
                no_room.push(line);
            }
        }
        no_room
    }

    /// The process ends; gives what went into the log. What follows is another process.
    fn exit(&mut self) -> Vec<Vec<u8>> {
        let mut spilled = Vec::new();
        self.delivery.end(&mut self.counters, |batch| {
            spilled.extend(batch.lines().map(<[u8]>::to_vec));
            Event::Spilled
        });
        assert_eq!(self.delivery.buffered(), (0, 0));
        self.begin_anew();
        spilled
    }

    fn begin_anew(&mut self) {
        self.delivery = Delivery::new(LIMITS, Jitter::new(8));
        self.calls.clear();
    }

    fn kept_promise(&self) {
        let sum = |event| -> u64 {
            let kinds = [Kind::Open, Kind::Click, Kind::Unsubscribe];
            kinds.into_iter().map(|kind| self.count(kind, event)).sum()
        };
        let dropped = sum(Event::Rejected) + sum(Event::TooLarge);
        let left = sum(Event::Spilled) + sum(Event::HandedOver);
        let (bytes, buffered) = self.delivery.buffered();
        assert_eq!(
            sum(Event::Accepted) + sum(Event::TakenOver),
            sum(Event::Delivered) + dropped + left + buffered as u64
        );
        assert!(bytes <= LIMITS.batch.buffer_bytes);
        assert!(self.delivery.in_flight.len() <= LIMITS.in_flight);
    }
}

#[test]
fn a_lone_event_leaves_within_its_age() {
    let mut edge = Edge::new();
    edge.push(Kind::Open, "line\n").unwrap();
    let waited = edge.until_call();
    assert!(waited <= LIMITS.max_age, "{waited:?}");
    assert!(waited >= LIMITS.max_age / 2, "{waited:?}");
}

#[test]
fn a_full_batch_is_ready_at_once() {
    let mut edge = Edge::new();
    for _ in 0..3 {
        assert_eq!(edge.push(Kind::Open, "line\n"), Ok(false));
    }
    assert_eq!(edge.push(Kind::Open, "line\n"), Ok(true));
    edge.tick();
    assert_eq!(edge.calls.len(), 1);
}

#[test]
fn two_batches_are_in_flight_and_no_more() {
    let mut edge = Edge::new();
    for _ in 0..3 {
        edge.fill_batch();
    }
    edge.tick();
    assert_eq!(edge.calls.len(), 2);
    edge.answer_first(200);
    edge.tick();
    assert_eq!(edge.calls.len(), 2);
}

#[test]
fn a_failed_batch_comes_again_with_the_same_bytes() {
    for status in [408, 429, 500, 502, 503, 504] {
        let mut edge = Edge::new();
        edge.push(Kind::Click, "one\n").unwrap();
        edge.until_call();
        let bytes = edge.calls[0].1.clone();
        assert_eq!(edge.answer_first(status), Outcome::Retry { events: 1 });
        edge.push(Kind::Click, "two\n").unwrap();
        edge.until_call();
        assert_eq!(edge.calls[0].1, bytes, "{status}");
        assert_eq!(edge.answer_first(200), Outcome::Delivered { events: 1 });
        edge.kept_promise();
    }
}

#[test]
fn a_collector_that_is_down_is_asked_by_one_batch_at_a_time() {
    let mut edge = Edge::new();
    for _ in 0..5 {
        edge.fill_batch();
    }
    edge.tick();
    edge.answer_first(503);
    edge.answer_first(503);
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        longest = longest.max(edge.until_call());
        assert_eq!(edge.calls.len(), 1);
        edge.answer_first(503);
    }
    assert!(longest > Duration::from_secs(4), "{longest:?}");
    assert!(longest <= Duration::from_secs(11), "{longest:?}");
    edge.until_call();
    edge.answer_first(200);
    for _ in 0..4 {
        edge.until_call();
        edge.answer_first(200);
    }
    assert_eq!(edge.delivery.buffered(), (0, 0));
    assert_eq!(edge.count(Kind::Open, Event::Delivered), 20);
}

#[test]
fn a_batch_that_always_fails_does_not_stand_in_the_others_way() {
    let mut edge = Edge::new();
    edge.push(Kind::Open, "poison\n").unwrap();
    edge.until_call();
    edge.answer_first(500);
    for _ in 0..20 {
        edge.fill_batch();
        loop {
            edge.until_call();
            if edge.calls[0].1 != b"poison\n" {
                break;
            }
            edge.answer_first(500);
        }
        edge.answer_first(200);
    }
    assert_eq!(edge.count(Kind::Open, Event::Delivered), 80);
    edge.kept_promise();
}

#[test]
fn a_wrong_secret_is_tried_slowly_and_raises_an_alert() {
    for (status, alert) in [(401, Alert::Auth), (403, Alert::Auth), (404, Alert::Route)] {
        let mut edge = Edge::new();
        edge.fill_batch();
        edge.tick();
        let outcome = edge.answer_first(status);
        assert_eq!(outcome, Outcome::RetrySlowly { events: 4, alert });
        assert_eq!(edge.counters.get(Counter::Alerts(alert)), 1);
        assert!(edge.until_call() >= Duration::from_secs(30));
        edge.answer_first(200);
        assert_eq!(edge.count(Kind::Open, Event::Delivered), 4);
    }
}

#[test]
fn a_new_configuration_ends_all_waits() {
    let mut edge = Edge::new();
    edge.fill_batch();
    edge.tick();
    edge.answer_first(401);
    edge.delivery.configure(LIMITS);
    assert_eq!(edge.until_call(), Duration::ZERO);
}

#[test]
fn too_large_is_halved_down_to_the_one_event_that_is() {
    let mut edge = Edge::new();
    for line in ["a\n", "b\n", "large\n", "c\n"] {
        edge.push(Kind::Open, line).unwrap();
    }
    for _ in 0..20 {
        edge.tick();
        while let Some((call, bytes)) = edge.calls.pop() {
            let large = bytes.windows(5).any(|window| window == b"large");
            edge.answer(call, if large { 413 } else { 200 });
        }
    }
    assert_eq!(edge.count(Kind::Open, Event::Delivered), 3);
    assert_eq!(edge.count(Kind::Open, Event::TooLarge), 1);
    assert_eq!(edge.counters.get(Counter::Alerts(Alert::TooLarge)), 1);
    edge.kept_promise();
}

#[test]
fn what_the_collector_calls_malformed_is_dropped_loudly() {
    for status in [400, 422] {
        let mut edge = Edge::new();
        edge.fill_batch();
        edge.tick();
        let alert = Alert::Rejected;
        assert_eq!(
            edge.answer_first(status),
            Outcome::Dropped { events: 4, alert }
        );
        assert_eq!(edge.count(Kind::Open, Event::Rejected), 4);
        assert_eq!(edge.counters.get(Counter::Alerts(alert)), 1);
        edge.kept_promise();
    }
}

#[test]
fn a_call_without_an_answer_is_taken_back() {
    let mut edge = Edge::new();
    edge.fill_batch();
    edge.tick();
    let (call, bytes) = edge.calls.remove(0);
    edge.pass(LIMITS.timeout + ANSWER_GRACE);
    edge.until_call();
    assert_eq!(edge.calls[0].1, bytes);
    assert_eq!(edge.answer(call, 200), Outcome::Late);
    edge.answer_first(200);
    edge.kept_promise();
}

#[test]
fn calls_of_a_root_that_ends_go_again_from_the_next() {
    let mut edge = Edge::new();
    edge.fill_batch();
    edge.tick();
    let bytes = edge.calls.remove(0).1;
    edge.delivery.root_ended(RootId(2));
    edge.tick();
    assert!(edge.calls.is_empty());
    edge.delivery.root_ended(ROOT);
    edge.tick();
    assert_eq!(edge.calls[0].1, bytes);
}

#[test]
fn a_collector_that_asks_for_time_gets_it() {
    let mut edge = Edge::new();
    edge.fill_batch();
    edge.tick();
    let (call, _) = edge.calls.remove(0);
    let asked = Duration::from_secs(25);
    let reply = Reply::Status {
        status: 503,
        retry_after: Some(asked),
    };
    edge.delivery
        .answered(call, reply, edge.now, &mut edge.counters);
    assert!(edge.until_call() >= asked);
}

#[derive(Clone, Debug)]
enum Step {
    Push(Kind, usize),
    Pass(u64),
    Answer(usize, u16),
    Break(usize),
    Refuse,
    RootEnds,
    Configure,
    /// The VM ends and another takes over, or nobody does.
    Replace,
    Exit,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        6 => Just(Kind::Open),
        3 => Just(Kind::Click),
        1 => Just(Kind::Unsubscribe)
    ];
    let status = prop_oneof![
        4 => Just(200_u16),
        2 => Just(503),
        1 => prop::sample::select(vec![204, 301, 400, 401, 404, 408, 413, 418, 422, 429, 500])
    ];
    prop_oneof![
        12 => (kind, 2_usize..500).prop_map(|(kind, len)| Step::Push(kind, len)),
        4 => (0_u64..20_000).prop_map(Step::Pass),
        6 => (0_usize..4, status).prop_map(|(call, status)| Step::Answer(call, status)),
        1 => (0_usize..4).prop_map(Step::Break),
        1 => Just(Step::Refuse),
        1 => Just(Step::RootEnds),
        1 => Just(Step::Configure),
        1 => prop::sample::select(vec![Step::Replace, Step::Exit]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens, every accepted line is delivered to the byte, dropped and counted, in the
    /// log, with another VM, or still here; and once the collector is well again everything that is here arrives.
    #[test]
    fn every_accepted_event_is_accounted_for(steps in prop::collection::vec(step(), 1..200)) {
        let mut edge = Edge::new();
        let mut accepted = Vec::new();
        let mut gone = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(kind, len) => {
                    let line = format!("{number:0>width$}\n", width = len - 1);
                    let (bytes, _) = edge.delivery.buffered();
                    let pushed = edge.push(kind, &line);
                    if kind == Kind::Unsubscribe {
                        let room = bytes + line.len() <= LIMITS.batch.buffer_bytes;
                        prop_assert_eq!(pushed.is_ok(), room);
                    }
                    if pushed.is_ok() {
                        accepted.push(line);
                    }
                }
                Step::Pass(millis) => {
                    edge.pass(Duration::from_millis(millis));
                    edge.tick();
                }
                Step::Answer(at, status) if at < edge.calls.len() => {
                    let (call, bytes) = edge.calls.remove(at);
                    match edge.answer(call, status) {
                        Outcome::Delivered { .. } | Outcome::Dropped { .. } => gone.push(bytes),
                        _ => {}
                    }
                }
                Step::Break(at) if at < edge.calls.len() => {
                    let (call, _) = edge.calls.remove(at);
                    edge.delivery.answered(call, Reply::Broken, edge.now, &mut edge.counters);
                }
                Step::Answer(..) | Step::Break(_) => {}
                Step::Refuse => {
                    if let Some(parcel) = edge.delivery.next(edge.now) {
                        edge.delivery.not_sent(parcel, edge.now, &mut edge.counters);
                    }
                }
                Step::RootEnds => {
                    edge.delivery.root_ended(ROOT);
                    edge.calls.clear();
                }
                Step::Configure => edge.delivery.configure(LIMITS),
                Step::Replace => gone.extend(edge.replace()),
                Step::Exit => gone.extend(edge.exit()),
            }
            edge.kept_promise();
        }
        while edge.delivery.buffered().1 > 0 {
            edge.until_call();
            while let Some((call, bytes)) = edge.calls.pop() {
                if edge.answer(call, 200) != Outcome::Late {
                    gone.push(bytes);
                }
            }
        }
        edge.kept_promise();
        let mut arrived: Vec<_> = gone.concat().split_inclusive(|byte| *byte == b'\n')
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        arrived.sort();
        accepted.sort();
        prop_assert_eq!(arrived, accepted);
    }
}
