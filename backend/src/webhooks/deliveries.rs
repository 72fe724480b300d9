//! Deliveries in Postgres: made, claimed, finished, listed.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use uuid::Uuid;

use super::{Delivery, DeliveryId, DeliveryStatus, Endpoint, EndpointId, endpoints};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::{Event, store as events};
use crate::tenants::store::key;

/// A delivery that is yet to be made.
pub(super) struct New {
    pub(super) endpoint: EndpointId,
    pub(super) id: DeliveryId,
    pub(super) events: Vec<Uuid>,
    pub(super) due: Timestamp,
}

pub(super) async fn insert(
    tx: &impl GenericClient,
    tenant: i32,
    new: &[New],
) -> Result<(), DatabaseError> {
    if new.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = new.iter().map(|new| new.id.0).collect();
    let of: Vec<Uuid> = new.iter().map(|new| new.endpoint.0).collect();
    let due: Vec<Timestamp> = new.iter().map(|new| new.due).collect();
    let rows = new
        .iter()
        .flat_map(|new| new.events.iter().map(|_| new.id.0));
    let rows: Vec<Uuid> = rows.collect();
    let events: Vec<Uuid> = new.iter().flat_map(|new| &new.events).copied().collect();
    let sql = "insert into webhook_deliveries (tenant_id, endpoint_id, id, status, event_ids, \
                 events_count, next_attempt_at) \
               select $1, n.endpoint_id, n.id, 'pending', e.ids, cardinality(e.ids), n.due \
               from unnest($2::uuid[], $3::uuid[], $4::timestamptz[]) as n (endpoint_id, id, due) \
               join (select delivery, array_agg(id) as ids \
                 from unnest($5::uuid[], $6::uuid[]) as u (delivery, id) group by delivery) e \
                 on e.delivery = n.id";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenant, &of, &ids, &due, &rows, &events])
        .await?;
    Ok(())
}

/// Endpoints that are not paused and have deliveries that are due, with their tenants.
pub(super) async fn due(
    client: &impl GenericClient,
    now: Timestamp,
) -> Result<Vec<(i32, Endpoint)>, DatabaseError> {
    let sql = format!(
        "select {}, e.tenant_id from webhook_endpoints e where e.paused_at is null and exists ( \
           select from webhook_deliveries d where d.tenant_id = e.tenant_id \
             and d.endpoint_id = e.id and d.status = 'pending' and d.next_attempt_at <= $1)",
        endpoints::COLUMNS
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&now]).await?;
    let due = rows.iter().map(|row| {
        let endpoint = endpoints::read(row)?;
        Ok((row.get(endpoints::COLUMNS_COUNT), endpoint))
    });
    due.collect()
}

/// A delivery that is ours to attempt until its claim ends.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) id: DeliveryId,
    pub(super) events: Vec<Uuid>,
    /// With this one.
    pub(super) attempts: i32,
    pub(super) first_attempt_at: Timestamp,
}

/// Claims deliveries of one endpoint that are due and nobody else claims.
pub(super) async fn claim(
    client: &impl GenericClient,
    tenant: i32,
    endpoint: EndpointId,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Claimed>, DatabaseError> {
    let sql = "with due as ( \
                 select id from webhook_deliveries where tenant_id = $1 and endpoint_id = $2 \
                   and status = 'pending' and next_attempt_at <= $3 \
                 order by next_attempt_at limit $5 for update skip locked) \
               update webhook_deliveries d set attempts = d.attempts + 1, last_attempt_at = $3, \
                 first_attempt_at = coalesce(d.first_attempt_at, $3), next_attempt_at = $4 \
               from due where d.tenant_id = $1 and d.endpoint_id = $2 and d.id = due.id \
               returning d.id, d.event_ids, d.attempts, d.first_attempt_at";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&tenant, &endpoint.0, &now, &until, &limit])
        .await?;
    let claimed = rows.iter().map(|row| Claimed {
        id: DeliveryId(row.get(0)),
        events: row.get(1),
        attempts: row.get(2),
        first_attempt_at: row.get(3),
    });
    Ok(claimed.collect())
}

/// Those of these events that are still kept and that the endpoint wants by what is known of them now, in
/// the order of their ids.
pub(super) async fn load(
    client: &impl GenericClient,
    tenant: i32,
    ids: &[Uuid],
    verdicts: Option<&[i16]>,
) -> Result<Vec<Event>, DatabaseError> {
    let sql = format!(
        "select {} from unnest($2::uuid[]) as d (id) \
         cross join lateral (select * from events e \
           where e.tenant_id = $1 and e.id = d.id offset 0) as e {} \
         where $3::smallint[] is null or e.kind not in (1, 2) or e.verdict = any ($3) \
         order by e.id",
        events::COLUMNS,
        events::JOINED
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client
        .query(&statement, &[&tenant, &ids, &verdicts])
        .await?;
    Ok(rows.iter().filter_map(events::read).collect())
}

/// What came of an attempt.
pub(super) struct Finished {
    pub(super) status: DeliveryStatus,
    /// Events that were sent; `None` if none were accepted.
    pub(super) sent: Option<i32>,
    pub(super) next_attempt_at: Timestamp,
    pub(super) http_status: Option<i16>,
    pub(super) error: Option<String>,
    pub(super) took_millis: i32,
    pub(super) now: Timestamp,
}

/// Writes down what came of an attempt, unless its claim was lost meanwhile.
pub(super) async fn finish(
    client: &impl GenericClient,
    tenant: i32,
    endpoint: EndpointId,
    claimed: &Claimed,
    finished: &Finished,
) -> Result<(), DatabaseError> {
    let sql = "update webhook_deliveries set status = $5, \
                 event_ids = case when $5 = 'delivered' then '{}' else event_ids end, \
                 events_count = coalesce($6, events_count), next_attempt_at = $7, \
                 last_status = $8, last_error = $9, last_duration_millis = $10, \
                 delivered_at = case when $5 = 'delivered' then $11::timestamptz end \
               where tenant_id = $1 and endpoint_id = $2 and id = $3 \
                 and status = 'pending' and attempts = $4";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                &tenant,
                &endpoint.0,
                &claimed.id.0,
                &claimed.attempts,
                &finished.status.as_str(),
                &finished.sent,
                &finished.next_attempt_at,
                &finished.http_status,
                &finished.error,
                &finished.took_millis,
                &finished.now,
            ],
        )
        .await?;
    Ok(())
}

/// Removes a delivery of which nothing is left to send.
pub(super) async fn drop_empty(
    client: &impl GenericClient,
    tenant: i32,
    endpoint: EndpointId,
    claimed: &Claimed,
) -> Result<(), DatabaseError> {
    let sql = "delete from webhook_deliveries where tenant_id = $1 and endpoint_id = $2 \
                 and id = $3 and status = 'pending' and attempts = $4";
    let statement = client.prepare_cached(sql).await?;
    let claimed: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&tenant, &endpoint.0, &claimed.id.0, &claimed.attempts];
    client.execute(&statement, &claimed).await?;
    Ok(())
}

/// What waits for the endpoint is due at once, with all attempts before it.
pub(super) async fn start_over(
    tx: &impl GenericClient,
    tenant: TenantId,
    endpoint: EndpointId,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let sql = "update webhook_deliveries set attempts = 0, first_attempt_at = null, \
                 next_attempt_at = least(next_attempt_at, $3) \
               where tenant_id = $1 and endpoint_id = $2 and status = 'pending' and attempts > 0";
    tx.execute(sql, &[&key(tenant), &endpoint.0, &now]).await?;
    Ok(())
}

/// Dead deliveries, all or one, are pending again. How many were.
pub(super) async fn replay(
    tx: &impl GenericClient,
    tenant: TenantId,
    endpoint: EndpointId,
    only: Option<&[Uuid]>,
    now: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "update webhook_deliveries set status = 'pending', attempts = 0, \
                 first_attempt_at = null, next_attempt_at = $3 \
               where tenant_id = $1 and endpoint_id = $2 and status = 'dead' \
                 and ($4::uuid[] is null or id = any ($4))";
    Ok(tx
        .execute(sql, &[&key(tenant), &endpoint.0, &now, &only])
        .await?)
}

/// Newest first.
pub(super) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    endpoint: EndpointId,
    status: Option<DeliveryStatus>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Delivery>, DatabaseError> {
    let sql = "select id, status, events_count, attempts, next_attempt_at, last_attempt_at, \
                 last_duration_millis, last_status, last_error, delivered_at \
               from webhook_deliveries where tenant_id = $1 and endpoint_id = $2 \
                 and ($3::text is null or status = $3) and ($4::uuid is null or id < $4) \
               order by id desc limit $5";
    let status = status.map(DeliveryStatus::as_str);
    let rows = client
        .query(sql, &[&key(tenant), &endpoint.0, &status, &before, &limit])
        .await?;
    let deliveries = rows.iter().map(|row| {
        let unreadable = |_| DatabaseError::Unreadable("a delivery's status");
        Ok(Delivery {
            id: DeliveryId(row.get(0)),
            status: row.get::<_, &str>(1).parse().map_err(unreadable)?,
            events: row.get(2),
            attempts: row.get(3),
            next_attempt_at: row.get(4),
            last_attempt_at: row.get(5),
            last_duration_millis: row.get(6),
            last_status: row.get(7),
            last_error: row.get(8),
            delivered_at: row.get(9),
        })
    });
    deliveries.collect()
}
