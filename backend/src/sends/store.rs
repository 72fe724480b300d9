//! Sends in Postgres.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Progress, Send};
use crate::clock::Timestamp;
use crate::contacts;
use crate::database::DatabaseError;
use crate::tenants::store::key;

const COLUMNS: &str = "s.id, s.contact_id, s.campaign, s.registered_at, s.status, s.sent_at, \
                       s.failed_at, s.delivered_at, s.bounced_at, s.complained_at, s.opened_at, \
                       s.clicked_at, s.unsubscribed_at, s.opens_count, s.clicks_count, \
                       s.human_opened_at, s.human_clicked_at, s.human_opens_count, \
                       s.human_clicks_count, s.machine_opens_count, s.machine_clicks_count";

/// Where columns begin that a query adds to these.
const COLUMNS_COUNT: usize = 21;

fn read(row: &Row, email: Option<String>) -> Result<Send, DatabaseError> {
    let status: &str = row.get(4);
    Ok(Send {
        id: row.get(0),
        contact_id: ContactId::from_uuid(row.get(1)),
        email,
        campaign: row.get(2),
        registered_at: row.get(3),
        progress: Progress {
            status: status
                .parse()
                .map_err(|_| DatabaseError::Unreadable("a send's status"))?,
            sent_at: row.get(5),
            failed_at: row.get(6),
            delivered_at: row.get(7),
            bounced_at: row.get(8),
            complained_at: row.get(9),
        },
        opened_at: row.get(10),
        clicked_at: row.get(11),
        unsubscribed_at: row.get(12),
        opens_count: row.get(13),
        clicks_count: row.get(14),
        human_opened_at: row.get(15),
        human_clicked_at: row.get(16),
        human_opens_count: row.get(17),
        human_clicks_count: row.get(18),
        machine_opens_count: row.get(19),
        machine_clicks_count: row.get(20),
    })
}

pub(crate) async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    id: &str,
) -> Result<Option<Send>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS}, c.email from sends s \
         left join contacts c on c.tenant_id = s.tenant_id and c.id = s.contact_id \
         where s.tenant_id = $1 and s.id = $2"
    );
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&key(tenant), &id]).await?;
    row.map(|row| read(&row, row.get(COLUMNS_COUNT)))
        .transpose()
}

/// A contact's sends by id, after one of them.
pub(crate) async fn of_contact(
    client: &impl GenericClient,
    tenant: TenantId,
    contact: ContactId,
    after: &str,
    limit: i64,
) -> Result<Vec<Send>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS} from sends s where tenant_id = $1 and contact_id = $2 and id > $3 \
         order by id limit $4"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client
        .query(&statement, &[&key(tenant), &contact.uuid(), &after, &limit])
        .await?;
    rows.iter().map(|row| read(row, None)).collect()
}

/// Whose the sends among `ids` are that exist: the contact's id and address.
pub(crate) async fn owners(
    client: &impl GenericClient,
    tenant: TenantId,
    ids: &[&str],
) -> Result<HashMap<String, (ContactId, Option<String>)>, DatabaseError> {
    let sql = "select s.id, s.contact_id, c.email_key from sends s \
               left join contacts c on c.tenant_id = s.tenant_id and c.id = s.contact_id \
               where s.tenant_id = $1 and s.id = any($2)";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&key(tenant), &ids]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), (ContactId::from_uuid(row.get(1)), row.get(2))))
        .collect())
}

/// Inserts those that are not there yet, as queued.
pub(crate) async fn insert(
    client: &impl GenericClient,
    tenant: TenantId,
    sends: &BTreeMap<&str, (ContactId, Option<&str>)>,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let ids: Vec<&str> = sends.keys().copied().collect();
    let contacts: Vec<Uuid> = sends.values().map(|(contact, _)| contact.uuid()).collect();
    let campaigns: Vec<Option<&str>> = sends.values().map(|(_, campaign)| *campaign).collect();
    let sql = "insert into sends (tenant_id, id, contact_id, campaign, status, registered_at) \
               select $1, d.id, d.contact_id, d.campaign, 'queued', $5 \
               from unnest($2::text[], $3::uuid[], $4::text[]) as d (id, contact_id, campaign) \
               on conflict (tenant_id, id) do nothing";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[&key(tenant), &ids, &contacts, &campaigns, &now],
        )
        .await?;
    Ok(())
}

/// The rows must be locked.
pub(crate) async fn set_campaigns(
    client: &impl GenericClient,
    tenant: TenantId,
    campaigns: &BTreeMap<&str, &str>,
) -> Result<(), DatabaseError> {
    let ids: Vec<&str> = campaigns.keys().copied().collect();
    let names: Vec<&str> = campaigns.values().copied().collect();
    let sql = "update sends s set campaign = d.campaign \
               from unnest($2::text[], $3::text[]) as d (id, campaign) \
               where s.tenant_id = $1 and s.id = d.id";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&key(tenant), &ids, &names])
        .await?;
    Ok(())
}

/// The sends among `ids` that exist, with their rows and their contacts' rows locked until the
/// transaction ends.
pub(crate) async fn lock(
    client: &impl GenericClient,
    tenant: TenantId,
    ids: &[&str],
) -> Result<BTreeMap<String, Send>, DatabaseError> {
    let sql = "select distinct contact_id from sends where tenant_id = $1 and id = any($2)";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&key(tenant), &ids]).await?;
    let contacts: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    contacts::store::lock(client, tenant, &contacts).await?;
    let sql = format!(
        "select {COLUMNS} from sends s where tenant_id = $1 and id = any($2) \
         order by id for no key update"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&key(tenant), &ids]).await?;
    rows.iter()
        .map(|row| read(row, None).map(|send| (send.id.clone(), send)))
        .collect()
}

/// Writes what was reported. The rows must be locked.
pub(crate) async fn save_progress(
    client: &impl GenericClient,
    tenant: TenantId,
    sends: &[&Send],
) -> Result<(), DatabaseError> {
    let ids: Vec<&str> = sends.iter().map(|send| send.id.as_str()).collect();
    let statuses: Vec<&str> = sends
        .iter()
        .map(|send| send.progress.status.as_str())
        .collect();
    let times = |pick: fn(&Progress) -> Option<Timestamp>| -> Vec<Option<Timestamp>> {
        sends.iter().map(|send| pick(&send.progress)).collect()
    };
    // An open may have come before anybody said when its mail was sent.
    let sql = "with reported as ( \
                 update sends s set status = d.status, sent_at = d.sent_at, \
                   failed_at = d.failed_at, delivered_at = d.delivered_at, \
                   bounced_at = d.bounced_at, complained_at = d.complained_at \
                 from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], \
                             $6::timestamptz[], $7::timestamptz[], $8::timestamptz[]) \
                   as d (id, status, sent_at, failed_at, delivered_at, bounced_at, complained_at) \
                 where s.tenant_id = $1 and s.id = d.id \
                 returning s.tenant_id, s.id, s.contact_id, s.opens_count + s.clicks_count as seen) \
               insert into unsettled (tenant_id, send_id, contact_id) \
               select tenant_id, id, contact_id from reported where seen > 0 order by id \
               on conflict do nothing";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                &key(tenant),
                &ids,
                &statuses,
                &times(|progress| progress.sent_at),
                &times(|progress| progress.failed_at),
                &times(|progress| progress.delivered_at),
                &times(|progress| progress.bounced_at),
                &times(|progress| progress.complained_at),
            ],
        )
        .await?;
    Ok(())
}
