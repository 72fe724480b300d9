//! `POST /sends`, `GET` and `PATCH /sends/{id}`, `POST /sends/status`.

use std::time::Duration;

use actix_web::web::{Data, Json as Answer, Path};
use actix_web::{HttpResponse, get, patch, post};
use kraiter_wire::{SendId, TenantId};
use serde::Deserialize;

use super::registration::{NewSend, Refusal, Registered, Report, register_all};
use super::view::SendView;
use super::{Status, status_stream};
use crate::api_keys::{Caller, Read, Render};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::http::{Body, ErrorCode, Problem};
use crate::idempotency::{self, Asked, Idempotency, IdempotencyHeader};
use crate::{contacts, random};

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
    params(IdempotencyHeader),
    request_body = SendRequest,
    responses(
        (status = 200, body = SendView),
    )
)]
#[post("/sends")]
pub(crate) async fn post_send(
    backend: Data<Backend>,
    caller: Caller<Render>,
    Idempotency(key): Idempotency,
    body: Body,
) -> Result<Answer<SendView>, Problem> {
    let now = clock::now();
    let (request, bytes) = body.json_and_bytes::<SendRequest>().await?;
    let mut new = request.parse(now)?;
    let asked = Asked {
        tenant: caller.tenant,
        operation: "POST /sends",
        body: &bytes,
    };
    let claim = idempotency::claim_send(key.as_ref(), &backend.pool, &asked, &mut new.id).await?;
    let done = async {
        register_one(&backend, caller.tenant, &new, now).await?;
        let client = connect(&backend.pool).await?;
        SendView::load(&client, caller.tenant, new.id.as_str()).await
    };
    let done = done.await;
    idempotency::release(claim, &backend.pool).await;
    Ok(Answer(done?))
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
