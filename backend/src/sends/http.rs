//! `POST /sends`, `GET` and `PATCH /sends/{id}`, `POST /sends/status`.

use std::time::Duration;

use actix_web::web::{Data, Json as Answer, Path};
use actix_web::{HttpResponse, get, patch, post};
use futures_util::try_join;
use kraiter_wire::{ContactId, SendId, TenantId};
use serde::{Deserialize, Serialize};

use super::registration::{NewSend, Refusal, Registered, Report, register_all};
use super::{Send, Status, status_stream, store};
use crate::api_keys::{Caller, Read, Render};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::events::http::EventView;
use crate::events::{self, Event, EventFilter, EventType};
use crate::http::{Body, ErrorCode, Problem};
use crate::{contacts, random};

/// Opens and clicks shown with a send; all of them are in `GET /events?sendId=`.
const MAX_EVENTS_SHOWN: i64 = 1000;

/// A reported time may lie this far ahead of our clock, and this many days back.
const MAX_AHEAD: Duration = Duration::from_secs(3600);
const MAX_BACK: Duration = Duration::from_secs(3650 * 86_400);

/// A mail to one contact that is not rewritten, such as a plain-text one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SendRequest {
    /// Made here (`snd_…`) if it is not given: 1 to 64 letters, digits and `. _ : ~ -`.
    pub(crate) send_id: Option<String>,
    /// Address, or the id of a contact that is known.
    #[schema(example = "ada@example.com")]
    pub(crate) contact: String,
    #[schema(example = "spring-sale")]
    pub(crate) campaign: Option<String>,
    /// `sent` if not given. `queued` counts it once a later report says that it was sent.
    pub(crate) status: Option<Status>,
    /// When it was sent, if not now.
    pub(crate) sent_at: Option<Timestamp>,
}

impl SendRequest {
    pub(crate) fn parse(self, now: Timestamp) -> Result<NewSend, Problem> {
        let id = match self.send_id {
            Some(id) => SendId::parse(id)
                .map_err(|error| Problem::invalid("sendId", format!("{error}.")))?,
            None => SendId::from_uuid(random::uuid_v7(now)),
        };
        let campaign = self.campaign.map(|campaign| {
            campaign
                .parse()
                .map_err(|error| Problem::invalid("campaign", format!("{error}.")))
        });
        Ok(NewSend {
            id,
            contact: contacts::http::parse(&self.contact)?,
            campaign: campaign.transpose()?,
            status: self.status.unwrap_or(Status::Sent),
            sent_at: self
                .sent_at
                .map(|at| check_time("sentAt", at, now))
                .transpose()?,
        })
    }
}

pub(crate) fn check_time(field: &str, at: Timestamp, now: Timestamp) -> Result<Timestamp, Problem> {
    if at > now.plus(MAX_AHEAD) {
        return Err(Problem::invalid(
            field,
            format!("{at} is more than an hour ahead."),
        ));
    }
    if at < now.minus(MAX_BACK) {
        return Err(Problem::invalid(
            field,
            format!("{at} is more than ten years ago."),
        ));
    }
    Ok(at)
}

/// Registers sends in one transaction.
pub(crate) async fn register_group(
    backend: &Backend,
    tenant: TenantId,
    new: &[NewSend],
    now: Timestamp,
) -> Result<Vec<Result<Registered, Problem>>, Problem> {
    let times = new.iter().map(|new| new.sent_at.unwrap_or(now));
    let register = async || {
        let mut client = connect(&backend.pool).await?;
        let tx = client.transaction().await?;
        let outcomes = register_all(&tx, tenant, new, now).await?;
        tx.commit().await?;
        Ok(outcomes)
    };
    let outcomes = backend
        .partitions
        .with(&backend.pool, times, register)
        .await?;
    let explained = outcomes.into_iter().zip(new);
    Ok(explained
        .map(|(outcome, new)| outcome.map_err(|why| refused(why, new)))
        .collect())
}

/// Registers a send in a transaction of its own.
pub(crate) async fn register_one(
    backend: &Backend,
    tenant: TenantId,
    new: &NewSend,
    now: Timestamp,
) -> Result<Registered, Problem> {
    let mut outcomes = register_group(backend, tenant, std::slice::from_ref(new), now).await?;
    outcomes
        .pop()
        .ok_or_else(|| Problem::internal("a registration without an outcome"))?
}

pub(crate) fn refused(why: Refusal, new: &NewSend) -> Problem {
    match why {
        Refusal::UnknownContact => Problem::new(
            ErrorCode::UnknownContact,
            "No contact with this id. Give the address to make a new one.",
        )
        .about("contact"),
        Refusal::Erased => Problem::new(
            ErrorCode::ContactErased,
            "The contact with this id was erased for good. Give the address to make a new one.",
        )
        .about("contact"),
        Refusal::Conflict => Problem::new(
            ErrorCode::SendConflict,
            format!(
                "The send {} was registered for another contact. Each mail needs its own id.",
                new.id
            ),
        )
        .about("sendId"),
    }
}

/// A send with what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Send)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendView {
    #[schema(example = "snd_AaIJwhlqfVKlWImkRFn1qg")]
    id: String,
    /// The contact's address; `null` if only the id is known.
    #[schema(required = true)]
    contact: Option<String>,
    #[schema(value_type = String, example = "con_AZmzxNXmf4ChssPU5fYHGA")]
    contact_id: ContactId,
    #[schema(required = true)]
    campaign: Option<String>,
    status: Status,
    registered_at: Timestamp,
    #[schema(required = true)]
    sent_at: Option<Timestamp>,
    #[schema(required = true)]
    failed_at: Option<Timestamp>,
    #[schema(required = true)]
    delivered_at: Option<Timestamp>,
    #[schema(required = true)]
    bounced_at: Option<Timestamp>,
    #[schema(required = true)]
    complained_at: Option<Timestamp>,
    /// The first open.
    #[schema(required = true)]
    opened_at: Option<Timestamp>,
    /// The first click. A click does not imply an open.
    #[schema(required = true)]
    clicked_at: Option<Timestamp>,
    #[schema(required = true)]
    unsubscribed_at: Option<Timestamp>,
    /// The first open that a person made, as far as the rules can tell.
    #[schema(required = true)]
    human_opened_at: Option<Timestamp>,
    #[schema(required = true)]
    human_clicked_at: Option<Timestamp>,
    opens_count: i64,
    clicks_count: i64,
    /// Of the opens, those that a person made.
    human_opens_count: i64,
    human_clicks_count: i64,
    /// Of the opens, those of machines. What is neither is suspect.
    machine_opens_count: i64,
    machine_clicks_count: i64,
    /// The newest 1000, oldest first.
    opens: Vec<EventView>,
    /// The newest 1000, oldest first.
    clicks: Vec<EventView>,
}

impl SendView {
    pub(crate) async fn load(
        client: &crate::database::Client,
        tenant: TenantId,
        id: &str,
    ) -> Result<Self, Problem> {
        // On one connection, one after the other, and without waiting in between.
        let (send, events) = try_join!(
            store::find(client, tenant, id),
            events::store::of_send(client, tenant, id, MAX_EVENTS_SHOWN)
        )?;
        let send = send.ok_or_else(|| unknown(id))?;
        let all_there = i64::try_from(events.len()).is_ok_and(|count| count < MAX_EVENTS_SHOWN);
        let (opens, clicks) = match all_there {
            true => events
                .into_iter()
                .partition(|event| event.kind == EventType::Opened),
            false => {
                let filter = |kind| EventFilter {
                    kinds: Some(vec![kind]),
                    send: Some(id.to_owned()),
                    contact: Some(send.contact_id),
                    ..EventFilter::default()
                };
                let (opens, clicks) = (filter(EventType::Opened), filter(EventType::Clicked));
                let list = |filter| events::store::list(client, tenant, filter, MAX_EVENTS_SHOWN);
                try_join!(list(&opens), list(&clicks))?
            }
        };
        let views = |events: Vec<Event>| {
            let of_send = events.into_iter().rev().map(|event| Event {
                email: send.email.clone(),
                campaign: send.campaign.clone(),
                ..event
            });
            of_send.map(EventView::from).collect()
        };
        let (opens, clicks) = (views(opens), views(clicks));
        Ok(Self::new(send, opens, clicks))
    }

    fn new(send: Send, opens: Vec<EventView>, clicks: Vec<EventView>) -> Self {
        Self {
            id: send.id,
            contact: send.email,
            contact_id: send.contact_id,
            campaign: send.campaign,
            status: send.progress.status,
            registered_at: send.registered_at,
            sent_at: send.progress.sent_at,
            failed_at: send.progress.failed_at,
            delivered_at: send.progress.delivered_at,
            bounced_at: send.progress.bounced_at,
            complained_at: send.progress.complained_at,
            opened_at: send.opened_at,
            clicked_at: send.clicked_at,
            unsubscribed_at: send.unsubscribed_at,
            human_opened_at: send.human_opened_at,
            human_clicked_at: send.human_clicked_at,
            opens_count: send.opens_count,
            clicks_count: send.clicks_count,
            human_opens_count: send.human_opens_count,
            human_clicks_count: send.human_clicks_count,
            machine_opens_count: send.machine_opens_count,
            machine_clicks_count: send.machine_clicks_count,
            opens,
            clicks,
        }
    }
}

pub(crate) fn unknown(id: &str) -> Problem {
    Problem::new(
        ErrorCode::UnknownSend,
        format!("No send {id:?}. Register it by POST /rewrite or POST /sends."),
    )
}

/// Registers a send that is not rewritten. The same id for the same contact again is the same send.
#[utoipa::path(
    operation_id = "createSend",
    tag = "sends",
    security(("apiKey" = ["render"])),
    extensions(("x-error-codes" = json!(["invalid_email", "unknown_contact", "contact_erased", "send_conflict"]))),
    request_body = SendRequest,
    responses(
        (status = 200, body = SendView),
    )
)]
#[post("/sends")]
pub(crate) async fn post_send(
    backend: Data<Backend>,
    caller: Caller<Render>,
    body: Body,
) -> Result<Answer<SendView>, Problem> {
    let now = clock::now();
    let new = body.json::<SendRequest>().await?.parse(now)?;
    register_one(&backend, caller.tenant, &new, now).await?;
    let client = connect(&backend.pool).await?;
    Ok(Answer(
        SendView::load(&client, caller.tenant, new.id.as_str()).await?,
    ))
}

/// A send with its opens and clicks.
#[utoipa::path(
    operation_id = "getSend",
    tag = "sends",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_send"]))),
    params(("id" = String, Path, description = "The send's id")),
    responses(
        (status = 200, body = SendView),
    )
)]
#[get("/sends/{id}")]
pub(crate) async fn get_send(
    backend: Data<Backend>,
    caller: Caller<Read>,
    path: Path<String>,
) -> Result<Answer<SendView>, Problem> {
    let id = known_as(&path)?;
    let client = connect(&backend.pool).await?;
    Ok(Answer(
        SendView::load(&client, caller.tenant, id.as_str()).await?,
    ))
}

/// A text that cannot be a send's id is no send's.
fn known_as(text: &str) -> Result<SendId<'_>, Problem> {
    SendId::parse(text).map_err(|_| unknown(text))
}

/// What a mail server reports of a send.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StatusChange {
    status: Status,
    /// When it happened, if not now.
    timestamp: Option<Timestamp>,
}

/// Reports a send's status. A repeated report changes nothing; a late one never takes a bounce or
/// complaint back.
#[utoipa::path(
    operation_id = "updateSend",
    tag = "sends",
    security(("apiKey" = ["render"])),
    extensions(("x-error-codes" = json!(["unknown_send"]))),
    params(("id" = String, Path, description = "The send's id")),
    request_body = StatusChange,
    responses(
        (status = 200, body = SendView),
    )
)]
#[patch("/sends/{id}")]
pub(crate) async fn patch_send(
    backend: Data<Backend>,
    caller: Caller<Render>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<SendView>, Problem> {
    let now = clock::now();
    let id = known_as(&path)?;
    let change: StatusChange = body.json().await?;
    let at = change
        .timestamp
        .map(|at| check_time("timestamp", at, now))
        .transpose()?
        .unwrap_or(now);
    let report = Report {
        send: id.as_str().to_owned(),
        status: change.status,
        at,
    };
    let sends = status_stream::store_group(&backend, caller.tenant, &[report]).await?;
    if sends.is_empty() {
        return Err(unknown(&path));
    }
    let client = connect(&backend.pool).await?;
    Ok(Answer(SendView::load(&client, caller.tenant, &path).await?))
}

/// Reports in bulk: one JSON object a line, `{"sendId","status","timestamp"?}`. Answers a line for
/// each, in order: `{"sendId","status"}` with the status that the send has now, or `{"sendId"?,
/// "error"}`.
#[utoipa::path(
    operation_id = "reportStatuses",
    tag = "sends",
    security(("apiKey" = ["render"])),
    extensions(("x-lines" = json!({"request": ["StatusReport"], "answer": "StatusReportAnswer"}))),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson"),
    )
)]
#[post("/sends/status")]
pub(crate) async fn post_statuses(
    backend: Data<Backend>,
    caller: Caller<Render>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let answers = status_stream::answer(backend, caller.tenant, body.ndjson()?);
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .streaming(answers))
}
