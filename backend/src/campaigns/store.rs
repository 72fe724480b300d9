//! Campaigns in Postgres: rollups, added up along their key, which begins with tenant and campaign.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use tokio_postgres::Row;

use super::CampaignSummary;
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::stats::Counts;
use crate::tenants::store::key;

/// What is selected of each campaign: its hours, then a list of kinds with a list of what was counted
/// of each and a list of how many were firsts.
const COLUMNS: &str = "campaign, min(first_hour), max(last_hour), array_agg(kind), \
                       array_agg(events), array_agg(firsts)";

const BY_KIND: &str = "select campaign, kind, min(hour) as first_hour, max(hour) as last_hour, \
                         sum(events_count)::bigint as events, sum(firsts_count)::bigint as firsts \
                       from rollups";

fn read(row: &Row) -> CampaignSummary {
    let kinds: Vec<i16> = row.get(3);
    let events: Vec<i64> = row.get(4);
    let firsts: Vec<i64> = row.get(5);
    let mut totals = Counts::default();
    for ((kind, events), firsts) in kinds.into_iter().zip(events).zip(firsts) {
        // A kind of a newer version is left out of what this version shows.
        if let Some(kind) = EventType::from_number(kind) {
            totals.add(kind, events, firsts);
        }
    }
    CampaignSummary {
        name: row.get(0),
        first_hour: row.get(1),
        last_hour: row.get(2),
        totals,
    }
}

pub(super) async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    name: &str,
) -> Result<Option<CampaignSummary>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS} from ( \
           {BY_KIND} where tenant_id = $1 and campaign = $2 group by campaign, kind \
         ) as kinds group by campaign having sum(events) > 0"
    );
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&key(tenant), &name]).await?;
    Ok(row.as_ref().map(read))
}

/// By name; those of which something happened in or after the hour of `active_since`, or all.
pub(super) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    active_since: Option<Timestamp>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<CampaignSummary>, DatabaseError> {
    // Names first: whatever campaigns lie behind the page are not added up.
    let names = match active_since {
        // Rows of a time have an index.
        Some(_) => {
            "select distinct campaign from rollups \
             where tenant_id = $1 and hour >= date_trunc('hour', $4::timestamptz) \
               and campaign > $2 and events_count > 0 order by campaign limit $3"
        }
        // From each name to the next along the key.
        None => {
            "with recursive names as ( \
               (select campaign from rollups where tenant_id = $1 and campaign > $2 \
                  and events_count > 0 and $4::timestamptz is null order by campaign limit 1) \
               union all \
               select (select campaign from rollups where tenant_id = $1 \
                  and campaign > names.campaign and events_count > 0 order by campaign limit 1) \
               from names where names.campaign is not null) \
             select campaign from names where campaign is not null limit $3"
        }
    };
    let sql = format!(
        "select {COLUMNS} from ( \
           {BY_KIND} where tenant_id = $1 and campaign = any(array({names})) \
           group by campaign, kind \
         ) as kinds group by campaign order by campaign"
    );
    let statement = client.prepare_cached(&sql).await?;
    // No name is empty: that is where sends without a campaign are counted.
    let after = after.unwrap_or_default();
    let rows = client
        .query(&statement, &[&key(tenant), &after, &limit, &active_since])
        .await?;
    Ok(rows.iter().map(read).collect())
}
