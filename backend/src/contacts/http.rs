//! `GET /contacts/{emailOrId}`, `GET /contacts/{emailOrId}/events`, `PUT` and `DELETE
//! /contacts/{emailOrId}/consent`.

use actix_web::web::{Data, Json as Answer, Path};
use actix_web::{delete, get, put};
use kraiter_wire::{ContactId, TenantId};
use serde::{Deserialize, Serialize};

use super::{Consent, Contact, ContactRef, store};
use crate::api_keys::{Admin, Caller, Read};
use crate::audit::{self, Action, Entry};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::{Client, connect};
use crate::erasure;
use crate::events::http::EventView;
use crate::events::{self, EventFilter};
use crate::http::{Body, ErrorCode, Limit, Page, Problem, Query, page};

/// A contact's metrics. Counts are of every recorded event, repeats included; times are of the
/// newest.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Contact)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContactView {
    #[schema(value_type = String, example = "con_AZmzxNXmf4ChssPU5fYHGA")]
    id: ContactId,
    /// `null` for a contact that is known by its events only.
    #[schema(required = true, example = "ada@example.com")]
    email: Option<String>,
    created_at: Timestamp,
    emails_sent_count: i64,
    emails_opened_count: i64,
    emails_clicked_count: i64,
    /// Of the opens, those that a person made, as far as the rules can tell.
    emails_human_opened_count: i64,
    emails_human_clicked_count: i64,
    /// Of the opens, those of machines. What is neither is suspect.
    emails_machine_opened_count: i64,
    emails_machine_clicked_count: i64,
    #[schema(required = true)]
    last_email_sent_at: Option<Timestamp>,
    #[schema(required = true)]
    last_email_opened_at: Option<Timestamp>,
    #[schema(required = true)]
    last_email_clicked_at: Option<Timestamp>,
    #[schema(required = true)]
    last_email_human_opened_at: Option<Timestamp>,
    #[schema(required = true)]
    last_email_human_clicked_at: Option<Timestamp>,
    #[schema(required = true)]
    unsubscribed_at: Option<Timestamp>,
    /// When a mail first bounced or was complained about.
    #[schema(required = true)]
    suppressed_at: Option<Timestamp>,
    /// `null`: not known, which counts as given. Withdrawn, mail is returned untracked and opens
    /// and clicks, those of mail already sent included, are not recorded.
    #[schema(required = true)]
    tracking_consent: Option<Consent>,
}

impl From<Contact> for ContactView {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.id,
            email: contact.email,
            created_at: contact.created_at,
            emails_sent_count: contact.emails_sent_count,
            emails_opened_count: contact.emails_opened_count,
            emails_clicked_count: contact.emails_clicked_count,
            emails_human_opened_count: contact.emails_human_opened_count,
            emails_human_clicked_count: contact.emails_human_clicked_count,
            emails_machine_opened_count: contact.emails_machine_opened_count,
            emails_machine_clicked_count: contact.emails_machine_clicked_count,
            last_email_sent_at: contact.last_email_sent_at,
            last_email_opened_at: contact.last_email_opened_at,
            last_email_clicked_at: contact.last_email_clicked_at,
            last_email_human_opened_at: contact.last_email_human_opened_at,
            last_email_human_clicked_at: contact.last_email_human_clicked_at,
            unsubscribed_at: contact.unsubscribed_at,
            suppressed_at: contact.suppressed_at,
            tracking_consent: contact.consent,
        }
    }
}

/// The contact that a path names, or the answer that there is none.
pub(crate) async fn find(
    client: &Client,
    tenant: TenantId,
    text: &str,
) -> Result<Contact, Problem> {
    let contact = parse(text)?;
    let found = store::find(client, tenant, &contact).await?;
    found.ok_or_else(|| unknown(text))
}

pub(crate) fn unknown(text: &str) -> Problem {
    Problem::new(
        ErrorCode::UnknownContact,
        format!("No contact {text}. A contact exists once a mail to it was registered."),
    )
}

/// Reads an address or a contact id from a request.
pub(crate) fn parse(text: &str) -> Result<ContactRef, Problem> {
    text.parse().map_err(|error| {
        Problem::new(ErrorCode::InvalidEmail, format!("{error}.")).about("contact")
    })
}

/// A contact with its counters, by address or id.
#[utoipa::path(
    operation_id = "getContact",
    tag = "contacts",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(("emailOrId" = String, Path, description = "Address, or id as answers show it")),
    responses(
        (status = 200, body = ContactView),
    )
)]
#[get("/contacts/{emailOrId}")]
pub(crate) async fn get_contact(
    backend: Data<Backend>,
    caller: Caller<Read>,
    path: Path<String>,
) -> Result<Answer<ContactView>, Problem> {
    let client = connect(&backend.pool).await?;
    Ok(Answer(find(&client, caller.tenant, &path).await?.into()))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ContactEventsQuery {
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A contact's events, newest first.
#[utoipa::path(
    operation_id = "listContactEvents",
    tag = "contacts",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(("emailOrId" = String, Path, description = "Address or id"), ContactEventsQuery),
    responses(
        (status = 200, body = Page<EventView>),
    )
)]
#[get("/contacts/{emailOrId}/events")]
pub(crate) async fn get_contact_events(
    backend: Data<Backend>,
    caller: Caller<Read>,
    path: Path<String>,
    Query(query): Query<ContactEventsQuery>,
) -> Result<Answer<Page<EventView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let before = page::cursor(query.cursor.as_deref())?;
    let client = connect(&backend.pool).await?;
    let contact = find(&client, caller.tenant, &path).await?;
    let filter = EventFilter {
        contact: Some(contact.id),
        before,
        ..EventFilter::default()
    };
    let events =
        events::store::list(&client, caller.tenant, &filter, limit.with_lookahead()).await?;
    Ok(Answer(EventView::page(events, limit)))
}

/// Notes that a contact agrees to tracking. Takes no body, or an empty object. An address that is
/// not known yet becomes a contact.
#[utoipa::path(
    operation_id = "giveConsent",
    tag = "contacts",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email", "invalid_json", "invalid_encoding", "wrong_type", "unknown_field", "body_too_large"]))),
    params(("emailOrId" = String, Path, description = "Address or id", example = "ada@example.com")),
    responses(
        (status = 200, body = ContactView),
    )
)]
#[put("/contacts/{emailOrId}/consent")]
pub(crate) async fn put_consent(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<ContactView>, Problem> {
    body.nothing().await?;
    set_consent(&backend, &caller, &path, Consent::Given).await
}

/// Notes that a contact withdraws its consent: further mail is returned untracked, and opens and
/// clicks, also of mail already sent, are no longer recorded. What was counted before stays.
/// Unsubscribing works all the same. An address that is not known yet becomes a contact, so that
/// its first mail is untracked.
#[utoipa::path(
    operation_id = "withdrawConsent",
    tag = "contacts",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(("emailOrId" = String, Path, description = "Address or id", example = "ada@example.com")),
    responses(
        (status = 200, body = ContactView),
    )
)]
#[delete("/contacts/{emailOrId}/consent")]
pub(crate) async fn delete_consent(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
) -> Result<Answer<ContactView>, Problem> {
    set_consent(&backend, &caller, &path, Consent::Withdrawn).await
}

async fn set_consent(
    backend: &Backend,
    caller: &Caller<Admin>,
    text: &str,
    consent: Consent,
) -> Result<Answer<ContactView>, Problem> {
    let (tenant, now) = (caller.tenant, clock::now());
    let contact = parse(text)?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    erasure::store::keep_erasures_out(&tx).await?;
    let wanted = [&contact];
    let (found, _) = store::find_or_create_all(&tx, tenant, &wanted, now).await?;
    let found = found.get(&contact).ok_or_else(|| unknown(text))?;
    let (id, before) = (found.id, found.consent);
    let contact = store::set_consent(&tx, tenant, id, consent).await?;
    let contact = contact.ok_or_else(|| unknown(text))?;
    // Said again, it changes nothing.
    if before != Some(consent) {
        let action = match consent {
            Consent::Given => Action::ConsentGiven,
            Consent::Withdrawn => Action::ConsentWithdrawn,
        };
        let hash = erasure::store::hash(&tx, tenant, id).await?;
        let entry = Entry::new(tenant, caller.actor(), action).about(hash);
        audit::store::write(&tx, &entry, now).await?;
    }
    tx.commit().await?;
    Ok(Answer(contact.into()))
}
