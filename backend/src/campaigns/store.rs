//! Campaigns in Postgres: rollups, added up along their key, which begins with tenant and campaign.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use tokio_postgres::Row;

use super::CampaignSummary;
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::rollups::Tally;
use crate::stats::{Counts, OfKind};
use crate::tenants::store::key;

/// What is selected of each campaign: its hours, then a list of kinds with a list of what was counted
/// of each and a list of how many were firsts, and when its mail was kept.
const COLUMNS: &str = "campaign, min(first_hour), max(last_hour), array_agg(kind), \
                       array_agg(events), array_agg(human), array_agg(machine), \
                       array_agg(firsts), array_agg(human_firsts), \
                       (select kept_at from previews p \
                         where p.tenant_id = $1 and p.campaign = kinds.campaign)";

const BY_KIND: &str = "select campaign, kind, min(hour) as first_hour, max(hour) as last_hour, \
                         sum(events_count)::bigint as events, \
                         sum(human_events_count)::bigint as human, \
                         sum(machine_events_count)::bigint as machine, \
                         sum(firsts_count)::bigint as firsts, \
                         sum(human_firsts_count)::bigint as human_firsts \
                       from rollups";

fn read(row: &Row) -> CampaignSummary {
    let kinds: Vec<i16> = row.get(3);
    let numbers: [Vec<i64>; 5] = [4, 5, 6, 7, 8].map(|column| row.get(column));
    let mut totals = Counts::default();
    for (place, kind) in kinds.into_iter().enumerate() {
        let [all, human, machine, firsts, human_firsts] = numbers
            .each_ref()
            .map(|list| list.get(place).copied().unwrap_or_default());
        let events = Tally {
            all,
            human,
            machine,
        };
        let counted = OfKind {
            events,
            firsts,
            human_firsts,
        };
        // A kind of a newer version is left out of what this version shows.
        if let Some(kind) = EventType::from_number(kind) {
            totals.add(kind, counted);
        }
    }
    CampaignSummary {
        name: row.get(0),
        first_hour: row.get(1),
        last_hour: row.get(2),
        totals,
        preview_kept_at: row.get(9),
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
