//! Blocks in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::{SendId, TenantId};
use tokio_postgres::Row;

use super::{Block, FRAME_BYTES, Reason, SetBy, Size, Target, TooMany};
use crate::clock::Timestamp;
use crate::database::{DatabaseError, locks};
use crate::tenants::store::key;

const COLUMNS: &str = "kind, value, set_by, reason, created_at";

/// Whose mail a block is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    One(TenantId),
    /// Every tenant's: only the operator, and only hosts.
    All,
}

impl Scope {
    fn key(self) -> i32 {
        match self {
            Self::One(tenant) => key(tenant),
            Self::All => 0,
        }
    }
}

/// Rows hold what was checked before it was written; one that cannot be read is left out with a
/// log line.
fn read(row: &Row, first: usize) -> Option<Block> {
    let (kind, value): (&str, &str) = (row.get(first), row.get(first + 1));
    let target = match kind {
        "tenant" => Some(Target::Tenant),
        "send" => SendId::parse(value.to_owned()).ok().map(Target::Send),
        _ => value.parse().ok().map(Target::Host),
    };
    if target.is_none() {
        tracing::error!(kind, "an unreadable block");
    }
    Some(Block {
        target: target?,
        set_by: match row.get(first + 2) {
            "operator" => SetBy::Operator,
            _ => SetBy::Tenant,
        },
        reason: row.get(first + 3),
        created_at: row.get(first + 4),
    })
}

/// What became of a wish to block.
pub(crate) enum Put {
    Made(Block),
    /// It was there; a new reason took the old one's place.
    Kept(Block),
}

/// Blocks until it is lifted. Inside a transaction, which has to be committed.
pub(crate) async fn put(
    tx: &impl GenericClient,
    scope: Scope,
    set_by: SetBy,
    target: &Target,
    reason: Option<&Reason>,
    now: Timestamp,
) -> Result<Result<Put, TooMany>, DatabaseError> {
    tx.execute("select pg_advisory_xact_lock($1)", &[&locks::BLOCKS])
        .await?;
    let (kind, value, by) = (target.kind(), target.value(), set_by.as_str());
    let reason = reason.map(Reason::as_str);
    let sql = format!(
        "update blocks set reason = coalesce($5, reason) \
         where tenant_id = $1 and kind = $2 and value = $3 and set_by = $4 returning {COLUMNS}"
    );
    let there = tx
        .query_opt(&sql, &[&scope.key(), &kind, &value, &by, &reason])
        .await?;
    let unreadable = || DatabaseError::Unreadable("a block just written");
    if let Some(row) = there {
        return Ok(Ok(Put::Kept(read(&row, 0).ok_or_else(unreadable)?)));
    }
    let sql = "select count(*), coalesce(sum(bytes), 0)::bigint, count(*) filter (where own), \
                 coalesce(sum(bytes) filter (where own), 0)::bigint \
               from (select length(value) + $2::bigint as bytes, \
                       tenant_id = $1 and set_by = 'tenant' as own from blocks) as b";
    let used = tx.query_one(sql, &[&scope.key(), &FRAME_BYTES]).await?;
    let size = |first: usize| Size {
        count: used.get(first),
        bytes: used.get(first + 1),
    };
    if let Err(too_many) = target.fits(set_by, size(2), size(0)) {
        return Ok(Err(too_many));
    }
    let sql = format!(
        "insert into blocks (tenant_id, kind, value, set_by, reason, created_at) \
         values ($1, $2, $3, $4, $5, $6) returning {COLUMNS}"
    );
    let row = tx
        .query_one(&sql, &[&scope.key(), &kind, &value, &by, &reason, &now])
        .await?;
    Ok(Ok(Put::Made(read(&row, 0).ok_or_else(unreadable)?)))
}

/// Lifts a block that this party set. False if there is none.
pub(crate) async fn remove(
    client: &impl GenericClient,
    scope: Scope,
    set_by: SetBy,
    target: &Target,
) -> Result<bool, DatabaseError> {
    let sql = "delete from blocks \
               where tenant_id = $1 and kind = $2 and value = $3 and set_by = $4";
    let (kind, value, by) = (target.kind(), target.value(), set_by.as_str());
    let removed = client
        .execute(sql, &[&scope.key(), &kind, &value, &by])
        .await?;
    Ok(removed > 0)
}

/// Whether this party blocks it.
pub(crate) async fn exists(
    client: &impl GenericClient,
    scope: Scope,
    set_by: SetBy,
    target: &Target,
) -> Result<bool, DatabaseError> {
    let sql = "select from blocks \
               where tenant_id = $1 and kind = $2 and value = $3 and set_by = $4";
    let (kind, value, by) = (target.kind(), target.value(), set_by.as_str());
    let found = client
        .query_opt(sql, &[&scope.key(), &kind, &value, &by])
        .await?;
    Ok(found.is_some())
}

/// Where a page of a tenant's blocks starts: after this kind, value and party.
pub(crate) type Place = (String, String, String);

/// A tenant's blocked sends and hosts, by kind and value.
pub(crate) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Block>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS} from blocks where tenant_id = $1 and kind <> 'tenant' \
           and (kind, value, set_by) > ($2 collate \"C\", $3 collate \"C\", $4 collate \"C\") \
         order by kind, value, set_by limit $5"
    );
    let first = Place::default();
    let (kind, value, set_by) = after.unwrap_or(&first);
    let rows = client
        .query(&sql, &[&key(tenant), kind, value, set_by, &limit])
        .await?;
    Ok(rows.iter().filter_map(|row| read(row, 0)).collect())
}

/// Every block there is, or those of one tenant; each with its tenant, 0 for all.
pub(crate) async fn list_all(
    client: &impl GenericClient,
    tenant: Option<TenantId>,
) -> Result<Vec<(i32, Block)>, DatabaseError> {
    let sql = format!(
        "select tenant_id, {COLUMNS} from blocks where $1::int is null or tenant_id = $1 \
         order by tenant_id, kind, value, set_by"
    );
    let rows = client.query(&sql, &[&tenant.map(key)]).await?;
    let block = |row: &Row| Some((row.get(0), read(row, 1)?));
    Ok(rows.iter().filter_map(block).collect())
}

/// What is blocked, whoever set it: kind, tenant and value, in that order.
pub(crate) async fn blocked(
    client: &impl GenericClient,
) -> Result<Vec<(String, i32, String)>, DatabaseError> {
    let sql = "select distinct kind, tenant_id, value from blocks order by kind, tenant_id, value";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect())
}
