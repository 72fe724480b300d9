//! The outbox: ids of events that were stored and are on no delivery yet.

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use crate::clock;
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::random;

/// Ids in one row: with the rest of it they just fit into a quarter of a page, so that Postgres does not
/// store them apart.
const IDS: usize = 100;

/// The rows that the ids of some events make: for each event its row.
#[derive(Default)]
pub(crate) struct Notes {
    tenants: Vec<i32>,
    rows: Vec<Uuid>,
    kinds: Vec<i16>,
    events: Vec<Uuid>,
}

impl Notes {
    /// Events in any order.
    pub(crate) fn of(events: impl Iterator<Item = (i32, EventType, Uuid)>) -> Self {
        let mut sorted: Vec<_> = events
            .map(|(tenant, kind, id)| (tenant, kind.number(), id))
            .collect();
        sorted.sort_unstable();
        let now = clock::now();
        let mut notes = Self::default();
        let by_kind = sorted.chunk_by(|(t, k, _), (u, l, _)| (t, k) == (u, l));
        for chunk in by_kind.flat_map(|events| events.chunks(IDS)) {
            let row = random::uuid_v7(now);
            for (tenant, kind, id) in chunk {
                notes.tenants.push(*tenant);
                notes.rows.push(row);
                notes.kinds.push(*kind);
                notes.events.push(*id);
            }
        }
        notes
    }

    /// The rows of one tenant's events, as columns: row and kind of each event, and its id.
    pub(crate) fn columns(&self) -> (&[Uuid], &[i16], &[Uuid]) {
        (&self.rows, &self.kinds, &self.events)
    }
}

/// Notes events of tenants that have endpoints, in the transaction that stores them. Whether a tenant
/// has some must have been asked while erasures, and with them new endpoints, were kept out.
pub(crate) async fn note(
    tx: &impl GenericClient,
    events: impl Iterator<Item = (i32, EventType, Uuid)>,
) -> Result<(), DatabaseError> {
    let notes = Notes::of(events);
    if notes.events.is_empty() {
        return Ok(());
    }
    let sql = "insert into webhook_outbox (tenant_id, id, kind, event_ids) \
               select tenant_id, id, kind, array_agg(event_id) \
               from unnest($1::int[], $2::uuid[], $3::smallint[], $4::uuid[]) \
                 as d (tenant_id, id, kind, event_id) group by tenant_id, id, kind";
    let statement = tx.prepare_cached(sql).await?;
    let Notes {
        tenants,
        rows,
        kinds,
        events,
    } = notes;
    tx.execute(&statement, &[&tenants, &rows, &kinds, &events])
        .await?;
    Ok(())
}

/// Some events of a tenant that were noted.
pub(super) struct Noted {
    pub(super) kind: i16,
    pub(super) events: Vec<Uuid>,
}

/// Takes some of what was noted of a tenant, oldest first, and what no other replica is taking.
pub(super) async fn take(
    tx: &impl GenericClient,
    tenant: i32,
    rows: i64,
) -> Result<Vec<Noted>, DatabaseError> {
    let sql = "with taken as ( \
                 select id from webhook_outbox where tenant_id = $1 \
                 order by id limit $2 for update skip locked) \
               delete from webhook_outbox o using taken t \
               where o.tenant_id = $1 and o.id = t.id returning o.kind, o.event_ids";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&tenant, &rows]).await?;
    let noted = rows.iter().map(|row| Noted {
        kind: row.get(0),
        events: row.get(1),
    });
    Ok(noted.collect())
}

/// Tenants of which something is noted.
pub(super) async fn tenants(client: &impl GenericClient) -> Result<Vec<i32>, DatabaseError> {
    let sql = "select e.tenant_id from (select distinct tenant_id from webhook_endpoints) e \
               where exists (select from webhook_outbox o where o.tenant_id = e.tenant_id)";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Removes what was noted of tenants whose last endpoint was deleted meanwhile.
pub(super) async fn sweep(client: &impl GenericClient) -> Result<(), DatabaseError> {
    let sql = "delete from webhook_outbox o where not exists ( \
                 select from webhook_endpoints e where e.tenant_id = o.tenant_id)";
    client.execute(sql, &[]).await?;
    Ok(())
}

/// Removes the ids of these events from all that is yet to be sent. Dispatchers have to be kept out.
pub(crate) async fn forget(
    tx: &impl GenericClient,
    tenant: i32,
    events: &[Uuid],
) -> Result<(), DatabaseError> {
    let outbox = "update webhook_outbox set event_ids = array( \
                    select id from unnest(event_ids) as u (id) where id <> all ($2)) \
                  where tenant_id = $1 and event_ids && $2";
    tx.execute(outbox, &[&tenant, &events]).await?;
    let deliveries = "with left_over as materialized ( \
                        select endpoint_id, id, array(select id from unnest(event_ids) as u (id) \
                          where id <> all ($2)) as event_ids \
                        from webhook_deliveries where tenant_id = $1 and event_ids && $2) \
                      update webhook_deliveries d \
                      set event_ids = l.event_ids, events_count = cardinality(l.event_ids) \
                      from left_over l where d.tenant_id = $1 \
                        and d.endpoint_id = l.endpoint_id and d.id = l.id";
    tx.execute(deliveries, &[&tenant, &events]).await?;
    Ok(())
}

/// Removes what was noted before a moment, of events that are kept no longer.
pub(crate) async fn forget_before(
    client: &impl GenericClient,
    tenant: i32,
    first_kept: Uuid,
) -> Result<(), DatabaseError> {
    for sql in [
        "delete from webhook_outbox where tenant_id = $1 and id < $2",
        "delete from webhook_deliveries where tenant_id = $1 and id < $2",
    ] {
        client.execute(sql, &[&tenant, &first_kept]).await?;
    }
    Ok(())
}
