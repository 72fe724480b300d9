//! Retention: events and sends that are older than their tenant keeps them are removed, and
//! partitions that nobody needs any more. Knows neither HTTP nor SQL.
//!
//! Counters of contacts and rollups stay: they hold no event. An event goes by its own time. A send
//! goes once it was registered before that time and no event of it is left.

mod run;
mod store;
mod task;

use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::tenants::{Days, TenantName};

pub(crate) use run::{Run, Steps};
pub(crate) use task::apply_regularly;

/// Ingest refuses what is older than a tenant keeps; removing begins this much later, so that no
/// event whose acceptance is under way is counted again after it was removed.
const GRACE: Duration = Duration::from_secs(3600);

const HOUR_MILLIS: u64 = 3_600_000;

/// What is older than this goes. A full hour, because rollups are by the hour.
fn kept_since(retention: Days, now: Timestamp) -> Timestamp {
    let since = now
        .minus(Duration::from_millis(retention.millis()))
        .minus(GRACE);
    since.minus(Duration::from_millis(since.millis() % HOUR_MILLIS))
}

/// What was removed, or would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    pub(crate) tenants: Vec<TenantReport>,
    /// Partitions of `events` that were dropped whole.
    pub(crate) partitions: Vec<String>,
    /// Partitions that nobody needs and that were in use for so long that they stay for now.
    pub(crate) busy_partitions: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TenantReport {
    pub(crate) id: u32,
    pub(crate) name: TenantName,
    pub(crate) kept_since: Timestamp,
    /// Removed one by one; what was in a dropped partition is not counted.
    pub(crate) events: u64,
    pub(crate) sends: u64,
    /// Mails that were kept to look at.
    pub(crate) previews: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RetentionError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(
        "another backend or command is removing old events right now; it does the same work, so \
         wait for it or try again later"
    )]
    UnderWay,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_starts_an_hour_after_ingest_refuses_and_at_a_full_hour() {
        let now: Timestamp = "2026-11-23T12:34:56.789Z".parse().unwrap();
        let since = kept_since(30.try_into().unwrap(), now);
        assert_eq!(since.to_string(), "2026-10-24T11:00:00.000Z");
        let early: Timestamp = "1970-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(kept_since(30.try_into().unwrap(), early).millis(), 0);
    }
}
