//! The log of deliveries, replaying dead ones, and a test.

use actix_web::web::{Data, Json as Answer, Path};
use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::super::{Delivery, DeliveryId, DeliveryStatus, attempt, deliveries, endpoints};
use super::{lock, parse_id, unknown};
use crate::api_keys::{Admin, Caller};
use crate::audit::{self, Action, Entry};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::events::time_of;
use crate::http::query::parameter;
use crate::http::{Body, ErrorCode, Limit, Page, Problem, Query, page};
use crate::random;

/// Deliveries that one request can name.
const MAX_NAMED: usize = 1000;

/// One request to a webhook, with all its attempts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookDelivery)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView {
    /// The header `webhook-id` of every attempt.
    #[schema(example = "dlv_AZmzxNXmf4ChssPU5fYHGA")]
    id: String,
    status: DeliveryStatus,
    created_at: Timestamp,
    /// Events in it.
    events: i32,
    attempts: i32,
    /// Of those that are pending; while an attempt is under way, when it would be made again.
    #[schema(required = true)]
    next_attempt_at: Option<Timestamp>,
    #[schema(required = true)]
    last_attempt_at: Option<Timestamp>,
    /// How long the receiver took.
    #[schema(required = true)]
    last_duration_millis: Option<i32>,
    /// The last HTTP status of the receiver.
    #[schema(required = true)]
    last_status: Option<i16>,
    #[schema(required = true, example = "the receiver answered 500")]
    last_error: Option<String>,
    #[schema(required = true)]
    delivered_at: Option<Timestamp>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let is_pending = delivery.status == DeliveryStatus::Pending;
        Self {
            id: delivery.id.to_string(),
            status: delivery.status,
            created_at: time_of(delivery.id.0),
            events: delivery.events,
            attempts: delivery.attempts,
            next_attempt_at: is_pending.then_some(delivery.next_attempt_at),
            last_attempt_at: delivery.last_attempt_at,
            last_duration_millis: delivery.last_duration_millis,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            delivered_at: delivery.delivered_at,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    /// Only `pending`, `delivered` or `dead` ones.
    #[param(value_type = Option<DeliveryStatus>, example = "dead")]
    status: Option<String>,
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The webhook's deliveries, newest first.
#[utoipa::path(
    operation_id = "listWebhookDeliveries",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook"]))),
    params(
        ("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA"),
        DeliveriesQuery,
    ),
    responses((status = 200, body = Page<DeliveryView>))
)]
#[get("/webhooks/{id}/deliveries")]
pub(crate) async fn get_webhook_deliveries(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Answer<Page<DeliveryView>>, Problem> {
    let id = parse_id(&path)?;
    let limit = Limit::parse(query.limit.as_deref())?;
    let before = page::cursor(query.cursor.as_deref())?;
    let status = query.status.as_deref();
    let status = status.map(|text| parameter::<DeliveryStatus>("status", text));
    let status = status.transpose()?;
    let client = connect(&backend.pool).await?;
    if endpoints::find(&client, caller.tenant, id).await?.is_none() {
        return Err(unknown(&path));
    }
    let lookahead = limit.with_lookahead();
    let found = deliveries::list(&client, caller.tenant, id, status, before, lookahead).await?;
    let page = Page::new(found, limit, |delivery| delivery.id.0);
    Ok(Answer(page.map(DeliveryView::from)))
}

/// Which deliveries to send again.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"deliveries": ["dlv_AZmzxNXmf4ChssPU5fYHGA"]}))]
pub(crate) struct ReplayRequest {
    /// Up to 1000 ids; all that are dead if not given.
    deliveries: Option<Vec<String>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookReplay)]
pub(crate) struct ReplayView {
    /// Deliveries that were dead and are pending now.
    replayed: u64,
}

/// Sends dead deliveries again, with all attempts before them. Others are left as they are.
#[utoipa::path(
    operation_id = "replayWebhookDeliveries",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    request_body = Option<ReplayRequest>,
    responses((status = 200, body = ReplayView))
)]
#[post("/webhooks/{id}/replay")]
pub(crate) async fn post_webhook_replay(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<ReplayView>, Problem> {
    let request: ReplayRequest = body.json_or_default().await?;
    let only = request.deliveries.map(ids).transpose()?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let endpoint = lock(&tx, caller.tenant, &path).await?;
    let now = clock::now();
    let only = only.as_deref();
    let replayed = deliveries::replay(&tx, caller.tenant, endpoint.id, only, now).await?;
    if replayed > 0 {
        let entry = Entry::new(caller.tenant, caller.actor(), Action::WebhookReplayed)
            .about(endpoint.id)
            .with(json!({"deliveries": replayed}));
        audit::store::write(&tx, &entry, now).await?;
    }
    tx.commit().await?;
    Ok(Answer(ReplayView { replayed }))
}

fn ids(texts: Vec<String>) -> Result<Vec<Uuid>, Problem> {
    if texts.len() > MAX_NAMED {
        let detail = format!("deliveries names more than {MAX_NAMED}; leave it out for all.");
        return Err(Problem::invalid("deliveries", detail));
    }
    let id = |text: &String| match text.parse() {
        Ok(DeliveryId(id)) => Ok(id),
        Err(()) => Err(Problem::invalid(
            "deliveries",
            format!("{text:?} is not a delivery's id; it looks like dlv_…."),
        )),
    };
    texts.iter().map(id).collect()
}

/// What the receiver said to a test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookPing)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PingView {
    accepted: bool,
    /// The HTTP status, if there was an answer.
    #[schema(required = true)]
    status: Option<u16>,
    /// Why it was not accepted.
    #[schema(required = true, example = "no answer within 15 s")]
    error: Option<String>,
    duration_millis: u64,
}

/// Sends a request of type `ping` without events, signed like any other, and says what came of it. Also
/// while the webhook is paused. It is not in the log and not tried again.
#[utoipa::path(
    operation_id = "pingWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook", "saturated", "invalid_json", "wrong_type", "unknown_field", "body_too_large", "invalid_encoding"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    responses((status = 200, body = PingView))
)]
#[post("/webhooks/{id}/ping")]
pub(crate) async fn post_webhook_ping(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<PingView>, Problem> {
    body.nothing().await?;
    let id = parse_id(&path)?;
    let client = connect(&backend.pool).await?;
    let endpoint = endpoints::find(&client, caller.tenant, id).await?;
    let endpoint = endpoint.ok_or_else(|| unknown(&path))?;
    drop(client);
    let Some(_room) = backend.webhooks.room_for_a_test() else {
        let detail = "Too many webhooks are being tested right now.";
        return Err(Problem::new(ErrorCode::Saturated, detail).retry_after(5));
    };
    let now = clock::now();
    let delivery = DeliveryId(random::uuid_v7(now));
    let sent = attempt::send(&backend.webhooks, &endpoint, delivery, Vec::new(), now).await;
    let answer = sent.map_err(Problem::internal)?;
    Ok(Answer(PingView {
        accepted: answer.outcome.is_ok(),
        status: answer.status,
        error: answer.outcome.err().map(|failure| failure.to_string()),
        duration_millis: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    }))
}
