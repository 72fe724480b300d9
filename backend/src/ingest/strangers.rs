//! Contacts and sends that events name and that are not there: most are made, as placeholders.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::deltas::{ContactDelta, SendDelta};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// Those of these contacts that have no row.
pub(super) async fn missing(
    tx: &Transaction<'_>,
    contacts: &[ContactDelta],
) -> Result<HashSet<(i32, Uuid)>, DatabaseError> {
    let tenants: Vec<i32> = contacts.iter().map(|contact| contact.tenant).collect();
    let ids: Vec<Uuid> = contacts.iter().map(|contact| contact.id).collect();
    let sql = "select d.tenant_id, d.id from unnest($1::int[], $2::uuid[]) as d (tenant_id, id) \
               where not exists (select from contacts c \
                 where c.tenant_id = d.tenant_id and c.id = d.id)";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&tenants, &ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Placeholders without an address.
pub(super) async fn make_contacts(
    tx: &Transaction<'_>,
    contacts: &[ContactDelta],
) -> Result<(), DatabaseError> {
    let tenants: Vec<i32> = contacts.iter().map(|contact| contact.tenant).collect();
    let ids: Vec<Uuid> = contacts.iter().map(|contact| contact.id).collect();
    let created = contacts.iter().map(|contact| contact.day.start());
    let created: Vec<_> = created.map(Timestamp).collect();
    let sql = "insert into contacts (tenant_id, id, created_at) \
               select * from unnest($1::int[], $2::uuid[], $3::timestamptz[]) \
               on conflict (tenant_id, id) do nothing";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &ids, &created]).await?;
    Ok(())
}

/// A placeholder was sent, or nobody could have opened it, but it counts as sent only once it is
/// registered.
pub(super) async fn make_sends<'s, 'g: 's>(
    tx: &Transaction<'_>,
    sends: impl Iterator<Item = &'s SendDelta<'g>> + Clone,
) -> Result<(), DatabaseError> {
    let tenants: Vec<i32> = sends.clone().map(|send| send.tenant).collect();
    let ids: Vec<&str> = sends.clone().map(|send| send.id).collect();
    let contacts: Vec<Uuid> = sends.clone().map(|send| send.contact).collect();
    let registered: Vec<_> = sends.map(|send| Timestamp(send.day.start())).collect();
    let sql = "insert into sends (tenant_id, id, contact_id, status, registered_at) \
               select d.tenant_id, d.id, d.contact_id, 'sent', d.registered_at \
               from unnest($1::int[], $2::text[], $3::uuid[], $4::timestamptz[]) \
                 as d (tenant_id, id, contact_id, registered_at) \
               on conflict (tenant_id, id) do nothing";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &ids, &contacts, &registered])
        .await?;
    Ok(())
}
