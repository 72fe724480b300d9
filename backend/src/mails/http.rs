//! `POST /rewrite` and `POST /rewrite/batch`.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};

use super::batch;
use super::large::LargeMail;
use super::rewrite::{ReadyMail, RewriteAnswer, Rewriter, address};
use crate::api_keys::{Caller, Render};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::http::{Body, Problem};
use crate::idempotency::{self, Asked, Idempotency, IdempotencyHeader};
use crate::rewriting::{self, PixelPosition};
use crate::sends::Status;
use crate::sends::http::SendRequest;
use crate::tenants::Settings;

/// A mail for one contact.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RewriteRequest {
    /// Made here (`snd_…`) if it is not given: 1 to 64 letters, digits and `. _ : ~ -`. The same id
    /// for the same contact again is the same send.
    send_id: Option<String>,
    /// Address, or the id of a contact that is known.
    #[schema(example = "ada@example.com")]
    contact: String,
    #[schema(example = "spring-sale")]
    campaign: Option<String>,
    /// `sent` if not given. `queued` counts the mail once a later report says that it was sent.
    status: Option<Status>,
    /// When the mail was sent, if not now.
    sent_at: Option<Timestamp>,
    #[schema(example = "<p>Hello! <a href=\"https://example.com/\">Look here.</a></p>")]
    html: String,
    /// The text part. It never gets a pixel, and wrapped links only with `trackText`.
    text: Option<String>,
    /// The mail's own way to unsubscribe, if it has one: a http, https or mailto URL.
    list_unsubscribe: Option<String>,
    #[serde(default)]
    options: RewriteOptions,
    /// Rewrites without registering anything. Its links lead on, but events on them are not kept.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RewriteOptions {
    /// Put the pixel in.
    track_opens: bool,
    /// Wrap links.
    track_clicks: bool,
    /// Wrap URLs of the text part as well.
    track_text: bool,
    /// Leave links alone whose path or query says unsubscribe or opt-out.
    detect_unsubscribe: bool,
    pixel: Pixel,
}

#[derive(Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pixel {
    Bottom,
    Top,
}

impl Default for RewriteOptions {
    fn default() -> Self {
        let rewriting::Options {
            track_opens,
            track_clicks,
            track_text,
            detect_unsubscribe,
            ..
        } = rewriting::Options::default();
        Self {
            track_opens,
            track_clicks,
            track_text,
            detect_unsubscribe,
            pixel: Pixel::Bottom,
        }
    }
}

impl RewriteOptions {
    /// What is done: what was asked for, and nothing where tracking is switched off.
    pub(super) fn allowed_by(&self, settings: &Settings) -> rewriting::Options {
        let on = settings.tracking_enabled;
        rewriting::Options {
            track_opens: self.track_opens && on,
            track_clicks: self.track_clicks && on,
            track_text: self.track_text && on,
            detect_unsubscribe: self.detect_unsubscribe,
            pixel: match self.pixel {
                Pixel::Bottom => PixelPosition::Bottom,
                Pixel::Top => PixelPosition::Top,
            },
        }
    }
}

/// Rewrites one mail: registers the send, signs links and pixel, adds the headers for unsubscribing.
#[utoipa::path(
    operation_id = "rewrite",
    tag = "mail",
    security(("apiKey" = ["render"])),
    extensions(("x-error-codes" = json!(["invalid_email", "mail_too_complex", "unknown_contact", "contact_erased", "send_conflict"]))),
    params(IdempotencyHeader),
    request_body = RewriteRequest,
    responses((status = 200, description = "The mail to send", body = RewriteAnswer<'static>))
)]
#[post("/rewrite")]
pub(crate) async fn post_rewrite(
    backend: Data<Backend>,
    caller: Caller<Render>,
    Idempotency(key): Idempotency,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let now = clock::now();
    let (request, bytes) = body.json_and_bytes::<RewriteRequest>().await?;
    let RewriteRequest {
        send_id,
        contact,
        campaign,
        status,
        sent_at,
        ..
    } = request;
    let mut new = SendRequest {
        send_id,
        contact,
        campaign,
        status,
        sent_at,
    }
    .parse(now)?;
    let tenant = backend.tenant(caller.tenant).await?;
    let base = tenant.settings.tracking_base();
    let options = request.options.allowed_by(&tenant.settings);
    let RewriteRequest {
        html,
        text,
        list_unsubscribe,
        ..
    } = request;
    let mail = ReadyMail::read(html, text, list_unsubscribe, &options, &base)?;
    let asked = Asked {
        tenant: caller.tenant,
        operation: "POST /rewrite",
        body: &bytes,
    };
    // A dry run creates nothing.
    let key = key.filter(|_| !request.dry_run);
    let claim = idempotency::claim_send(key.as_ref(), &backend.pool, &asked, &mut new.id).await?;
    drop(bytes);
    let one = std::slice::from_ref(&new);
    let addressees = address(&backend, caller.tenant, one, request.dry_run, now).await;
    idempotency::release(claim, &backend.pool).await;
    let mut addressees = addressees?;
    let missing = || Problem::internal("a registration without an outcome");
    let addressee = addressees.pop().ok_or_else(missing)??;
    if mail.is_large() {
        let large = LargeMail {
            backend,
            tenant,
            base,
            mail: mail.into(),
            send: new.id,
            to: addressee,
        };
        return Ok(HttpResponse::Ok()
            .content_type("application/json")
            .streaming(large.pieces()));
    }
    let mut answer = Vec::new();
    let mut rewriter = Rewriter::new(&backend, caller.tenant, &tenant.settings, &base)?;
    rewriter.write(&mail, &new.id, &addressee, &mut answer)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(answer))
}

/// Rewrites one mail for many recipients. The first line of the body holds what all share:
/// `{"html", "text"?, "campaign"?, "listUnsubscribe"?, "status"?, "sentAt"?, "options"?,
/// "dryRun"?, "keepPreview"?}`. Each further line is one recipient: `{"contact", "sendId"?}`, and where it differs
/// its own `html`, `text`, `campaign`, `listUnsubscribe`, `status` or `sentAt`. Answers one line for
/// each recipient, in order: what `/rewrite` answers, or `{"error": {…}}` for that line alone.
/// Answers begin before the body has ended. With `keepPreview` the shared `html`, of at most 1 MiB, is
/// kept as the campaign's mail for `GET /campaigns/{name}/preview`, in place of the one before, until the
/// next one or until it is older than `retentionDays`; what single recipients get never is.
#[utoipa::path(
    operation_id = "rewriteBatch",
    tag = "mail",
    security(("apiKey" = ["render"])),
    extensions(
        ("x-lines" = json!({"request": ["BatchHead", "BatchRecipient"], "answer": "BatchAnswer"})),
        ("x-error-codes" = json!(["mail_too_complex", "invalid_json", "invalid_encoding", "missing_field", "unknown_field", "wrong_type", "invalid_value", "body_too_large"])),
    ),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, description = "A line for each recipient", body = String, content_type = "application/x-ndjson"))
)]
#[post("/rewrite/batch")]
pub(crate) async fn post_rewrite_batch(
    backend: Data<Backend>,
    caller: Caller<Render>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let tenant = backend.tenant(caller.tenant).await?;
    let batch = batch::Batch::open(tenant, body.ndjson()?).await?;
    batch.keep_preview(&backend).await?;
    let answers = batch.answers(backend)?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .streaming(answers))
}
