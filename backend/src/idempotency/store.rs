//! Idempotency keys in Postgres. Each statement stands alone: no lock outlives it.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::tenants::store::key;

/// Rows that one statement removes.
const PAGE: i64 = 5_000;

pub(super) struct Wanted<'a> {
    pub(super) tenant: TenantId,
    pub(super) key_hash: Vec<u8>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) resource_id: &'a str,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    /// What was made before means nothing any more.
    pub(super) oldest: Timestamp,
}

pub(super) enum Claimed {
    Yes {
        resource_id: String,
    },
    /// Another request is at it.
    Running,
    /// The key belongs to another request.
    OtherRequest,
}

pub(super) async fn claim(
    client: &impl GenericClient,
    wanted: &Wanted<'_>,
) -> Result<Claimed, DatabaseError> {
    let sql = "insert into idempotency_keys as old \
                 (tenant_id, key_hash, fingerprint, resource_id, created_at, running_until) \
               values ($1, $2, $3, $4, $5, $6) \
               on conflict (tenant_id, key_hash) do update set \
                 running_until = excluded.running_until, fingerprint = excluded.fingerprint, \
                 resource_id = case when old.created_at < $7 then excluded.resource_id \
                   else old.resource_id end, \
                 created_at = case when old.created_at < $7 then excluded.created_at \
                   else old.created_at end \
               where old.created_at < $7 or (old.fingerprint = excluded.fingerprint \
                 and (old.running_until is null or old.running_until <= $5)) \
               returning resource_id";
    let statement = client.prepare_cached(sql).await?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
        &key(wanted.tenant),
        &wanted.key_hash,
        &wanted.fingerprint,
        &wanted.resource_id,
        &wanted.now,
        &wanted.until,
        &wanted.oldest,
    ];
    if let Some(row) = client.query_opt(&statement, &values).await? {
        return Ok(Claimed::Yes {
            resource_id: row.get(0),
        });
    }
    let sql =
        "select fingerprint = $3 from idempotency_keys where tenant_id = $1 and key_hash = $2";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&key(wanted.tenant), &wanted.key_hash, &wanted.fingerprint];
    let row = client.query_opt(sql, &values).await?;
    // Removed just now: as if it were running, to be tried again.
    Ok(match row.map(|row| row.get(0)) {
        Some(false) => Claimed::OtherRequest,
        Some(true) | None => Claimed::Running,
    })
}

/// Ends the claim that lasts until then, and no later one.
pub(super) async fn release(
    client: &impl GenericClient,
    tenant: TenantId,
    key_hash: &[u8],
    until: Timestamp,
) -> Result<(), DatabaseError> {
    let sql = "update idempotency_keys set running_until = null \
               where tenant_id = $1 and key_hash = $2 and running_until = $3";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&key(tenant), &key_hash, &until])
        .await?;
    Ok(())
}

/// Removes the keys that made a contact's sends.
pub(crate) async fn forget_of_contact(
    tx: &impl GenericClient,
    tenant: TenantId,
    contact: Uuid,
) -> Result<(), DatabaseError> {
    let sql = "delete from idempotency_keys k using sends s where s.tenant_id = $1 \
                 and s.contact_id = $2 and k.tenant_id = $1 and k.resource_id = s.id";
    tx.execute(sql, &[&key(tenant), &contact]).await?;
    Ok(())
}

/// Removes keys that were made before; 0 when none is left.
pub(crate) async fn remove_old(
    client: &impl GenericClient,
    tenant: TenantId,
    before: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "with old as ( \
                 select key_hash from idempotency_keys where tenant_id = $1 and created_at < $2 \
                 limit $3 for update skip locked) \
               delete from idempotency_keys k using old \
               where k.tenant_id = $1 and k.key_hash = old.key_hash and k.created_at < $2";
    let statement = client.prepare_cached(sql).await?;
    Ok(client
        .execute(&statement, &[&key(tenant), &before, &PAGE])
        .await?)
}
