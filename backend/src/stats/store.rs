//! Time series out of rollups.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use tokio_postgres::types::ToSql;

use super::buckets::Buckets;
use super::{Counts, OfKind};
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::rollups::Tally;
use crate::tenants::store::key;

/// What was counted in each bucket, in their order; of one campaign or of all sends.
pub(super) async fn series(
    client: &impl GenericClient,
    tenant: TenantId,
    campaign: Option<&str>,
    buckets: &Buckets,
) -> Result<Vec<Counts>, DatabaseError> {
    let tenant = key(tenant);
    let start = buckets.start();
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &start, &buckets.end, &buckets.starts];
    let mut of_campaign = "";
    if let Some(campaign) = &campaign {
        values.push(campaign);
        of_campaign = "and campaign = $5";
    }
    let sql = format!(
        "select width_bucket(hour, $4), kind, sum(events_count)::bigint, \
           sum(human_events_count)::bigint, sum(machine_events_count)::bigint, \
           sum(firsts_count)::bigint, sum(human_firsts_count)::bigint \
         from rollups where tenant_id = $1 and hour >= $2 and hour < $3 {of_campaign} \
         group by 1, 2"
    );
    let statement = client.prepare_cached(&sql).await?;
    let mut counts = vec![Counts::default(); buckets.starts.len()];
    for row in client.query(&statement, &values).await? {
        let number: i32 = row.get(0);
        let place = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        // A kind of a newer version is left out of what this version shows.
        let kind = EventType::from_number(row.get(1));
        let bucket = place.and_then(|place| counts.get_mut(place));
        if let (Some(bucket), Some(kind)) = (bucket, kind) {
            let counted = OfKind {
                events: Tally {
                    all: row.get(2),
                    human: row.get(3),
                    machine: row.get(4),
                },
                firsts: row.get(5),
                human_firsts: row.get(6),
            };
            bucket.add(kind, counted);
        }
    }
    Ok(counts)
}
