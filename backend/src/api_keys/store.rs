//! API keys in Postgres.

use kraiter_wire::TenantId;
use tokio_postgres::{GenericClient, Row};

use super::directory::StoredKey;
use super::{ApiKey, Credential, KeyName, Scope};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::tenants::store::key;

fn read(row: &Row) -> ApiKey {
    let scopes: Vec<String> = row.get(2);
    ApiKey {
        id: KeyName(row.get(0)),
        name: row.get(1),
        // A scope of a newer version is one that this version cannot grant.
        scopes: scopes
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect(),
        created_at: row.get(3),
        revoked_at: row.get(4),
    }
}

const COLUMNS: &str = "id, name, scopes, created_at, revoked_at";

/// Where columns begin that a query adds to these.
const COLUMNS_COUNT: usize = 5;

pub(crate) async fn create(
    client: &impl GenericClient,
    credential: &Credential,
    name: &str,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let hash = credential.secret_hash();
    client
        .execute(
            "insert into api_keys (tenant_id, id, name, secret_hash, scopes, created_at) \
             values ($1, $2, $3, $4, $5, $6)",
            &[
                &key(credential.tenant),
                &credential.id.0,
                &name,
                &hash.as_slice(),
                &scopes,
                &now,
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn find(
    client: &deadpool_postgres::Client,
    tenant: TenantId,
    id: KeyName,
) -> Result<Option<StoredKey>, DatabaseError> {
    let sql =
        format!("select {COLUMNS}, secret_hash from api_keys where tenant_id = $1 and id = $2");
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&key(tenant), &id.0]).await?;
    Ok(row.map(|row| StoredKey {
        key: read(&row),
        secret_hash: row.get(COLUMNS_COUNT),
    }))
}

pub(crate) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
) -> Result<Vec<ApiKey>, DatabaseError> {
    let sql =
        format!("select {COLUMNS} from api_keys where tenant_id = $1 order by created_at, id");
    Ok(client
        .query(&sql, &[&key(tenant)])
        .await?
        .iter()
        .map(read)
        .collect())
}

/// Whether a key that was valid is no more.
pub(crate) async fn is_revoked(
    client: &deadpool_postgres::Client,
    tenant: TenantId,
    id: KeyName,
) -> Result<bool, DatabaseError> {
    let sql = "select from api_keys where tenant_id = $1 and id = $2 and revoked_at is null";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[&key(tenant), &id.0]).await?;
    Ok(row.is_none())
}

/// `None` if the tenant has no such key. Revoking twice keeps the first time.
pub(crate) async fn revoke(
    client: &impl GenericClient,
    tenant: TenantId,
    id: KeyName,
    now: Timestamp,
) -> Result<Option<ApiKey>, DatabaseError> {
    let sql = format!(
        "update api_keys set revoked_at = coalesce(revoked_at, $3) \
         where tenant_id = $1 and id = $2 returning {COLUMNS}"
    );
    Ok(client
        .query_opt(&sql, &[&key(tenant), &id.0, &now])
        .await?
        .as_ref()
        .map(read))
}
