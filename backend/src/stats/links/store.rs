//! Clicks by link in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Days, LinkClicks, Place};
use crate::database::DatabaseError;
use crate::events::{EventType, lowest_id};
use crate::tenants::store::key;

/// What `select`s of links have in common: the page. `$2` to `$5` are where the page before ended,
/// if there was one, and how many links are wanted.
const PAGE: &str = "where clicks > 0 and ($2::bigint is null or clicks < $2 \
                      or (clicks = $2 and (link_index, url_digest) > ($3::bigint, $4::bytea))) \
                    order by clicks desc, link_index, url_digest limit $5";

/// Most clicks first.
pub(super) async fn of_campaign(
    client: &impl GenericClient,
    tenant: TenantId,
    campaign: &str,
    days: Days,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<LinkClicks>, DatabaseError> {
    let sql = format!(
        "select url, clicks, link_index, url_digest, human, machine from ( \
           select link_index, url_digest, min(url) as url, sum(clicks_count)::bigint as clicks, \
             sum(human_clicks_count)::bigint as human, \
             sum(machine_clicks_count)::bigint as machine \
           from link_rollups where tenant_id = $1 and campaign = $6 \
             and ($7::text is null or day >= $7::text::date) \
             and ($8::text is null or day < $8::text::date) \
           group by link_index, url_digest \
         ) as links {PAGE}"
    );
    let (from, to) = (
        days.from.map(|day| day.to_string()),
        days.to.map(|day| day.to_string()),
    );
    list(client, tenant, &sql, after, limit, &[&campaign, &from, &to]).await
}

/// Most clicks first.
pub(super) async fn of_send(
    client: &impl GenericClient,
    tenant: TenantId,
    (send, contact): (&str, ContactId),
    days: Days,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<LinkClicks>, DatabaseError> {
    // A contact's events have an index, a send's have none: a send is found through its contact.
    let sql = format!(
        "select url, clicks, link_index, url_digest, human, machine from ( \
           select coalesce(link_index, 0) as link_index, \
             sha256(convert_to(url, 'UTF8')) as url_digest, url, count(*) as clicks, \
             count(*) filter (where verdict = 1) as human, \
             count(*) filter (where verdict = 2) as machine \
           from events where tenant_id = $1 and contact_id = $7 and send_id = $6 and kind = $8 \
             and id >= $9 and ($10::uuid is null or id < $10) and url is not null \
           group by link_index, url \
         ) as links {PAGE}"
    );
    let id = |day| super::start(day).map(lowest_id);
    let from = days.from.and_then(id).unwrap_or_default();
    let to = days.to.and_then(id);
    let (contact, clicked) = (contact.uuid(), EventType::Clicked.number());
    let values: [&(dyn ToSql + Sync); 5] = [&send, &contact, &clicked, &from, &to];
    list(client, tenant, &sql, after, limit, &values).await
}

async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    sql: &str,
    after: Option<Place>,
    limit: i64,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<LinkClicks>, DatabaseError> {
    let tenant = key(tenant);
    let (clicks, index) = (after.map(|at| at.clicks), after.map(|at| at.index));
    let digest = after.map(|at| at.digest.to_vec());
    let mut all: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &clicks, &index, &digest, &limit];
    all.extend(values);
    let statement = client.prepare_cached(sql).await?;
    client
        .query(&statement, &all)
        .await?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &Row) -> Result<LinkClicks, DatabaseError> {
    let digest: &[u8] = row.get(3);
    let digest = digest.try_into();
    Ok(LinkClicks {
        url: row.get(0),
        human: row.get(4),
        machine: row.get(5),
        place: Place {
            clicks: row.get(1),
            index: row.get(2),
            digest: digest.map_err(|_| DatabaseError::Unreadable("the digest of a URL"))?,
        },
    })
}
