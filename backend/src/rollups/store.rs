//! Rollups in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::{TenantId, UnixMillis};
use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Changes, HourChange, Of, Tally, Whose};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::sends::Send;
use crate::tenants::store::key;
use crate::verdicts::Verdict;

/// Rows of an hour. A connection always takes the same one, so transactions of different
/// connections wait for each other only where their processes' numbers are congruent.
const SHARD: &str = "(pg_backend_pid() % 64)::smallint";

/// Adds what one transaction changed, as the last thing that it locks.
pub(crate) async fn add(
    client: &impl GenericClient,
    changes: &Changes<'_>,
) -> Result<(), DatabaseError> {
    add_hours(client, changes).await?;
    add_links(client, changes).await
}

async fn add_hours(
    client: &impl GenericClient,
    changes: &Changes<'_>,
) -> Result<(), DatabaseError> {
    let hours = || {
        let hours = changes.hours.iter();
        hours.filter(|(_, change)| **change != HourChange::default())
    };
    if hours().next().is_none() {
        return Ok(());
    }
    let tenants: Vec<i32> = hours().map(|(key, _)| key.tenant).collect();
    let campaigns: Vec<&str> = hours().map(|(key, _)| key.campaign).collect();
    let starts: Vec<_> = hours()
        .map(|(key, _)| Timestamp(UnixMillis(key.hour)))
        .collect();
    let kinds: Vec<i16> = hours().map(|(key, _)| key.kind).collect();
    let numbers = |pick: fn(&HourChange) -> i64| -> Vec<i64> {
        hours().map(|(_, change)| pick(change)).collect()
    };
    let sql = format!(
        "insert into rollups as r \
           (tenant_id, campaign, hour, kind, shard, events_count, firsts_count, \
            human_events_count, machine_events_count, human_firsts_count) \
         select d.tenant_id, d.campaign, d.hour, d.kind, {SHARD}, d.events, d.firsts, d.human, \
           d.machine, d.human_firsts \
         from unnest($1::int[], $2::text[], $3::timestamptz[], $4::smallint[], $5::bigint[], \
           $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) \
           as d (tenant_id, campaign, hour, kind, events, firsts, human, machine, human_firsts) \
         on conflict (tenant_id, campaign, hour, kind, shard) do update set \
           events_count = r.events_count + excluded.events_count, \
           firsts_count = r.firsts_count + excluded.firsts_count, \
           human_events_count = r.human_events_count + excluded.human_events_count, \
           machine_events_count = r.machine_events_count + excluded.machine_events_count, \
           human_firsts_count = r.human_firsts_count + excluded.human_firsts_count"
    );
    let statement = client.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 9] = [
        &tenants,
        &campaigns,
        &starts,
        &kinds,
        &numbers(|change| change.events.all),
        &numbers(|change| change.firsts),
        &numbers(|change| change.events.human),
        &numbers(|change| change.events.machine),
        &numbers(|change| change.human_firsts),
    ];
    client.execute(&statement, &values).await?;
    Ok(())
}

async fn add_links(
    client: &impl GenericClient,
    changes: &Changes<'_>,
) -> Result<(), DatabaseError> {
    let links = changes
        .links
        .iter()
        .filter(|(_, clicks)| !clicks.is_nothing());
    let mut links: Vec<_> = links
        .map(|(key, clicks)| {
            let digest: [u8; 32] = Sha256::digest(key.url).into();
            (key.tenant, key.campaign, key.index, digest, key, *clicks)
        })
        .collect();
    if links.is_empty() {
        return Ok(());
    }
    links.sort_unstable_by_key(|(tenant, campaign, index, digest, key, _)| {
        (*tenant, *campaign, *index, *digest, key.day)
    });
    let tenants: Vec<i32> = links.iter().map(|(tenant, ..)| *tenant).collect();
    let campaigns: Vec<&str> = links.iter().map(|(_, campaign, ..)| *campaign).collect();
    let days: Vec<_> = links
        .iter()
        .map(|(.., key, _)| Timestamp(key.day.start()))
        .collect();
    let indices: Vec<i64> = links.iter().map(|(_, _, index, ..)| *index).collect();
    let digests: Vec<&[u8]> = links
        .iter()
        .map(|(_, _, _, digest, ..)| digest.as_slice())
        .collect();
    let urls: Vec<&str> = links.iter().map(|(.., key, _)| key.url).collect();
    let clicks = |pick: fn(&Tally) -> i64| -> Vec<i64> {
        links.iter().map(|(.., clicks)| pick(clicks)).collect()
    };
    let sql = format!(
        "insert into link_rollups as r \
           (tenant_id, campaign, day, link_index, url_digest, shard, url, clicks_count, \
            human_clicks_count, machine_clicks_count) \
         select d.tenant_id, d.campaign, (d.day at time zone 'UTC')::date, d.link_index, \
           d.url_digest, {SHARD}, d.url, d.clicks, d.human, d.machine \
         from unnest($1::int[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bytea[], \
           $6::text[], $7::bigint[], $8::bigint[], $9::bigint[]) \
           as d (tenant_id, campaign, day, link_index, url_digest, url, clicks, human, machine) \
         on conflict (tenant_id, campaign, link_index, url_digest, day, shard) do update set \
           clicks_count = r.clicks_count + excluded.clicks_count, \
           human_clicks_count = r.human_clicks_count + excluded.human_clicks_count, \
           machine_clicks_count = r.machine_clicks_count + excluded.machine_clicks_count"
    );
    let statement = client.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 9] = [
        &tenants,
        &campaigns,
        &days,
        &indices,
        &digests,
        &urls,
        &clicks(|clicks| clicks.all),
        &clicks(|clicks| clicks.human),
        &clicks(|clicks| clicks.machine),
    ];
    client.execute(&statement, &values).await?;
    Ok(())
}

/// Moves what was counted for these sends from the campaign they had to the one given with each.
/// Their rows must be locked.
pub(crate) async fn move_sends(
    client: &impl GenericClient,
    tenant: TenantId,
    sends: &[(&Send, &str)],
) -> Result<(), DatabaseError> {
    let contacts: Vec<Uuid> = sends
        .iter()
        .map(|(send, _)| send.contact_id.uuid())
        .collect();
    let ids: Vec<&str> = sends.iter().map(|(send, _)| send.id.as_str()).collect();
    let sql = "select d.nth, e.id, e.kind, e.link_index, e.url, e.verdict \
               from unnest($2::uuid[], $3::text[]) with ordinality as d (contact_id, send_id, nth) \
               join events e on e.tenant_id = $1 and e.contact_id = d.contact_id \
                 and e.send_id = d.send_id";
    let statement = client.prepare_cached(sql).await?;
    let tenant = key(tenant);
    let rows = client
        .query(&statement, &[&tenant, &contacts, &ids])
        .await?;
    let mut changes = Changes::default();
    for (send, new) in sends {
        let firsts = [
            (EventType::Opened, Whose::Anyones, send.opened_at),
            (EventType::Clicked, Whose::Anyones, send.clicked_at),
            (EventType::Opened, Whose::Peoples, send.human_opened_at),
            (EventType::Clicked, Whose::Peoples, send.human_clicked_at),
        ];
        for (kind, whose, first) in firsts {
            let Some(at) = first else { continue };
            for (campaign, sign) in [(send.campaign.as_deref(), -1), (Some(*new), 1)] {
                changes.add_firsts(Of { tenant, campaign }, kind, (whose, at), sign);
            }
        }
    }
    for row in &rows {
        let nth = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
        let (send, kind) = (
            sends.get(nth.saturating_sub(1)),
            EventType::from_number(row.get(2)),
        );
        let (Some((send, new)), Some(kind)) = (send, kind) else {
            continue;
        };
        let at = crate::events::time_of(row.get(1));
        let verdict: Option<i16> = row.get(5);
        let counted = Tally::of(verdict.and_then(Verdict::from_number));
        for (campaign, counted) in [(send.campaign.as_deref(), -counted), (Some(*new), counted)] {
            let of = Of { tenant, campaign };
            changes.add_events(of, kind, at, counted);
            if let (Some(index), Some(url)) = (row.get(3), row.get(4)) {
                changes.add_clicks(of, index, url, at, counted);
            }
        }
    }
    add(client, &changes).await
}
