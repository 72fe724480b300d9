//! Tenants in Postgres.

use anyhow::Context;
use kraiter_wire::TenantId;
use tokio_postgres::{GenericClient, Row};

use super::{Days, OwnLines, Settings, Tenant, TenantName, TrackingOrigin};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

const COLUMNS: &str = "id, name, created_at, tracking_origin, tracking_path_prefix, \
                       tracking_enabled, address_mode, retention_days, recording_max_age_days, \
                       too_soon_millis, burst_millis, sweep_millis, many_recipients, \
                       many_recipients_millis, kept_since";

/// What Postgres holds is what was checked before it was written, so a row that cannot be read
/// was changed by other hands; it is left out with a log line.
fn read(row: &Row) -> Option<Tenant> {
    let tenant: anyhow::Result<Tenant> = (|| {
        let id = u32::try_from(row.get::<_, i32>(0))
            .ok()
            .and_then(TenantId::new);
        let text = |column| row.get::<_, &str>(column);
        let days = |days: i32| Days::try_from(i64::from(days)).map_err(anyhow::Error::msg);
        Ok(Tenant {
            id: id.context("the id is not positive")?,
            name: text(1).parse().map_err(anyhow::Error::msg)?,
            created_at: row.get(2),
            settings: Settings {
                tracking_origin: text(3).parse()?,
                tracking_path_prefix: text(4).parse()?,
                tracking_enabled: row.get(5),
                address_mode: text(6).parse().map_err(anyhow::Error::msg)?,
                retention_days: days(row.get(7))?,
                recording_max_age_days: row.get::<_, Option<i32>>(8).map(days).transpose()?,
                verdicts: OwnLines {
                    too_soon_millis: row.get(9),
                    burst_millis: row.get(10),
                    sweep_millis: row.get(11),
                    many_recipients: row.get(12),
                    many_recipients_millis: row.get(13),
                },
            },
            kept_since: row.get(14),
        })
    })();
    tenant
        .inspect_err(
            |error| tracing::error!(tenant = row.get::<_, i32>(0), %error, "unreadable tenant"),
        )
        .ok()
}

/// A tenant id as Postgres holds it. Ids above its range are never given out, so none is found.
pub(crate) fn key(tenant: TenantId) -> i32 {
    i32::try_from(tenant.get()).unwrap_or(0)
}

/// Returns the existing tenant if the name is taken.
pub(crate) async fn create(
    client: &mut impl GenericClient,
    name: &TenantName,
    tracking_origin: &TrackingOrigin,
    now: Timestamp,
) -> Result<Result<Tenant, Tenant>, DatabaseError> {
    let tx = client.transaction().await?;
    // Ids are given out one by one, and names looked at, under the table's own lock.
    tx.batch_execute("lock table tenants in share row exclusive mode")
        .await?;
    let sql = format!("select {COLUMNS} from tenants where name = $1");
    if let Some(taken) = tx
        .query_opt(&sql, &[&name.as_str()])
        .await?
        .as_ref()
        .and_then(read)
    {
        return Ok(Err(taken));
    }
    let sql = format!(
        "insert into tenants (id, name, created_at, tracking_origin) \
         select coalesce(max(id), 0) + 1, $1, $2, $3 from tenants returning {COLUMNS}"
    );
    let origin = tracking_origin.as_str();
    let row = tx.query_one(&sql, &[&name.as_str(), &now, &origin]).await?;
    tx.commit().await?;
    read(&row)
        .map(Ok)
        .ok_or(DatabaseError::Unreadable("the tenant just made"))
}

pub(crate) async fn list(client: &impl GenericClient) -> Result<Vec<Tenant>, DatabaseError> {
    let sql = format!("select {COLUMNS} from tenants order by id");
    Ok(client
        .query(&sql, &[])
        .await?
        .iter()
        .filter_map(read)
        .collect())
}

pub(crate) async fn by_ids(
    client: &impl GenericClient,
    ids: &[TenantId],
) -> Result<Vec<Tenant>, DatabaseError> {
    let sql = format!("select {COLUMNS} from tenants where id = any($1)");
    let keys: Vec<i32> = ids.iter().map(|id| key(*id)).collect();
    Ok(client
        .query(&sql, &[&keys])
        .await?
        .iter()
        .filter_map(read)
        .collect())
}

/// The tenant with its row locked until the transaction ends.
pub(crate) async fn lock(
    client: &impl GenericClient,
    id: TenantId,
) -> Result<Option<Tenant>, DatabaseError> {
    let sql = format!("select {COLUMNS} from tenants where id = $1 for no key update");
    let row = client.query_opt(&sql, &[&key(id)]).await?;
    Ok(row.as_ref().and_then(read))
}

pub(crate) async fn update_settings(
    client: &impl GenericClient,
    tenant: TenantId,
    settings: &Settings,
) -> Result<(), DatabaseError> {
    let days = |days: super::Days| i32::from(days.get());
    client
        .execute(
            "update tenants set tracking_origin = $2, tracking_path_prefix = $3, \
             tracking_enabled = $4, address_mode = $5, retention_days = $6, \
             recording_max_age_days = $7, too_soon_millis = $8, burst_millis = $9, \
             sweep_millis = $10, many_recipients = $11, many_recipients_millis = $12 \
             where id = $1",
            &[
                &key(tenant),
                &settings.tracking_origin.as_str(),
                &settings.tracking_path_prefix.as_str(),
                &settings.tracking_enabled,
                &settings.address_mode.as_str(),
                &days(settings.retention_days),
                &settings.recording_max_age_days.map(days),
                &settings.verdicts.too_soon_millis,
                &settings.verdicts.burst_millis,
                &settings.verdicts.sweep_millis,
                &settings.verdicts.many_recipients,
                &settings.verdicts.many_recipients_millis,
            ],
        )
        .await?;
    Ok(())
}
