//! Retention as the service applies it by itself.

use std::sync::Arc;
use std::time::Duration;

use kraiter_wire::Day;

use super::{RetentionError, Run};
use crate::audit::Actor;
use crate::clock;
use crate::database::{Partitions, Pool};

/// The first run does not add to the load of a start.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Applies retention at this interval, for ever. Of several backends one does the work at a time.
pub(crate) async fn apply_regularly(pool: Pool, partitions: Arc<Partitions>, interval: Duration) {
    tokio::time::sleep(interval.min(FIRST_AFTER)).await;
    let mut sends_seen_on: Option<Day> = None;
    loop {
        let now = clock::now();
        let today = now.0.day();
        let run = Run {
            pool: &pool,
            partitions: &partitions,
            now,
            actor: Actor::Service,
            only: None,
            with_sends: sends_seen_on != Some(today),
            dry_run: false,
        };
        match run.apply(&mut ()).await {
            Ok(report) => {
                sends_seen_on = Some(today);
                let events: u64 = report.tenants.iter().map(|tenant| tenant.events).sum();
                let sends: u64 = report.tenants.iter().map(|tenant| tenant.sends).sum();
                metrics::counter!("kraiter_retention_removed_total", "kind" => "event")
                    .increment(events);
                metrics::counter!("kraiter_retention_removed_total", "kind" => "send")
                    .increment(sends);
                let previews: u64 = report.tenants.iter().map(|tenant| tenant.previews).sum();
                metrics::counter!("kraiter_retention_removed_total", "kind" => "preview")
                    .increment(previews);
                metrics::gauge!("kraiter_retention_last_success_timestamp_seconds")
                    .set(now.millis() as f64 / 1000.0);
                if events + sends + previews > 0 || !report.partitions.is_empty() {
                    tracing::info!(events, sends, previews, partitions = ?report.partitions, "old data removed");
                }
            }
            // Whoever holds the lock does it.
            Err(RetentionError::UnderWay) => {}
            Err(error) => {
                tracing::warn!(%error, "old data could not be removed; tried again later")
            }
        }
        tokio::time::sleep(interval).await;
    }
}
