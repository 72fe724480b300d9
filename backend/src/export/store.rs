//! What an export reads: a contact's sends and events, page by page.

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use uuid::Uuid;

use super::{ExportedEvent, Headers};
use crate::database::DatabaseError;
use crate::events;
use crate::tenants::store::key;

/// A page of events, newest first, and where the next one begins; `None` after the last.
pub(super) async fn events(
    client: &impl GenericClient,
    tenant: TenantId,
    contact: ContactId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<(Vec<ExportedEvent>, Option<Uuid>), DatabaseError> {
    let sql = format!(
        "select {}, e.accept_language, e.sec_purpose, e.purpose, e.x_purpose, e.x_moz \
         from events e {} where e.tenant_id = $1 and e.contact_id = $2 \
           and ($3::uuid is null or e.id < $3) order by e.id desc limit $4",
        events::store::COLUMNS,
        events::store::JOINED,
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client
        .query(
            &statement,
            &[&key(tenant), &contact.uuid(), &before, &limit],
        )
        .await?;
    let header = |row: &tokio_postgres::Row, n| row.get(events::store::COLUMNS_COUNT + n);
    let exported = rows.iter().filter_map(|row| {
        Some(ExportedEvent {
            event: events::store::read(row)?.into(),
            headers: Headers {
                accept_language: header(row, 0),
                sec_purpose: header(row, 1),
                purpose: header(row, 2),
                x_purpose: header(row, 3),
                x_moz: header(row, 4),
            },
        })
    });
    Ok((exported.collect(), rows.last().map(|row| row.get(0))))
}
