//! `DELETE /contacts/{emailOrId}`.

use std::collections::HashSet;

use actix_web::delete;
use actix_web::web::{Data, Json as Answer, Path};
use serde::Serialize;

use super::{Removed, store};
use crate::api_keys::{Admin, Caller};
use crate::audit::{self, Action, Entry};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::contacts::{self, ContactRef};
use crate::database::connect;
use crate::http::Problem;
use crate::tenants::store::key;

/// What was removed with the contact.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erasure {
    erased_at: Timestamp,
    sends: u64,
    events: u64,
}

/// Erases a contact: the contact, its sends and its events. Totals of campaigns stay, they name
/// nobody. Events that still come for it, and journals replayed, are refused as `erased`; its id
/// cannot be used again (`contact_erased`). A mail to the same address makes a new contact, which
/// knows nothing of the old one, a withdrawn consent or an unsubscribe included. Erasing by the
/// same id again answers with zeros.
#[utoipa::path(
    operation_id = "eraseContact",
    tag = "contacts",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(("emailOrId" = String, Path, description = "Address or id", example = "ada@example.com")),
    responses(
        (status = 200, body = Erasure),
    )
)]
#[delete("/contacts/{emailOrId}")]
pub(crate) async fn delete_contact(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
) -> Result<Answer<Erasure>, Problem> {
    let wanted = contacts::http::parse(&path)?;
    let tenant = caller.tenant;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    store::keep_writers_out(&tx).await?;
    let now = clock::now();
    let Some(contact) = contacts::store::find(&tx, tenant, &wanted).await? else {
        let known = match &wanted {
            ContactRef::Id(id) => {
                let this = HashSet::from([(key(tenant), id.uuid())]);
                !store::erased_among(&tx, &this).await?.is_empty()
            }
            ContactRef::Email(_) => false,
        };
        return match known {
            true => Ok(answer(now, Removed::default())),
            false => Err(contacts::http::unknown(&path)),
        };
    };
    let hash = store::hash(&tx, tenant, contact.id).await?;
    let removed = store::erase(&tx, tenant, contact.id, hash, now).await?;
    let entry = Entry::new(tenant, caller.actor(), Action::ContactErased)
        .about(hash)
        .with(serde_json::json!({"sends": removed.sends, "events": removed.events}));
    audit::store::write(&tx, &entry, now).await?;
    tx.commit().await?;
    Ok(answer(now, removed))
}

fn answer(now: Timestamp, removed: Removed) -> Answer<Erasure> {
    Answer(Erasure {
        erased_at: now,
        sends: removed.sends,
        events: removed.events,
    })
}
