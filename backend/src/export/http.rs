//! `GET /contacts/{emailOrId}/export`.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use bytes::Bytes;
use futures_util::Stream;
use kraiter_wire::{ContactId, TenantId};

use super::{ExportView, ExportedSend, Head, append, store};
use crate::api_keys::{Admin, Caller};
use crate::audit::{self, Action, Entry};
use crate::backend::Backend;
use crate::clock;
use crate::contacts;
use crate::database::{DatabaseError, connect};
use crate::erasure;
use crate::http::Problem;
use crate::sends;

/// Rows of a page. An event takes up to some 10 kB, and pages are written one at a time.
const PAGE: i64 = 200;

/// Everything that is kept about a contact, as one document: the contact, its sends and its events.
/// It is streamed, so a document that does not end with `}` was cut off. The audit log notes that it
/// was made.
#[utoipa::path(
    operation_id = "exportContact",
    tag = "contacts",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(("emailOrId" = String, Path, description = "Address or id", example = "ada@example.com")),
    responses(
        (status = 200, body = ExportView),
    )
)]
#[get("/contacts/{emailOrId}/export")]
pub(crate) async fn get_export(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let tenant = caller.tenant;
    let mut client = connect(&backend.pool).await?;
    let contact = contacts::http::find(&client, tenant, &path).await?;
    let (id, now) = (contact.id, clock::now());
    let tx = client.transaction().await?;
    let hash = erasure::store::hash(&tx, tenant, id).await?;
    let entry = Entry::new(tenant, caller.actor(), Action::ContactExported).about(hash);
    audit::store::write(&tx, &entry, now).await?;
    tx.commit().await?;
    let head = Head {
        exported_at: now,
        contact: contact.into(),
    };
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(("cache-control", "no-store"))
        .streaming(document(backend, tenant, id, head)))
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The document in pieces. No connection is kept while the client takes one of them.
fn document(
    backend: Data<Backend>,
    tenant: TenantId,
    contact: ContactId,
    head: Head,
) -> impl Stream<Item = Result<Bytes, ExportError>> {
    async_stream::try_stream! {
        let mut piece = serde_json::to_vec(&head)?;
        // The document goes on where the head ends.
        piece.pop();
        piece.extend_from_slice(b",\"sends\":[");
        let (mut after, mut is_first) = (String::new(), true);
        loop {
            let client = connect(&backend.pool).await?;
            let page = sends::store::of_contact(&client, tenant, contact, &after, PAGE).await?;
            drop(client);
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            let page: Vec<ExportedSend> = page.into_iter().map(ExportedSend::from).collect();
            append(&mut piece, &page, &mut is_first)?;
            yield Bytes::from(std::mem::take(&mut piece));
        }
        piece.extend_from_slice(b"],\"events\":[");
        let (mut before, mut is_first) = (None, true);
        loop {
            let client = connect(&backend.pool).await?;
            let (page, next) = store::events(&client, tenant, contact, before, PAGE).await?;
            drop(client);
            if next.is_none() {
                break;
            }
            before = next;
            append(&mut piece, &page, &mut is_first)?;
            // A page of events that this version does not know is empty.
            if piece.is_empty() {
                continue;
            }
            yield Bytes::from(std::mem::take(&mut piece));
        }
        piece.extend_from_slice(b"]}");
        yield Bytes::from(piece);
    }
}
