//! `GET /events/stream`: server-sent events.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use bytes::Bytes;
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::hub::{Listener, PER_REPLICA, PER_TENANT, Refused};
use super::{Sent, Skipped, WINDOW, Why, matches};
use crate::api_keys::{self, Caller, Read};
use crate::backend::Backend;
use crate::clock;
use crate::contacts;
use crate::database::{DatabaseError, connect};
use crate::events::http::Selection;
use crate::events::{EventFilter, EventType, store, time_of};
use crate::http::query::invalid_parameter;
use crate::http::{ErrorCode, Problem, Query};
use crate::verdicts::Verdict;

/// Says that the stream is alive, and finds out that its reader is not; what the key may is asked anew.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Events that are made up for after a listener was away.
const MADE_UP: usize = 1_000;
/// The database is asked once before a stream begins.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// What clients wait before they come back.
const HELLO: &[u8] = b"retry: 2000\n\n";
const ALIVE: &[u8] = b": alive\n\n";

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StreamQuery {
    /// One event type, or several with commas between them.
    #[serde(rename = "type")]
    #[param(value_type = Option<Vec<EventType>>, style = Form, explode = false, example = json!(["email.opened", "email.clicked"]))]
    kind: Option<String>,
    /// Only opens and clicks with one of these verdicts: `human`, `machine`, `suspect`, with commas
    /// between them.
    #[param(value_type = Option<Vec<Verdict>>, style = Form, explode = false, example = json!(["human", "suspect"]))]
    verdict: Option<String>,
    send_id: Option<String>,
    /// Address or id of a contact that is known.
    contact: Option<String>,
    campaign: Option<String>,
}

/// Events as they arrive, as server-sent events: `id:` is the event's id, `data:` what `GET /events`
/// shows of it, with the verdict that it has then. A comment every ten seconds says that the stream
/// lives. It begins with what arrives from now on, and ends when the service stops or the key is
/// revoked.
///
/// Sent is what arrives within a minute of happening, a second or two later, from whichever replica took
/// it. What arrives later than that, or faster than a thousand a second for long, is not sent but
/// counted: `event: skipped` with `{"reason": "late", "count", "from"}`, of all events of the tenant,
/// which `GET /events?from=` has. So is what a reader was too slow for (`slow`). What is more than a day
/// old when it arrives, as out of an old journal, is not even counted.
///
/// Come back with `Last-Event-ID` and what happened since is sent first, from a minute before that event
/// on, so some may come twice: their ids tell. No more than the newest 1000 are; `skipped` with the
/// reason `away` says that there were others. What arrived late meanwhile is not counted.
#[utoipa::path(
    operation_id = "streamEvents",
    tag = "events",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email", "too_many_streams", "saturated", "query_too_slow"]))),
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was received"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "Server-sent events"),
    )
)]
#[get("/events/stream")]
pub(crate) async fn get_stream(
    backend: Data<Backend>,
    caller: Caller<Read>,
    request: HttpRequest,
    Query(query): Query<StreamQuery>,
) -> Result<HttpResponse, Problem> {
    let mut filter = Selection {
        kind: query.kind.as_deref(),
        verdict: query.verdict.as_deref(),
        send_id: query.send_id.as_deref(),
        campaign: query.campaign.as_deref(),
    }
    .parse()?;
    let last = last_event_id(&request)?;
    if let Some(contact) = query.contact.as_deref() {
        let client = connect(&backend.pool).await?;
        let contact = contacts::http::find(&client, caller.tenant, contact).await?;
        filter.contact = Some(contact.id);
    }
    let mut listener = backend.streams.listen(caller.tenant).map_err(refused)?;
    // From here on nothing is missed that arrives.
    let ready = tokio::time::timeout(READY_WITHIN, listener.ready.wait_for(|ready| *ready));
    if !matches!(ready.await, Ok(Ok(_))) {
        let detail = "The database cannot be asked for new events. Try again.";
        return Err(Problem::new(ErrorCode::DatabaseUnavailable, detail).retry_after(5));
    }
    let made_up = match last {
        Some(last) => MadeUp::since(&backend, &caller, &filter, last).await?,
        None => MadeUp::default(),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Proxies that collect answers before they pass them on are asked not to.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(frames(backend, caller, listener, filter, made_up)))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<Uuid>, Problem> {
    let Some(value) = request.headers().get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| {
        invalid_parameter(
            "Last-Event-ID",
            &"it is the id of an event, unchanged, or left out",
        )
    })
}

fn refused(why: Refused) -> Problem {
    match why {
        Refused::TenantFull => {
            let detail = format!(
                "{PER_TENANT} streams are open, which is as many as one replica serves a tenant. Close some."
            );
            Problem::new(ErrorCode::TooManyStreams, detail).retry_after(30)
        }
        Refused::ReplicaFull => {
            let detail =
                format!("This replica serves {PER_REPLICA} streams and no more. Try again.");
            Problem::new(ErrorCode::Saturated, detail).retry_after(30)
        }
        Refused::Closed => {
            Problem::new(ErrorCode::Saturated, "The service is stopping. Try again.").retry_after(2)
        }
    }
}

/// What happened while a listener was away.
#[derive(Default)]
struct MadeUp {
    frames: Vec<Bytes>,
    ids: HashSet<Uuid>,
}

impl MadeUp {
    async fn since(
        backend: &Backend,
        caller: &Caller<Read>,
        filter: &EventFilter,
        last: Uuid,
    ) -> Result<Self, Problem> {
        let from = time_of(last).minus(WINDOW);
        let filter = EventFilter {
            from: Some(from),
            ..filter.clone()
        };
        let client = connect(&backend.pool).await?;
        let events = store::list(&client, caller.tenant, &filter, MADE_UP as i64 + 1).await;
        let mut events = events.map_err(|error: DatabaseError| {
            Problem::of_question(error, "Come back without Last-Event-ID.")
        })?;
        let mut made_up = Self::default();
        if events.len() > MADE_UP {
            events.truncate(MADE_UP);
            let skipped = Skipped {
                reason: Why::Away,
                count: None,
                from,
            };
            made_up.frames.push(skipped.frame());
        }
        for event in events.into_iter().rev().filter(|event| event.id != last) {
            made_up.ids.insert(event.id);
            if let Sent::Event { frame, .. } = Sent::event(event) {
                made_up.frames.push(frame);
            }
        }
        Ok(made_up)
    }
}

/// What the listener's loop does next.
enum Step {
    Send(Arc<Sent>),
    Slow(u64),
    Heartbeat,
    End,
}

fn frames(
    backend: Data<Backend>,
    caller: Caller<Read>,
    mut listener: Listener,
    filter: EventFilter,
    mut made_up: MadeUp,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        yield Ok(Bytes::from_static(HELLO));
        for frame in std::mem::take(&mut made_up.frames) {
            yield Ok(frame);
        }
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.reset();
        loop {
            match step(&mut listener, &mut heartbeat).await {
                Step::Send(sent) => match &*sent {
                    Sent::Skipped(frame) => yield Ok(frame.clone()),
                    Sent::Event { event, frame } => {
                        if matches(&filter, event) && !made_up.ids.remove(&event.id) {
                            yield Ok(frame.clone());
                        }
                    }
                },
                Step::Slow(count) => {
                    metrics::counter!("kraiter_event_stream_skipped_total", "reason" => "slow")
                        .increment(count);
                    let from = clock::now().minus(WINDOW);
                    let count = Some(count);
                    yield Ok(Skipped { reason: Why::Slow, count, from }.frame());
                }
                Step::Heartbeat => {
                    if is_revoked(&backend, &caller).await {
                        break;
                    }
                    yield Ok(Bytes::from_static(ALIVE));
                }
                Step::End => break,
            }
        }
    }
}

async fn step(listener: &mut Listener, heartbeat: &mut tokio::time::Interval) -> Step {
    tokio::select! {
        biased;
        _ = listener.closed.wait_for(|closed| *closed) => Step::End,
        _ = heartbeat.tick() => Step::Heartbeat,
        received = listener.events.recv() => match received {
            Ok(sent) => Step::Send(sent),
            Err(RecvError::Lagged(count)) => Step::Slow(count),
            Err(RecvError::Closed) => Step::End,
        },
    }
}

/// A database that does not answer revokes nothing.
async fn is_revoked(backend: &Backend, caller: &Caller<Read>) -> bool {
    let Ok(client) = connect(&backend.pool).await else {
        return false;
    };
    let revoked = api_keys::store::is_revoked(&client, caller.tenant, caller.key()).await;
    revoked.unwrap_or(false)
}
