//! Contacts and sends that events name and that are not there: most are made, as placeholders;
//! contacts that were erased stay gone.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;
use kraiter_wire::ContactId;
use uuid::Uuid;

use super::deltas::{ContactDelta, SendDelta};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::erasure::ErasureKey;

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

/// Those of these contacts that were erased. Asked after their rows were found missing, so that an
/// erasure that removed one just now is seen.
pub(super) async fn erased(
    tx: &Transaction<'_>,
    contacts: &HashSet<(i32, Uuid)>,
) -> Result<HashSet<(i32, Uuid)>, DatabaseError> {
    let tenants: HashSet<i32> = contacts.iter().map(|(tenant, _)| *tenant).collect();
    let tenants: Vec<i32> = tenants.into_iter().collect();
    let sql = "select id, erasure_key from tenants \
               where id = any($1) and erasure_key is not null";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&tenants]).await?;
    let keys: HashMap<i32, ErasureKey> = rows
        .iter()
        .filter_map(|row| Some((row.get(0), ErasureKey::from_slice(row.get(1))?)))
        .collect();
    let hashes: HashMap<(i32, [u8; 32]), Uuid> = contacts
        .iter()
        .filter_map(|(tenant, contact)| {
            let hash = keys.get(tenant)?.hash(ContactId::from_uuid(*contact))?;
            Some(((*tenant, hash.0), *contact))
        })
        .collect();
    if hashes.is_empty() {
        return Ok(HashSet::new());
    }
    let (tenants, wanted): (Vec<i32>, Vec<&[u8]>) = hashes
        .keys()
        .map(|(tenant, hash)| (*tenant, hash.as_slice()))
        .unzip();
    let sql = "select e.tenant_id, e.contact_hash from erased_contacts e \
               join unnest($1::int[], $2::bytea[]) as d (tenant_id, contact_hash) \
                 on e.tenant_id = d.tenant_id and e.contact_hash = d.contact_hash";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&tenants, &wanted]).await?;
    let found = rows.iter().filter_map(|row| {
        let tenant: i32 = row.get(0);
        let hash: &[u8] = row.get(1);
        let contact = hashes.get(&(tenant, hash.try_into().ok()?))?;
        Some((tenant, *contact))
    });
    Ok(found.collect())
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
