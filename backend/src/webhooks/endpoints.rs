//! Endpoints in Postgres.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Endpoint, EndpointId, Filter, Health, Pause, PausedBy, Secret, Secrets};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::tenants::store::key;
use crate::verdicts::Verdict;

pub(super) const COLUMNS: &str = "e.id, e.url, e.description, e.kinds, e.verdicts, e.batch_size, \
    e.created_at, e.secret, e.previous_secret, e.previous_secret_until, e.paused_at, e.paused_by, \
    e.pause_reason, e.failures, e.failing_since, e.last_accepted_at, e.last_failed_at, e.last_error";
/// Where columns begin that a query adds to these.
pub(super) const COLUMNS_COUNT: usize = 18;

/// What Postgres holds was checked before it was written; a URL that cannot be read was changed by
/// other hands.
pub(super) fn read(row: &Row) -> Result<Endpoint, DatabaseError> {
    let unreadable = |_| DatabaseError::Unreadable("a webhook's URL");
    let kinds: Option<Vec<i16>> = row.get(3);
    let types = kinds.map(|kinds| kinds.into_iter().filter_map(EventType::from_number));
    let verdicts: Option<Vec<i16>> = row.get(4);
    let verdicts = verdicts.map(|all| all.into_iter().filter_map(Verdict::from_number));
    let previous: Option<Vec<u8>> = row.get(8);
    let previous = previous.map(Secret::from_bytes).zip(row.get(9));
    let paused_at: Option<Timestamp> = row.get(10);
    Ok(Endpoint {
        id: EndpointId(row.get(0)),
        url: row.get::<_, &str>(1).parse().map_err(unreadable)?,
        description: row.get(2),
        filter: Filter {
            types: types.map(Iterator::collect),
            verdicts: verdicts.map(Iterator::collect),
        },
        batch_size: u16::try_from(row.get::<_, i32>(5)).unwrap_or(1),
        created_at: row.get(6),
        secrets: Secrets {
            current: Secret::from_bytes(row.get(7)),
            previous,
        },
        pause: paused_at.map(|at| Pause {
            at,
            by: match row.get::<_, Option<&str>>(11) {
                Some("service") => PausedBy::Service,
                _ => PausedBy::Tenant,
            },
            reason: row.get(12),
        }),
        health: Health {
            failures: row.get(13),
            failing_since: row.get(14),
            last_accepted_at: row.get(15),
            last_failed_at: row.get(16),
            last_error: row.get(17),
        },
    })
}

pub(super) async fn count(
    client: &impl GenericClient,
    tenant: TenantId,
) -> Result<i64, DatabaseError> {
    let sql = "select count(*) from webhook_endpoints where tenant_id = $1";
    Ok(client.query_one(sql, &[&key(tenant)]).await?.get(0))
}

/// All of a tenant, oldest first, after one of them.
pub(super) async fn list(
    client: &impl GenericClient,
    tenant: i32,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Endpoint>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS} from webhook_endpoints e where e.tenant_id = $1 \
           and ($2::uuid is null or e.id > $2) order by e.id limit $3"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&tenant, &after, &limit]).await?;
    rows.iter().map(read).collect()
}

/// All of a tenant, kept from being deleted until the transaction ends.
pub(super) async fn keep(
    tx: &impl GenericClient,
    tenant: i32,
) -> Result<Vec<Endpoint>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS} from webhook_endpoints e where e.tenant_id = $1 \
         order by e.id for key share"
    );
    let statement = tx.prepare_cached(&sql).await?;
    let rows = tx.query(&statement, &[&tenant]).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    id: EndpointId,
) -> Result<Option<Endpoint>, DatabaseError> {
    found(client, tenant, id, "").await
}

/// With its row locked until the transaction ends.
pub(super) async fn lock(
    tx: &impl GenericClient,
    tenant: TenantId,
    id: EndpointId,
) -> Result<Option<Endpoint>, DatabaseError> {
    found(tx, tenant, id, "for no key update").await
}

async fn found(
    client: &impl GenericClient,
    tenant: TenantId,
    id: EndpointId,
    lock: &str,
) -> Result<Option<Endpoint>, DatabaseError> {
    let sql = format!(
        "select {COLUMNS} from webhook_endpoints e where e.tenant_id = $1 and e.id = $2 {lock}"
    );
    let row = client.query_opt(&sql, &[&key(tenant), &id.0]).await?;
    row.as_ref().map(read).transpose()
}

fn numbers(filter: &Filter) -> (Option<Vec<i16>>, Option<Vec<i16>>) {
    let types = filter.types.as_ref();
    let verdicts = filter.verdicts.as_ref();
    (
        types.map(|types| types.iter().map(|kind| kind.number()).collect()),
        verdicts.map(|all| all.iter().map(|verdict| verdict.number()).collect()),
    )
}

pub(super) async fn insert(
    tx: &impl GenericClient,
    tenant: TenantId,
    new: &Endpoint,
) -> Result<(), DatabaseError> {
    let (kinds, verdicts) = numbers(&new.filter);
    tx.execute(
        "insert into webhook_endpoints (tenant_id, id, url, description, kinds, verdicts, \
           batch_size, created_at, secret) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &key(tenant),
            &new.id.0,
            &new.url.as_str(),
            &new.description,
            &kinds,
            &verdicts,
            &i32::from(new.batch_size),
            &new.created_at,
            &new.secrets.current.as_bytes(),
        ],
    )
    .await?;
    Ok(())
}

/// What its tenant decides about it.
pub(super) async fn update(
    tx: &impl GenericClient,
    tenant: TenantId,
    endpoint: &Endpoint,
) -> Result<(), DatabaseError> {
    let (kinds, verdicts) = numbers(&endpoint.filter);
    tx.execute(
        "update webhook_endpoints set url = $3, description = $4, kinds = $5, verdicts = $6, \
           batch_size = $7 where tenant_id = $1 and id = $2",
        &[
            &key(tenant),
            &endpoint.id.0,
            &endpoint.url.as_str(),
            &endpoint.description,
            &kinds,
            &verdicts,
            &i32::from(endpoint.batch_size),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn set_secrets(
    tx: &impl GenericClient,
    tenant: TenantId,
    id: EndpointId,
    secrets: &Secrets,
) -> Result<(), DatabaseError> {
    let previous = secrets.previous.as_ref();
    tx.execute(
        "update webhook_endpoints set secret = $3, previous_secret = $4, \
           previous_secret_until = $5 where tenant_id = $1 and id = $2",
        &[
            &key(tenant),
            &id.0,
            &secrets.current.as_bytes(),
            &previous.map(|(secret, _)| secret.as_bytes()),
            &previous.map(|(_, until)| *until),
        ],
    )
    .await?;
    Ok(())
}

/// Pauses it unless it is paused already, which is then said by `false`.
pub(super) async fn pause(
    tx: &impl GenericClient,
    tenant: i32,
    id: EndpointId,
    pause: &Pause,
) -> Result<bool, DatabaseError> {
    let sql = "update webhook_endpoints set paused_at = $3, paused_by = $4, pause_reason = $5 \
               where tenant_id = $1 and id = $2 and paused_at is null";
    let paused = tx
        .execute(
            sql,
            &[&tenant, &id.0, &pause.at, &pause.by.as_str(), &pause.reason],
        )
        .await?;
    Ok(paused > 0)
}

/// Sends again, with its failures forgotten.
pub(super) async fn resume(
    tx: &impl GenericClient,
    tenant: TenantId,
    id: EndpointId,
) -> Result<(), DatabaseError> {
    let sql = "update webhook_endpoints set paused_at = null, paused_by = null, \
                 pause_reason = null, failures = 0, failing_since = null \
               where tenant_id = $1 and id = $2";
    tx.execute(sql, &[&key(tenant), &id.0]).await?;
    Ok(())
}

/// Removes it with its deliveries.
pub(super) async fn delete(
    tx: &impl GenericClient,
    tenant: TenantId,
    id: EndpointId,
) -> Result<(), DatabaseError> {
    for sql in [
        "delete from webhook_endpoints where tenant_id = $1 and id = $2",
        "delete from webhook_deliveries where tenant_id = $1 and endpoint_id = $2",
    ] {
        tx.execute(sql, &[&key(tenant), &id.0]).await?;
    }
    Ok(())
}

/// How often at most an endpoint that is well is noted to be.
const NOTED_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn accepted(
    client: &impl GenericClient,
    tenant: i32,
    id: EndpointId,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let sql = "update webhook_endpoints set failures = 0, failing_since = null, \
                 last_accepted_at = $3 \
               where tenant_id = $1 and id = $2 and (failures > 0 or last_accepted_at is null \
                 or last_accepted_at < $4)";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&tenant, &id.0, &now, &now.minus(NOTED_EVERY)])
        .await?;
    Ok(())
}

/// How it went with an endpoint before one more failure was noted.
pub(super) struct Failing {
    pub(super) since: Timestamp,
    pub(super) last_accepted_at: Option<Timestamp>,
}

/// `None` if it was deleted.
pub(super) async fn failed(
    client: &impl GenericClient,
    tenant: i32,
    id: EndpointId,
    error: &str,
    now: Timestamp,
) -> Result<Option<Failing>, DatabaseError> {
    let sql = "update webhook_endpoints set failures = failures + 1, last_failed_at = $3, \
                 failing_since = coalesce(failing_since, $3), last_error = $4 \
               where tenant_id = $1 and id = $2 returning failing_since, last_accepted_at";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_opt(&statement, &[&tenant, &id.0, &now, &error])
        .await?;
    Ok(row.map(|row| Failing {
        since: row.get(0),
        last_accepted_at: row.get(1),
    }))
}
