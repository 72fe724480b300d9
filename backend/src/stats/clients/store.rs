//! Opens and clicks by User-Agent in Postgres. Rollups know no User-Agent, so events are counted:
//! the time asked for and the statement time-out bound how many.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use tokio_postgres::types::ToSql;

use super::OfUserAgent;
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::{EventType, lowest_id};
use crate::rollups::Tally;
use crate::tenants::store::key;

/// User-Agents that are told apart, of each kind the most frequent ones. Anybody can send new ones
/// without end; the others are counted without a name.
const MAX_USER_AGENTS: i64 = 5000;

/// From the one moment until before the other, of one campaign or of all sends.
pub(super) async fn by_user_agent(
    client: &impl GenericClient,
    tenant: TenantId,
    campaign: Option<&str>,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<OfUserAgent>, DatabaseError> {
    let (tenant, from, to) = (key(tenant), lowest_id(from), lowest_id(to));
    let kinds = [EventType::Opened, EventType::Clicked].map(EventType::number);
    let kinds = kinds.as_slice();
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &kinds, &from, &to, &MAX_USER_AGENTS];
    let mut of_campaign = "";
    if let Some(campaign) = &campaign {
        values.push(campaign);
        of_campaign = "join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
                       and s.campaign = $6";
    }
    let sql = format!(
        "with counted as ( \
           select e.user_agent, e.kind, count(*) as events, \
             count(*) filter (where e.verdict = 1) as human, \
             count(*) filter (where e.verdict = 2) as machine \
           from events e {of_campaign} \
           where e.tenant_id = $1 and e.kind = any($2) and e.id >= $3 and e.id < $4 \
           group by e.user_agent, e.kind \
         ), placed as ( \
           select *, row_number() over (partition by kind order by events desc, user_agent) as place \
           from counted \
         ) \
         select case when place <= $5 then user_agent end, kind, sum(events)::bigint, \
           sum(human)::bigint, sum(machine)::bigint from placed group by 1, 2"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &values).await?;
    let groups = rows.iter().filter_map(|row| {
        Some(OfUserAgent {
            user_agent: row.get(0),
            kind: EventType::from_number(row.get(1))?,
            events: Tally {
                all: row.get(2),
                human: row.get(3),
                machine: row.get(4),
            },
        })
    });
    Ok(groups.collect())
}
