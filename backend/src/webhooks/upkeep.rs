//! Gauges, and the removal of what is too old.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::outbox;
use crate::clock;
use crate::database::{DatabaseError, Pool, connect};
use crate::events::lowest_id;

const INTERVAL: Duration = Duration::from_secs(15);
/// Rounds from one removal to the next.
const REMOVAL: u32 = 20;
/// Deliveries of one endpoint that are removed at a time.
const DELIVERIES: i64 = 5_000;

pub(super) async fn run(pool: Pool, log_kept: Duration) {
    let mut round = 0;
    loop {
        if let Err(error) = look_after(&pool, log_kept, round % REMOVAL == 0).await
            && !error.is_missing_table()
        {
            tracing::warn!(%error, "the log of webhooks cannot be looked after");
        }
        round = round.wrapping_add(1);
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn look_after(pool: &Pool, log_kept: Duration, remove: bool) -> Result<(), DatabaseError> {
    let db = connect(pool).await?;
    let gauge = async |name: &'static str, sql| -> Result<(), DatabaseError> {
        let value: i64 = db.query_one(sql, &[]).await?.get(0);
        metrics::gauge!(name).set(value as f64);
        Ok(())
    };
    gauge(
        "kraiter_webhook_outbox_events",
        "select coalesce(sum(cardinality(event_ids)), 0)::bigint from webhook_outbox",
    )
    .await?;
    gauge(
        "kraiter_webhook_pending_deliveries",
        "select count(*) from webhook_deliveries where status = 'pending'",
    )
    .await?;
    gauge(
        "kraiter_webhook_paused_endpoints",
        "select count(*) from webhook_endpoints where paused_at is not null",
    )
    .await?;
    if remove {
        outbox::sweep(&db).await?;
        remove_before(&db, lowest_id(clock::now().minus(log_kept))).await?;
    }
    Ok(())
}

async fn remove_before(db: &impl GenericClient, first_kept: Uuid) -> Result<(), DatabaseError> {
    let endpoints = "select tenant_id, id from webhook_endpoints order by tenant_id, id";
    let sql = "with old as ( \
                 select id from webhook_deliveries where tenant_id = $1 and endpoint_id = $2 \
                   and id < $3 order by id limit $4 for update skip locked) \
               delete from webhook_deliveries d using old where d.tenant_id = $1 \
                 and d.endpoint_id = $2 and d.id = old.id returning d.status = 'pending'";
    let statement = db.prepare_cached(sql).await?;
    for endpoint in db.query(endpoints, &[]).await? {
        let (tenant, id): (i32, Uuid) = (endpoint.get(0), endpoint.get(1));
        loop {
            let removed = db
                .query(&statement, &[&tenant, &id, &first_kept, &DELIVERIES])
                .await?;
            let never_sent = removed.iter().filter(|row| row.get(0)).count();
            if never_sent > 0 {
                tracing::warn!(
                    tenant,
                    deliveries = never_sent,
                    "webhooks waited too long and were removed"
                );
            }
            if (removed.len() as i64) < DELIVERIES {
                break;
            }
        }
    }
    Ok(())
}
