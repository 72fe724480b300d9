//! Previews in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use sha2::{Digest, Sha256};

use super::{KeptPreview, PreviewLink};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::rewriting::Preview;
use crate::tenants::store::key;

/// Keeps it in place of the campaign's one before. The same again, as the next part of a campaign
/// brings it, only makes it newer.
pub(crate) async fn keep(
    client: &impl GenericClient,
    tenant: TenantId,
    campaign: &str,
    preview: &Preview,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let (tenant, html) = (key(tenant), preview.html.as_bytes());
    let digest = Sha256::digest(html);
    let (digest, urls) = (digest.as_slice(), &preview.urls);
    let sql = "update previews set kept_at = $4 where tenant_id = $1 and campaign = $2 \
                 and html_digest = $3 and urls = $5";
    let statement = client.prepare_cached(sql).await?;
    let known = client
        .execute(&statement, &[&tenant, &campaign, &digest, &now, urls])
        .await?;
    if known > 0 {
        return Ok(());
    }
    let sql = "insert into previews (tenant_id, campaign, kept_at, html, urls, html_digest) \
               values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, campaign) do update set \
                 kept_at = excluded.kept_at, html = excluded.html, urls = excluded.urls, \
                 html_digest = excluded.html_digest";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[&tenant, &campaign, &now, &html, urls, &digest],
        )
        .await?;
    Ok(())
}

/// With the clicks that `GET /stats/links` shows of the same link.
pub(super) async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    campaign: &str,
) -> Result<Option<KeptPreview>, DatabaseError> {
    let tenant = key(tenant);
    let sql = "select kept_at, html from previews where tenant_id = $1 and campaign = $2";
    let statement = client.prepare_cached(sql).await?;
    let Some(row) = client.query_opt(&statement, &[&tenant, &campaign]).await? else {
        return Ok(None);
    };
    let html = String::from_utf8(row.get(1));
    let html = html.map_err(|_| DatabaseError::Unreadable("the HTML of a preview"))?;
    let sql = "select link.url, coalesce(sum(clicks_count), 0)::bigint, \
                 coalesce(sum(human_clicks_count), 0)::bigint, \
                 coalesce(sum(machine_clicks_count), 0)::bigint \
               from previews p cross join unnest(p.urls) with ordinality as link (url, number) \
               left join link_rollups r on r.tenant_id = $1 and r.campaign = $2 \
                 and r.link_index = link.number - 1 \
                 and r.url_digest = sha256(convert_to(link.url, 'UTF8')) \
               where p.tenant_id = $1 and p.campaign = $2 \
               group by link.number, link.url order by link.number";
    let statement = client.prepare_cached(sql).await?;
    let links = client.query(&statement, &[&tenant, &campaign]).await?;
    let links = links.iter().map(|row| PreviewLink {
        url: row.get(0),
        clicks: row.get(1),
        human: row.get(2),
        machine: row.get(3),
    });
    Ok(Some(KeptPreview {
        kept_at: row.get(0),
        html,
        links: links.collect(),
    }))
}

pub(crate) async fn count_older(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "select count(*) from previews where tenant_id = $1 and kept_at < $2";
    let row = client.query_one(sql, &[&key(tenant), &since]).await?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

pub(crate) async fn remove_older(
    client: &impl GenericClient,
    tenant: TenantId,
    since: Timestamp,
) -> Result<u64, DatabaseError> {
    let sql = "delete from previews where tenant_id = $1 and kept_at < $2";
    Ok(client.execute(sql, &[&key(tenant), &since]).await?)
}
