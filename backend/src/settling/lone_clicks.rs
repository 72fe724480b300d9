//! Clicks that were the only one of their send when they were stored. Nothing of their own send can
//! tell more about them, so nothing is locked and judged anew unless others clicked from their
//! address at about their time. Nearly always nobody did.
//!
//! Reading without locks is right because each click is noted in the transaction that stores it: of
//! two that matter to each other, whichever is committed later finds the earlier one.

use std::collections::HashSet;
use std::net::IpAddr;

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::found::{SendKey, spans};
use super::store;
use crate::database::DatabaseError;
use crate::events::time_of;

/// What one transaction of ingest noted for one tenant.
pub(super) struct Note {
    pub(super) key: NoteKey,
    clicks: Vec<Uuid>,
}

/// Its tenant and its first click.
pub(super) type NoteKey = (i32, Uuid);

/// The note after another, in the order of their keys.
pub(super) async fn next(
    client: &impl GenericClient,
    after: Option<NoteKey>,
) -> Result<Option<Note>, DatabaseError> {
    let sql = "select tenant_id, id, click_ids from unsettled_clicks \
               where (tenant_id, id) > ($1, $2) order by tenant_id, id limit 1";
    let statement = client.prepare_cached(sql).await?;
    let (tenant, id) = after.unwrap_or((0, Uuid::nil()));
    let row = client.query_opt(&statement, &[&tenant, &id]).await?;
    Ok(row.map(|row| Note {
        key: (row.get(0), row.get(1)),
        clicks: row.get(2),
    }))
}

pub(super) async fn strike_out(
    client: &impl GenericClient,
    (tenant, id): NoteKey,
) -> Result<(), DatabaseError> {
    let sql = "delete from unsettled_clicks where tenant_id = $1 and id = $2";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[&tenant, &id]).await?;
    Ok(())
}

/// The sends of those clicks from whose address there are more.
pub(super) async fn not_alone(
    client: &impl GenericClient,
    note: &Note,
) -> Result<Vec<SendKey>, DatabaseError> {
    let (tenant, _) = note.key;
    let sql = "select e.ip, e.id, e.send_id, e.contact_id from unnest($2::uuid[]) as d (id) \
               cross join lateral (select * from events e \
                 where e.tenant_id = $1 and e.id = d.id and e.ip is not null offset 0) as e";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&tenant, &note.clicks]).await?;
    let busy = busy_addresses(
        client,
        tenant,
        rows.iter().map(|row| (row.get(0), row.get(1))),
    )
    .await?;
    let mut sends: Vec<SendKey> = rows
        .iter()
        .filter(|row| busy.contains(&row.get::<_, IpAddr>(0)))
        .map(|row| SendKey {
            tenant,
            id: row.get(2),
            contact: row.get(3),
        })
        .collect();
    sends.sort();
    Ok(sends)
}

/// From which of these clicks' addresses there was more than one click near one of them.
async fn busy_addresses(
    client: &impl GenericClient,
    tenant: i32,
    clicks: impl Iterator<Item = (IpAddr, Uuid)>,
) -> Result<HashSet<IpAddr>, DatabaseError> {
    let lines = store::lines(client, &[tenant]).await?;
    let clicks = clicks.map(|(ip, id)| (tenant, ip, time_of(id)));
    let near = store::Near::of(spans(clicks, &lines));
    let sql = "select d.ip from unnest($2::inet[], $3::uuid[], $4::uuid[]) as d (ip, first, last) \
               where exists (select from events e \
                 where e.tenant_id = $1 and e.ip = d.ip and e.kind = 2 \
                   and e.id >= d.first and e.id < d.last offset 1)";
    let statement = client.prepare_cached(sql).await?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&tenant, &near.addresses, &near.first, &near.last];
    let rows = client.query(&statement, &values).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
