//! Retention in Postgres: batches that take their locks without waiting, so that no writer waits for
//! long and none can wait in a circle.
//!
//! The planner cannot know how few rows a batch has, and would read whole tables to join it; what is
//! looked up as an array, or behind an `offset`, is looked up by index.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;

use crate::clock::Timestamp;
use crate::database::{DatabaseError, locks};
use crate::events::lowest_id;
use crate::tenants::store::key;
use crate::webhooks;

/// Events in one transaction.
const EVENTS: i64 = 5_000;
/// Sends that one statement looks at.
const SENDS: i64 = 10_000;

/// A lock of the session, because a run is many transactions.
pub(super) async fn try_lock(client: &impl GenericClient) -> Result<bool, DatabaseError> {
    let row = client
        .query_one("select pg_try_advisory_lock($1)", &[&locks::RETENTION])
        .await?;
    let locked = row.get(0);
    if locked {
        client
            .batch_execute("set statement_timeout = '10min'")
            .await?;
    }
    Ok(locked)
}

pub(super) async fn unlock(client: &impl GenericClient) -> Result<(), DatabaseError> {
    client.batch_execute("reset statement_timeout").await?;
    client
        .execute("select pg_advisory_unlock($1)", &[&locks::RETENTION])
        .await?;
    Ok(())
}

/// Says that what is older is not kept any more. It never goes back, even if more days are kept.
pub(super) async fn advance(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<Timestamp, DatabaseError> {
    let sql = "update tenants set kept_since = $2 \
               where id = $1 and (kept_since is null or kept_since < $2)";
    client.execute(sql, &[&key(tenant), &since]).await?;
    let sql = "select kept_since from tenants where id = $1";
    let row = client.query_one(sql, &[&key(tenant)]).await?;
    Ok(row.get::<_, Option<Timestamp>>(0).unwrap_or(since))
}

pub(super) async fn count_events(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "select count(*) from events where tenant_id = $1 and id < $2";
    let row = client
        .query_one(sql, &[&key(tenant), &lowest_id(since)])
        .await?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Removes some events; 0 when none is left that is not in use.
pub(super) async fn remove_events(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "with old as materialized ( \
                 select id from events where tenant_id = $1 and id < $2 \
                 order by id limit $3 for update skip locked) \
               delete from events e where e.tenant_id = $1 and e.id < $2 \
                 and e.id = any (array(select id from old))";
    let statement = client.prepare_cached(sql).await?;
    Ok(client
        .execute(&statement, &[&key(tenant), &lowest_id(since), &EVENTS])
        .await?)
}

/// What was noted for webhooks, and deliveries, from before that moment: their events are gone.
pub(super) async fn remove_webhooks(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<(), DatabaseError> {
    webhooks::outbox::forget_before(client, key(tenant), lowest_id(since)).await
}

/// Sends that were registered before this moment may go. The day of the registration is in the
/// send's links, and ingest refuses them once that whole day is past.
fn registered_before(since: Timestamp) -> Timestamp {
    Timestamp(since.0.day().start())
}

pub(super) async fn count_sends(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "select count(*) from sends s where s.tenant_id = $1 and s.registered_at < $2 \
               and not exists (select from events e where e.tenant_id = $1 \
                 and e.contact_id = s.contact_id and e.send_id = s.id and e.id >= $3)";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&key(tenant), &registered_before(since), &lowest_id(since)];
    let row = client.query_one(sql, &values).await?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Some sends in the order of their ids were looked at.
pub(super) struct SendPage {
    pub(super) removed: u64,
    /// Where to go on; `None` at the end.
    pub(super) last: Option<String>,
}

pub(super) async fn remove_sends(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
    after: &str,
) -> Result<SendPage, DatabaseError> {
    let sql = "with page as materialized ( \
                 select id, contact_id, registered_at from sends \
                 where tenant_id = $1 and id > $2 order by id limit $3), \
               old as materialized ( \
                 select s.id from sends s where s.tenant_id = $1 and s.id = any (array( \
                   select p.id from page p where p.registered_at < $4 \
                     and not exists (select from events e where e.tenant_id = $1 \
                       and e.contact_id = p.contact_id and e.send_id = p.id offset 0))) \
                 order by s.id for update skip locked), \
               gone as ( \
                 delete from sends s where s.tenant_id = $1 \
                   and s.id = any (array(select id from old)) returning s.id) \
               select (select max(id) from page), (select count(*) from gone)";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[&key(tenant), &after, &SENDS, &registered_before(since)],
        )
        .await?;
    Ok(SendPage {
        last: row.get(0),
        removed: row.get::<_, i64>(1).unsigned_abs(),
    })
}

/// Since when the tenant keeps its events that keeps them longest, with tenants locked against
/// changes. `None` if one of them keeps all, or if there is none.
pub(super) async fn oldest_limit(
    tx: &impl GenericClient,
) -> Result<Option<Timestamp>, DatabaseError> {
    tx.batch_execute("set local lock_timeout = '200ms'; lock table tenants in share mode")
        .await?;
    let sql =
        "select case when bool_and(kept_since is not null) then min(kept_since) end from tenants";
    Ok(tx.query_one(sql, &[]).await?.get(0))
}
