//! Erasure in Postgres.
//!
//! Whoever adds rows about contacts, or changes rollups, holds the erasure lock with others, as the
//! first lock of its transaction; an erasure holds it alone. So nothing that it removes comes back
//! meanwhile, and it needs no row locks in any order.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use uuid::Uuid;

use super::{ContactHash, ErasureKey, Removed};
use crate::clock::Timestamp;
use crate::database::{DatabaseError, locks};
use crate::idempotency;
use crate::tenants::store::key;
use crate::webhooks;

/// Until the transaction ends. A statement of its own, before the first one that reads contacts:
/// what that one sees is then not erased meanwhile.
pub(crate) async fn keep_erasures_out(tx: &impl GenericClient) -> Result<(), DatabaseError> {
    let sql = "select pg_advisory_xact_lock_shared($1)";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&locks::ERASURE]).await?;
    Ok(())
}

/// Waits for writers under way and keeps new ones out until the transaction ends.
pub(crate) async fn keep_writers_out(tx: &impl GenericClient) -> Result<(), DatabaseError> {
    // New ones wait while we wait for those before them, so that is not for long. What follows may
    // take longer than a request: a contact can have any number of events.
    tx.batch_execute("set local lock_timeout = '5s'; set local statement_timeout = '5min'")
        .await?;
    tx.execute("select pg_advisory_xact_lock($1)", &[&locks::ERASURE])
        .await?;
    Ok(())
}

/// The contact's keyed hash.
pub(crate) async fn hash(
    client: &impl GenericClient,
    tenant: TenantId,
    contact: ContactId,
) -> Result<ContactHash, DatabaseError> {
    let statement = client
        .prepare_cached("select erasure_key from tenants where id = $1")
        .await?;
    let row = client.query_opt(&statement, &[&key(tenant)]).await?;
    row.and_then(|row| ErasureKey::from_slice(row.get::<_, Option<&[u8]>>(0)?)?.hash(contact))
        .ok_or(DatabaseError::Unreadable("a tenant's erasure key"))
}

/// Those of these contacts, by tenant, that were erased. Asked after their rows were found missing, so that an
/// erasure that removed one just now is seen.
pub(crate) async fn erased_among(
    client: &impl GenericClient,
    contacts: &HashSet<(i32, Uuid)>,
) -> Result<HashSet<(i32, Uuid)>, DatabaseError> {
    let tenants: HashSet<i32> = contacts.iter().map(|(tenant, _)| *tenant).collect();
    let tenants: Vec<i32> = tenants.into_iter().collect();
    let sql = "select id, erasure_key from tenants \
               where id = any($1) and erasure_key is not null";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&tenants]).await?;
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
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&tenants, &wanted]).await?;
    let found = rows.iter().filter_map(|row| {
        let tenant: i32 = row.get(0);
        let hash: &[u8] = row.get(1);
        let contact = hashes.get(&(tenant, hash.try_into().ok()?))?;
        Some((tenant, *contact))
    });
    Ok(found.collect())
}

/// Removes the contact with its sends and events and remembers its hash. What they counted stays in
/// the rollups, marked as erased. Writers have to be kept out.
pub(super) async fn erase(
    tx: &impl GenericClient,
    tenant: TenantId,
    contact: ContactId,
    hash: ContactHash,
    now: Timestamp,
) -> Result<Removed, DatabaseError> {
    let (of, tenant, contact) = (tenant, key(tenant), contact.uuid());
    mark_rollups(tx, tenant, contact).await?;
    mark_link_rollups(tx, tenant, contact).await?;
    let events = "delete from events where tenant_id = $1 and contact_id = $2 returning id";
    let events = tx.query(events, &[&tenant, &contact]).await?;
    let ids: Vec<Uuid> = events.iter().map(|row| row.get(0)).collect();
    webhooks::outbox::forget(tx, tenant, &ids).await?;
    let events = ids.len() as u64;
    let unsettled = "delete from unsettled u using sends s where s.tenant_id = $1 \
                       and s.contact_id = $2 and u.tenant_id = $1 and u.send_id = s.id";
    tx.execute(unsettled, &[&tenant, &contact]).await?;
    idempotency::forget_of_contact(tx, of, contact).await?;
    let sends = "delete from sends where tenant_id = $1 and contact_id = $2";
    let sends = tx.execute(sends, &[&tenant, &contact]).await?;
    let row = "delete from contacts where tenant_id = $1 and id = $2";
    tx.execute(row, &[&tenant, &contact]).await?;
    let remember = "insert into erased_contacts (tenant_id, contact_hash, erased_at) \
                    values ($1, $2, $3) on conflict do nothing";
    tx.execute(remember, &[&tenant, &hash.0.as_slice(), &now])
        .await?;
    Ok(Removed { sends, events })
}

/// An event's hour is in the first 48 bits of its id, which are milliseconds. Sums go to one shard:
/// readers add all of them up.
async fn mark_rollups(
    tx: &impl GenericClient,
    tenant: i32,
    contact: Uuid,
) -> Result<(), DatabaseError> {
    let sql = "with counted as ( \
                 select coalesce(s.campaign, '') collate \"C\" as campaign, \
                   to_timestamp(('x' || encode(substr(uuid_send(e.id), 1, 6), 'hex')) \
                     ::bit(48)::bigint / 3600000 * 3600) as hour, \
                   e.kind, count(*) as events, \
                   count(*) filter (where e.kind in (1, 2) and e.verdict = 1) as human, \
                   count(*) filter (where e.kind in (1, 2) and e.verdict = 2) as machine, \
                   0::bigint as firsts, 0::bigint as human_firsts \
                 from events e left join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
                 where e.tenant_id = $1 and e.contact_id = $2 group by 1, 2, 3 \
                 union all \
                 select coalesce(s.campaign, ''), date_trunc('hour', first.at, 'UTC'), first.kind, \
                   0, 0, 0, count(*) filter (where not first.is_human), \
                   count(*) filter (where first.is_human) \
                 from sends s, \
                   lateral (values (1::smallint, s.opened_at, false), \
                     (2::smallint, s.clicked_at, false), (1::smallint, s.human_opened_at, true), \
                     (2::smallint, s.human_clicked_at, true)) as first (kind, at, is_human) \
                 where s.tenant_id = $1 and s.contact_id = $2 and first.at is not null \
                 group by 1, 2, 3) \
               insert into rollups as r (tenant_id, campaign, hour, kind, shard, \
                 erased_events_count, erased_human_events_count, erased_machine_events_count, \
                 erased_firsts_count, erased_human_firsts_count) \
               select $1, campaign, hour, kind, 0, sum(events), sum(human), sum(machine), \
                 sum(firsts), sum(human_firsts) from counted group by campaign, hour, kind \
               on conflict (tenant_id, campaign, hour, kind, shard) do update set \
                 erased_events_count = r.erased_events_count + excluded.erased_events_count, \
                 erased_human_events_count = \
                   r.erased_human_events_count + excluded.erased_human_events_count, \
                 erased_machine_events_count = \
                   r.erased_machine_events_count + excluded.erased_machine_events_count, \
                 erased_firsts_count = r.erased_firsts_count + excluded.erased_firsts_count, \
                 erased_human_firsts_count = \
                   r.erased_human_firsts_count + excluded.erased_human_firsts_count";
    tx.execute(sql, &[&tenant, &contact]).await?;
    Ok(())
}

/// A URL that only erased contacts have followed goes as well: it may have been made for one person.
async fn mark_link_rollups(
    tx: &impl GenericClient,
    tenant: i32,
    contact: Uuid,
) -> Result<(), DatabaseError> {
    let sql = "insert into link_rollups as r (tenant_id, campaign, link_index, url_digest, day, \
                 shard, url, erased_clicks_count, erased_human_clicks_count, \
                 erased_machine_clicks_count) \
               select $1, coalesce(s.campaign, '') collate \"C\", e.link_index, \
                 sha256(convert_to(e.url, 'UTF8')), \
                 (to_timestamp(('x' || encode(substr(uuid_send(e.id), 1, 6), 'hex')) \
                   ::bit(48)::bigint / 1000) at time zone 'UTC')::date, \
                 0, min(e.url), count(*), count(*) filter (where e.verdict = 1), \
                 count(*) filter (where e.verdict = 2) \
               from events e left join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
               where e.tenant_id = $1 and e.contact_id = $2 and e.kind = 2 \
                 and e.url is not null and e.link_index is not null \
               group by 2, 3, 4, 5 \
               on conflict (tenant_id, campaign, link_index, url_digest, day, shard) do update set \
                 erased_clicks_count = r.erased_clicks_count + excluded.erased_clicks_count, \
                 erased_human_clicks_count = \
                   r.erased_human_clicks_count + excluded.erased_human_clicks_count, \
                 erased_machine_clicks_count = \
                   r.erased_machine_clicks_count + excluded.erased_machine_clicks_count \
               returning r.campaign, r.link_index, r.url_digest";
    let rows = tx.query(sql, &[&tenant, &contact]).await?;
    let campaigns: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let indices: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
    let digests: Vec<&[u8]> = rows.iter().map(|row| row.get(2)).collect();
    let sql = "with touched as ( \
                 select distinct * from unnest($2::text[], $3::bigint[], $4::bytea[]) \
                   as t (campaign, link_index, url_digest)), \
               gone as ( \
                 select r.campaign, r.link_index, r.url_digest \
                 from link_rollups r natural join touched t where r.tenant_id = $1 \
                 group by 1, 2, 3 having sum(r.clicks_count) <= sum(r.erased_clicks_count)) \
               delete from link_rollups r using gone g where r.tenant_id = $1 \
                 and r.campaign = g.campaign and r.link_index = g.link_index \
                 and r.url_digest = g.url_digest";
    tx.execute(sql, &[&tenant, &campaigns, &indices, &digests])
        .await?;
    Ok(())
}
