//! What pollers ask Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use tokio_postgres::IsolationLevel;
use uuid::Uuid;

use super::{Hours, Look, WINDOW_IDS};
use crate::clock::Timestamp;
use crate::database::{Client, DatabaseError};
use crate::events::store::{COLUMNS, JOINED, read};
use crate::events::{Event, lowest_id};
use crate::tenants::store::key;

/// Ids from `since` on, and how many events the hours have from `hours_since` on: both as of the same
/// moment, so that they can be compared.
pub(super) async fn look(
    client: &mut Client,
    tenant: TenantId,
    since: Timestamp,
    hours_since: Option<Timestamp>,
) -> Result<Look, DatabaseError> {
    let Some(from) = hours_since else {
        return Ok(Look {
            ids: ids(&*client, tenant, since).await?,
            hours: None,
        });
    };
    let tx = client.build_transaction();
    let tx = tx.isolation_level(IsolationLevel::RepeatableRead);
    let tx = tx.read_only(true).start().await?;
    let ids = ids(&tx, tenant, since).await?;
    let sql = "select hour, sum(events_count)::bigint from rollups \
               where tenant_id = $1 and hour >= $2 group by hour";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&key(tenant), &from]).await?;
    tx.commit().await?;
    let counts = rows.iter().map(|row| {
        let hour: Timestamp = row.get(0);
        (hour.millis(), row.get(1))
    });
    Ok(Look {
        ids,
        hours: Some(Hours {
            since: from,
            counts: counts.collect(),
        }),
    })
}

/// Newest first.
async fn ids(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<Vec<Uuid>, DatabaseError> {
    let sql = "select id from events where tenant_id = $1 and id >= $2 order by id desc limit $3";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&key(tenant), &lowest_id(since), &WINDOW_IDS])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Those that are still there, in the order of their ids.
pub(super) async fn events(
    client: &impl GenericClient,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<Event>, DatabaseError> {
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else {
        return Ok(Vec::new());
    };
    // The bounds say which partitions there is no need to look into.
    let sql = format!(
        "select {COLUMNS} from events e {JOINED} where e.tenant_id = $1 and e.id = any($2) \
           and e.id between $3 and $4 order by e.id"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client
        .query(&statement, &[&key(tenant), &ids, first, last])
        .await?;
    Ok(rows.iter().filter_map(read).collect())
}
