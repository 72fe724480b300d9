//! `/webhooks` and below: endpoints, their secrets, their deliveries.

mod deliveries;
mod view;

use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data, Json as Answer, Path};
use actix_web::{HttpResponse, delete, get, patch, post};
use deadpool_postgres::Transaction;
use kraiter_wire::TenantId;
use serde_json::json;

use super::{
    Endpoint, EndpointId, Health, MAX_ENDPOINTS, Pause, PausedBy, Secret, Secrets, endpoints,
};
use crate::api_keys::{Admin, Caller};
use crate::audit::{self, Action, Entry};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::http::{Body, ErrorCode, Limit, Page, Problem, Query, page};
use crate::idempotency::{self, Asked, Idempotency, IdempotencyHeader};
use crate::{erasure, random};
pub(crate) use deliveries::*;
pub(crate) use view::*;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(get_webhooks)
        .service(post_webhook)
        .service(get_webhook)
        .service(patch_webhook)
        .service(delete_webhook)
        .service(post_webhook_secret)
        .service(post_webhook_pause)
        .service(post_webhook_resume)
        .service(post_webhook_ping)
        .service(get_webhook_deliveries)
        .service(post_webhook_replay);
}

fn unknown(id: &str) -> Problem {
    Problem::new(
        ErrorCode::UnknownWebhook,
        format!("No webhook {id:?}. GET /webhooks lists them."),
    )
}

fn parse_id(text: &str) -> Result<EndpointId, Problem> {
    text.parse().map_err(|()| unknown(text))
}

/// The endpoint with its row locked.
async fn lock(tx: &Transaction<'_>, tenant: TenantId, text: &str) -> Result<Endpoint, Problem> {
    let found = endpoints::lock(tx, tenant, parse_id(text)?).await?;
    found.ok_or_else(|| unknown(text))
}

/// Whether requests may go there as far as that can be told now; told again whenever one does.
async fn check_url(backend: &Backend, url: &super::EndpointUrl) -> Result<(), Problem> {
    match backend.webhooks.refusal(url).await {
        None => Ok(()),
        Some(why) => Err(Problem::new(
            ErrorCode::RefusedUrl,
            format!("Webhooks are not sent to {url}: {why}."),
        )
        .about("url")),
    }
}

/// The tenant's webhooks, oldest first.
#[utoipa::path(
    operation_id = "listWebhooks",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    params(WebhooksQuery),
    responses((status = 200, body = Page<WebhookView>))
)]
#[get("/webhooks")]
pub(crate) async fn get_webhooks(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    Query(query): Query<WebhooksQuery>,
) -> Result<Answer<Page<WebhookView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let after = page::cursor(query.cursor.as_deref())?;
    let client = connect(&backend.pool).await?;
    let tenant = crate::tenants::store::key(caller.tenant);
    let found = endpoints::list(&client, tenant, after, limit.with_lookahead()).await?;
    let page = Page::new(found, limit, |endpoint| endpoint.id.0);
    Ok(Answer(page.map(WebhookView::from)))
}

/// A new webhook. Its secret is shown in this answer and never again. Events that are stored after the
/// answer are sent. With an `Idempotency-Key`, the same request again is answered with the same webhook
/// and the secret that it has then.
#[utoipa::path(
    operation_id = "createWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["refused_url", "too_many_webhooks"]))),
    params(IdempotencyHeader),
    request_body = WebhookRequest,
    responses((status = 201, body = NewWebhookView))
)]
#[post("/webhooks")]
pub(crate) async fn post_webhook(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    Idempotency(key): Idempotency,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let (request, bytes) = body.json_and_bytes::<WebhookRequest>().await?;
    let now = clock::now();
    let wanted = request.parse()?;
    check_url(&backend, &wanted.url).await?;
    let asked = Asked {
        tenant: caller.tenant,
        operation: "POST /webhooks",
        body: &bytes,
    };
    let mut id = EndpointId(random::uuid_v7(now));
    let claim = idempotency::claim(key.as_ref(), &backend.pool, &asked, &id.to_string()).await?;
    if let Some(claim) = &claim {
        id = parse_id(&claim.resource_id)?;
    }
    let made = make(&backend, &caller, id, wanted, now).await;
    idempotency::release(claim, &backend.pool).await;
    let endpoint = made?;
    let secret = endpoint.secrets.current.expose();
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/webhooks/{}", endpoint.id)))
        .insert_header(("cache-control", "no-store"))
        .json(NewWebhookView {
            webhook: endpoint.into(),
            secret,
        }))
}

/// Makes a webhook, unless one of that id is there already.
async fn make(
    backend: &Backend,
    caller: &Caller<Admin>,
    id: EndpointId,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Endpoint, Problem> {
    let endpoint = Endpoint {
        id,
        url: wanted.url,
        description: wanted.description,
        filter: wanted.filter,
        batch_size: wanted.batch_size,
        created_at: now,
        secrets: Secrets {
            current: Secret::random(),
            previous: None,
        },
        pause: None,
        health: Health::default(),
    };
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    // Who stores events asks first whether their tenant has webhooks. With writers kept out until this is
    // committed, none goes by an older answer once ours is given.
    erasure::store::keep_writers_out(&tx).await?;
    if let Some(made_before) = endpoints::find(&tx, caller.tenant, id).await? {
        return Ok(made_before);
    }
    if endpoints::count(&tx, caller.tenant).await? >= MAX_ENDPOINTS {
        return Err(Problem::new(
            ErrorCode::TooManyWebhooks,
            format!("A tenant has {MAX_ENDPOINTS} webhooks at most. Delete one first."),
        ));
    }
    endpoints::insert(&tx, caller.tenant, &endpoint).await?;
    write_down(&tx, caller, Action::WebhookCreated, id, now).await?;
    tx.commit().await?;
    Ok(endpoint)
}

async fn write_down(
    tx: &Transaction<'_>,
    caller: &Caller<Admin>,
    action: Action,
    id: EndpointId,
    now: Timestamp,
) -> Result<(), Problem> {
    let entry = Entry::new(caller.tenant, caller.actor(), action).about(id);
    Ok(audit::store::write(tx, &entry, now).await?)
}

/// One webhook, and how it fares.
#[utoipa::path(
    operation_id = "getWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    responses((status = 200, body = WebhookView))
)]
#[get("/webhooks/{id}")]
pub(crate) async fn get_webhook(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
) -> Result<Answer<WebhookView>, Problem> {
    let id = parse_id(&path)?;
    let client = connect(&backend.pool).await?;
    let found = endpoints::find(&client, caller.tenant, id).await?;
    Ok(Answer(found.ok_or_else(|| unknown(&path))?.into()))
}

/// Changes a webhook. What is pending goes to the new URL.
#[utoipa::path(
    operation_id = "updateWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook", "refused_url"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    request_body = WebhookChange,
    responses((status = 200, body = WebhookView))
)]
#[patch("/webhooks/{id}")]
pub(crate) async fn patch_webhook(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<WebhookView>, Problem> {
    let id = parse_id(&path)?;
    let change: WebhookChange = body.json().await?;
    let change = change.parse()?;
    if let Some(url) = &change.url {
        // Strangers to this webhook learn nothing about where names lead.
        let client = connect(&backend.pool).await?;
        let found = endpoints::find(&client, caller.tenant, id).await?;
        found.ok_or_else(|| unknown(&path))?;
        drop(client);
        check_url(&backend, url).await?;
    }
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let mut endpoint = lock(&tx, caller.tenant, &path).await?;
    let changed = change.apply(&mut endpoint);
    if !changed.is_empty() {
        endpoints::update(&tx, caller.tenant, &endpoint).await?;
        let entry = Entry::new(caller.tenant, caller.actor(), Action::WebhookChanged)
            .about(endpoint.id)
            .with(json!({"fields": changed}));
        audit::store::write(&tx, &entry, clock::now()).await?;
    }
    tx.commit().await?;
    Ok(Answer(endpoint.into()))
}

/// Deletes a webhook with its deliveries, also those that are pending.
#[utoipa::path(
    operation_id = "deleteWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    responses((status = 204))
)]
#[delete("/webhooks/{id}")]
pub(crate) async fn delete_webhook(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let endpoint = lock(&tx, caller.tenant, &path).await?;
    endpoints::delete(&tx, caller.tenant, endpoint.id).await?;
    let now = clock::now();
    write_down(&tx, &caller, Action::WebhookDeleted, endpoint.id, now).await?;
    tx.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A new secret, shown in this answer and never again. The old one signs beside it for as long as is
/// asked, so that receivers can change over.
#[utoipa::path(
    operation_id = "rotateWebhookSecret",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    request_body = Option<RotationRequest>,
    responses((status = 200, body = RotationView))
)]
#[post("/webhooks/{id}/secret")]
pub(crate) async fn post_webhook_secret(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let request: RotationRequest = body.json_or_default().await?;
    let overlap = request.overlap()?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let endpoint = lock(&tx, caller.tenant, &path).await?;
    let now = clock::now();
    let until = now.plus(overlap);
    let secrets = Secrets {
        current: Secret::random(),
        previous: (!overlap.is_zero()).then_some((endpoint.secrets.current, until)),
    };
    endpoints::set_secrets(&tx, caller.tenant, endpoint.id, &secrets).await?;
    write_down(&tx, &caller, Action::WebhookSecretRotated, endpoint.id, now).await?;
    tx.commit().await?;
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(RotationView {
            secret: secrets.current.expose(),
            previous_secret_until: secrets.previous.map(|(_, until)| until),
        }))
}

/// Sends nothing to this webhook until it is resumed. What it wants is kept for it, as long as deliveries
/// are.
#[utoipa::path(
    operation_id = "pauseWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook", "invalid_json", "wrong_type", "unknown_field", "body_too_large", "invalid_encoding"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    responses((status = 200, body = WebhookView))
)]
#[post("/webhooks/{id}/pause")]
pub(crate) async fn post_webhook_pause(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<WebhookView>, Problem> {
    body.nothing().await?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let mut endpoint = lock(&tx, caller.tenant, &path).await?;
    if endpoint.pause.is_none() {
        let now = clock::now();
        let pause = Pause {
            at: now,
            by: PausedBy::Tenant,
            reason: None,
        };
        let tenant = crate::tenants::store::key(caller.tenant);
        endpoints::pause(&tx, tenant, endpoint.id, &pause).await?;
        write_down(&tx, &caller, Action::WebhookPaused, endpoint.id, now).await?;
        endpoint.pause = Some(pause);
    }
    tx.commit().await?;
    Ok(Answer(endpoint.into()))
}

/// Sends again: what is pending goes at once, with all attempts before it, whoever has paused it.
#[utoipa::path(
    operation_id = "resumeWebhook",
    tag = "webhooks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_webhook", "invalid_json", "wrong_type", "unknown_field", "body_too_large", "invalid_encoding"]))),
    params(("id" = String, Path, description = "The webhook's id", example = "whk_AZmzxNXmf4ChssPU5fYHGA")),
    responses((status = 200, body = WebhookView))
)]
#[post("/webhooks/{id}/resume")]
pub(crate) async fn post_webhook_resume(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<WebhookView>, Problem> {
    body.nothing().await?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let mut endpoint = lock(&tx, caller.tenant, &path).await?;
    if endpoint.pause.is_some() {
        let now = clock::now();
        endpoints::resume(&tx, caller.tenant, endpoint.id).await?;
        super::deliveries::start_over(&tx, caller.tenant, endpoint.id, now).await?;
        write_down(&tx, &caller, Action::WebhookResumed, endpoint.id, now).await?;
        endpoint.pause = None;
        endpoint.health.failures = 0;
        endpoint.health.failing_since = None;
    }
    tx.commit().await?;
    Ok(Answer(endpoint.into()))
}
