//! One attempt of one delivery: read what its events say now, sign, send, write down what came of it.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::client::{Answer, Failure, Signed};
use super::deliveries::{self, Claimed, Finished};
use super::endpoints::{self, Failing};
use super::{Client, DeliveryId, DeliveryStatus, Endpoint, Pause, PausedBy, WebhookConfig};
use crate::audit::{self, Action, Actor, Entry};
use crate::clock::{self, Timestamp};
use crate::database::{DatabaseError, Pool, connect};
use crate::events::Event;
use crate::events::http::EventView;
use crate::random;
use kraiter_wire::TenantId;

/// Failing for less than this alone pauses nothing, however short the retries are.
const AT_LEAST: Duration = Duration::from_secs(60);

/// What workers share.
pub(super) struct Post {
    pub(super) pool: Pool,
    pub(super) client: Client,
    pub(super) config: WebhookConfig,
}

/// The body of a request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookPayload)]
pub(crate) struct Payload {
    /// `events`, or `ping` for a test without events.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "events")]
    kind: &'static str,
    /// When this attempt was made.
    timestamp: Timestamp,
    /// As `GET /events` shows them.
    data: Vec<EventView>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("an event cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a request cannot be signed: {0}")]
    Signing(#[from] standardwebhooks::WebhookError),
}

/// Sends events, or a ping without any.
pub(super) async fn send(
    client: &Client,
    endpoint: &Endpoint,
    id: DeliveryId,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<Answer, AttemptError> {
    let payload = Payload {
        kind: match events.is_empty() {
            true => "ping",
            false => "events",
        },
        timestamp: now,
        data: events.into_iter().map(EventView::from).collect(),
    };
    let body = serde_json::to_vec(&payload)?;
    let id = id.to_string();
    let signed = Signed {
        timestamp: now.millis() / 1000,
        signature: endpoint.secrets.sign(&id, now, &body)?,
        body: Bytes::from(body),
        id,
    };
    Ok(client.post(&endpoint.url, signed).await)
}

impl Post {
    /// Once a claim is this old, its replica is taken to be gone.
    pub(super) fn claim_time(&self) -> Duration {
        2 * self.config.timeout + Duration::from_secs(10)
    }

    /// Whether it was accepted, or needed no request.
    pub(super) async fn attempt(
        &self,
        tenant: i32,
        endpoint: &Endpoint,
        claimed: Claimed,
    ) -> Result<bool, AttemptError> {
        let verdicts = endpoint.filter.verdicts.as_ref();
        let verdicts: Option<Vec<i16>> =
            verdicts.map(|all| all.iter().map(|verdict| verdict.number()).collect());
        let db = connect(&self.pool).await?;
        let events = deliveries::load(&db, tenant, &claimed.events, verdicts.as_deref()).await?;
        if events.is_empty() {
            deliveries::drop_empty(&db, tenant, endpoint.id, &claimed).await?;
            return Ok(true);
        }
        drop(db);
        let times: Vec<Timestamp> = events.iter().map(Event::timestamp).collect();
        let answer = send(&self.client, endpoint, claimed.id, events, clock::now()).await?;
        let now = clock::now();
        metrics::histogram!("kraiter_webhook_attempt_seconds").record(answer.took.as_secs_f64());
        let outcome = match &answer.outcome {
            Ok(()) => "accepted",
            Err(failure) => failure.kind(),
        };
        metrics::counter!("kraiter_webhook_attempts_total", "outcome" => outcome).increment(1);
        let finished = self.finished(&claimed, &answer, times.len(), now);
        let db = connect(&self.pool).await?;
        deliveries::finish(&db, tenant, endpoint.id, &claimed, &finished).await?;
        let Err(failure) = &answer.outcome else {
            record(&times, now);
            endpoints::accepted(&db, tenant, endpoint.id, now).await?;
            return Ok(true);
        };
        let error = failure.to_string();
        let failing = endpoints::failed(&db, tenant, endpoint.id, &error, now).await?;
        drop(db);
        let dead = finished.status == DeliveryStatus::Dead;
        if dead {
            metrics::counter!("kraiter_webhook_dead_deliveries_total").increment(1);
        }
        let reason = failing
            .and_then(|failing| self.reason_to_pause(failure, &failing, &claimed, dead, now));
        if let Some(reason) = reason {
            self.pause(tenant, endpoint, reason, now).await?;
        }
        Ok(false)
    }

    fn finished(
        &self,
        claimed: &Claimed,
        answer: &Answer,
        events: usize,
        now: Timestamp,
    ) -> Finished {
        let random = u64::from_le_bytes(random::bytes());
        let retries = &self.config.retries;
        let wait = retries.wait(claimed.attempts, answer.retry_after, random);
        let status = match (&answer.outcome, wait) {
            (Ok(()), _) => DeliveryStatus::Delivered,
            // The endpoint is paused and the delivery waits with it.
            (Err(Failure::Gone), _) | (Err(_), Some(_)) => DeliveryStatus::Pending,
            (Err(_), None) => DeliveryStatus::Dead,
        };
        Finished {
            status,
            sent: answer.outcome.as_ref().ok().map(|()| count(events)),
            next_attempt_at: now.plus(wait.unwrap_or_default()),
            http_status: answer.status.and_then(|status| i16::try_from(status).ok()),
            error: answer.outcome.as_ref().err().map(Failure::to_string),
            took_millis: i32::try_from(answer.took.as_millis()).unwrap_or(i32::MAX),
            now,
        }
    }

    /// An endpoint is paused when a delivery has died and nothing was accepted since its first attempt;
    /// also after half as much time again, in case so much fails that no delivery gets that far.
    fn reason_to_pause(
        &self,
        failure: &Failure,
        failing: &Failing,
        claimed: &Claimed,
        dead: bool,
        now: Timestamp,
    ) -> Option<String> {
        let accepted_since = |time| failing.last_accepted_at.is_some_and(|at| at >= time);
        let total = self.config.retries.total();
        let too_long = now > failing.since.plus(total + total / 2 + AT_LEAST);
        match failure {
            Failure::Gone => Some(failure.to_string()),
            _ if (dead && !accepted_since(claimed.first_attempt_at)) || too_long => Some(format!(
                "nothing was accepted since {}; the last attempt: {failure}",
                failing.since
            )),
            _ => None,
        }
    }

    async fn pause(
        &self,
        tenant: i32,
        endpoint: &Endpoint,
        reason: String,
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        let pause = Pause {
            at: now,
            by: PausedBy::Service,
            reason: Some(reason),
        };
        let mut db = connect(&self.pool).await?;
        let tx = db.transaction().await?;
        if !endpoints::pause(&tx, tenant, endpoint.id, &pause).await? {
            return Ok(());
        }
        let id = u32::try_from(tenant).ok().and_then(TenantId::new);
        let entry = Entry::new(id, Actor::Service, Action::WebhookPaused).about(endpoint.id);
        audit::store::write(&tx, &entry, now).await?;
        tx.commit().await?;
        metrics::counter!("kraiter_webhook_paused_total").increment(1);
        tracing::warn!(tenant, endpoint = %endpoint.id, "a webhook fails and is paused");
        Ok(())
    }
}

fn count(events: usize) -> i32 {
    i32::try_from(events).unwrap_or(i32::MAX)
}

fn record(times: &[Timestamp], now: Timestamp) {
    metrics::counter!("kraiter_webhook_events_total").increment(times.len() as u64);
    let lags = metrics::histogram!("kraiter_webhook_lag_seconds");
    for time in times {
        lags.record(now.millis().saturating_sub(time.millis()) as f64 / 1000.0);
    }
}
