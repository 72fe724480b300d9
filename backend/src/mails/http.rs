//! `POST /rewrite`.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use kraiter_wire::{ContactId, Day, SendId, TenantId};
use serde::{Deserialize, Serialize};

use super::{OwnUnsubscribe, Warning};
use crate::api_keys::{Caller, Render};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::contacts::{self, Contact};
use crate::database::connect;
use crate::http::problem::ProblemDocument;
use crate::http::{Body, ErrorCode, Problem};
use crate::random;
use crate::rewriting::{
    self, LinkReport, PixelPosition, Plan, Recipient, RewriteError, Rules, Scratch,
};
use crate::sends::Status;
use crate::sends::http::{SendRequest, register_one};
use crate::sends::registration::NewSend;
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
    fn allowed_by(&self, settings: &Settings) -> rewriting::Options {
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

/// The mail to send.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RewriteAnswer<'a> {
    #[schema(value_type = String)]
    send_id: &'a SendId<'a>,
    #[schema(value_type = String)]
    contact_id: ContactId,
    html: &'a str,
    /// As it came, unless `trackText` was asked for; absent if the request had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// Headers that the mail should have.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: BTreeMap<&'static str, String>,
    /// Every link in document order: `{index, source, url, trackedUrl}`, or `{source, url?, skipped}`
    /// with the reason why it was left as it is.
    #[schema(value_type = Vec<Object>)]
    links: Vec<LinkReport<'a>>,
    warnings: Vec<Warning>,
}

/// Rewrites one mail: registers the send, signs links and pixel, adds the headers for unsubscribing.
#[utoipa::path(
    tag = "mail",
    security(("apiKey" = ["render"])),
    request_body = RewriteRequest,
    responses(
        (status = 200, body = RewriteAnswer<'static>),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
#[post("/rewrite")]
pub(crate) async fn post_rewrite(
    backend: Data<Backend>,
    caller: Caller<Render>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let now = clock::now();
    let RewriteRequest {
        send_id,
        contact,
        campaign,
        status,
        sent_at,
        html,
        text,
        list_unsubscribe,
        options,
        dry_run,
    } = body.json().await?;
    let new = SendRequest {
        send_id,
        contact,
        campaign,
        status,
        sent_at,
    }
    .parse(now)?;
    let own = OwnUnsubscribe::parse(list_unsubscribe.as_deref())
        .map_err(|error| Problem::invalid("listUnsubscribe", format!("{error}.")))?;
    let tenant = backend.tenant(caller.tenant).await?;
    let base = tenant.settings.tracking_base().map_err(Problem::internal)?;
    let options = options.allowed_by(&tenant.settings);
    let rules = Rules {
        options: &options,
        base: &base,
        list_unsubscribe: list_unsubscribe.as_deref(),
    };
    // Before anything is registered: a mail that cannot be rewritten leaves no trace.
    let plan = Plan::parse(html, text, &rules).map_err(unreadable)?;

    let addressee = match dry_run {
        true => Addressee::of_dry_run(&backend, caller.tenant, &new, now).await?,
        false => {
            let registered = register_one(&backend, caller.tenant, &new, now).await?;
            Addressee {
                day: registered.registered_at.0.day(),
                contact: registered.contact,
            }
        }
    };
    let signer = backend
        .keyring
        .signer(caller.tenant)
        .ok_or_else(|| Problem::internal("the keyring lost its signing key"))?;
    let recipient = Recipient {
        signer: &signer,
        send: &new.id,
        contact: addressee.contact.id,
        day: addressee.day,
    };
    let mut scratch = Scratch::default();
    let rewritten = plan.render(&recipient, &mut scratch);
    let ours = recipient.unsubscribe_url(&base, &mut scratch);
    let warnings = warnings(
        &tenant.settings,
        &addressee.contact,
        rewritten.is_clipped_by_gmail(),
    );
    Ok(HttpResponse::Ok().json(RewriteAnswer {
        send_id: &new.id,
        contact_id: addressee.contact.id,
        html: &rewritten.html,
        text: rewritten.text.as_deref(),
        headers: own.headers(&ours),
        links: plan.links(&rewritten).collect(),
        warnings,
    }))
}

/// What links are signed with besides the send's id.
struct Addressee {
    contact: Contact,
    day: Day,
}

impl Addressee {
    /// The contact if it is known, one that will never be otherwise. The day is the first of all
    /// days, so that events on these links are older than any retention.
    async fn of_dry_run(
        backend: &Backend,
        tenant: TenantId,
        new: &NewSend,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let client = connect(&backend.pool).await?;
        let known = contacts::store::find(&client, tenant, &new.contact).await?;
        let contact = known
            .unwrap_or_else(|| Contact::unknown(ContactId::from_uuid(random::uuid_v7(now)), now));
        Ok(Self {
            contact,
            day: Day(0),
        })
    }
}

fn warnings(settings: &Settings, contact: &Contact, clipped: bool) -> Vec<Warning> {
    [
        (clipped, Warning::GmailClip),
        (
            !settings.tracking_origin.is_https(),
            Warning::OriginNotHttps,
        ),
        (
            contact.unsubscribed_at.is_some(),
            Warning::ContactUnsubscribed,
        ),
        (contact.suppressed_at.is_some(), Warning::ContactSuppressed),
        (!settings.tracking_enabled, Warning::TrackingDisabled),
    ]
    .into_iter()
    .filter_map(|(holds, warning)| holds.then_some(warning))
    .collect()
}

fn unreadable(error: RewriteError) -> Problem {
    match error {
        RewriteError::TooLarge { got, max } => Problem::new(
            ErrorCode::BodyTooLarge,
            format!("The mail has {got} bytes; at most {max} are rewritten."),
        ),
        RewriteError::Memory { max } => Problem::new(
            ErrorCode::MailTooComplex,
            format!("Reading this mail takes more than {max} bytes of memory: one of its tags is very long."),
        )
        .about("html"),
        RewriteError::Tokenizer(message) => Problem::internal(message),
    }
}
