//! What a webhook that takes every event costs: the same load with one and without any, by turns. After a
//! turn with one, all of its events have to arrive before the next turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kraiter_tests::api::Api;
use kraiter_tests::backend::Backend;
use kraiter_tests::http::Request;
use kraiter_tests::http_server::{HttpServer, Reaction};
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_tests::wait;
use serde_json::{Value, json};

use super::writers::{self, Pen};
use crate::report::{Finding, median};

#[derive(Default)]
pub(super) struct Turns {
    /// Events a second.
    with: Vec<f64>,
    without: Vec<f64>,
    /// Events that had arrived when the last one was stored, of 100.
    arrived: Vec<f64>,
    /// Events a second from then on.
    caught_up: Vec<f64>,
}

pub(super) struct Webhook {
    api: Api,
    backend: SocketAddr,
    receiver: HttpServer,
    received: Arc<AtomicU64>,
    events: usize,
}

impl Webhook {
    /// `events` of each turn.
    pub(super) fn new(backend: &Backend, events: usize) -> Outcome<Self> {
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let receiver = HttpServer::start(move |request| {
            let body = String::from_utf8_lossy(&request.body);
            let events = body.matches("\"sendId\":").count();
            counter.fetch_add(events as u64, Ordering::SeqCst);
            Reaction::Answer {
                status: 200,
                body: Vec::new(),
            }
        })?;
        Ok(Self {
            api: backend.api_key("bench", "admin")?,
            backend: backend.address(),
            receiver,
            received,
            events,
        })
    }

    pub(super) fn round(&self, pen: &mut Pen, number: usize, turns: &mut Turns) -> Outcome<()> {
        // Whoever goes second finds warmer caches.
        let order = match number.is_multiple_of(2) {
            true => [true, false],
            false => [false, true],
        };
        for with_webhook in order {
            let requests = pen.write(self.events)?;
            let post = || {
                let took = writers::post(self.backend, &requests)?;
                Ok::<_, Trouble>(self.events as f64 / took.as_secs_f64())
            };
            if with_webhook {
                let rate = self.with_one(post, turns)?;
                turns.with.push(rate);
            } else {
                turns.without.push(post()?);
            }
        }
        let last = |rates: &[f64]| rates.last().copied().unwrap_or_default();
        eprintln!(
            "  round {number}  {:>7.0} with a webhook, {:>7.0} without, events/s",
            last(&turns.with),
            last(&turns.without)
        );
        Ok(())
    }

    fn with_one(&self, post: impl FnOnce() -> Outcome<f64>, turns: &mut Turns) -> Outcome<f64> {
        let url = format!("http://{}/", self.receiver.address());
        let made = self.api.write("POST", "/webhooks", &json!({"url": url}))?;
        self.received.store(0, Ordering::SeqCst);
        let rate = post()?;
        let (start, early) = (Instant::now(), self.received.load(Ordering::SeqCst));
        wait::until("every event to reach the webhook", || {
            match self.received.load(Ordering::SeqCst) {
                all if all >= self.events as u64 => Ok(()),
                some => Err(format!("{some} of {}", self.events)),
            }
        })?;
        let left = (self.events as u64).saturating_sub(early) as f64;
        turns
            .arrived
            .push(100.0 * early as f64 / self.events as f64);
        turns.caught_up.push(left / start.elapsed().as_secs_f64());
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        self.api
            .send(Request::new("DELETE", format!("/webhooks/{id}")))?;
        // What is under way to the webhook that is gone.
        std::thread::sleep(Duration::from_millis(500));
        Ok(rate)
    }
}

impl Turns {
    pub(super) fn finding(&self) -> Finding {
        Finding::new("ingest/webhook", &self.with, &self.without, "events/s")
    }

    pub(super) fn note(&self) -> String {
        format!(
            "ingest/webhook: the same load with one webhook that takes everything, beside none; {:.0} % of \
             the events had arrived when the last one was stored, the others at {:.0} events/s",
            median(self.arrived.clone()),
            median(self.caught_up.clone())
        )
    }
}
