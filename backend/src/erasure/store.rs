//! Tenants' erasure keys in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};

use super::{ContactHash, ErasureKey};
use crate::database::DatabaseError;
use crate::tenants::store::key;

/// The contact's keyed hash.
pub(crate) async fn hash(
    client: &impl GenericClient,
    tenant: TenantId,
    contact: ContactId,
) -> Result<ContactHash, DatabaseError> {
    let statement = client
        .prepare_cached("select erasure_key from tenants where id = $1")
        .await?;
    let row = client.query_opt(&statement, &[&key(tenant)]).await?;
    row.and_then(|row| ErasureKey::from_slice(row.get::<_, Option<&[u8]>>(0)?)?.hash(contact))
        .ok_or(DatabaseError::Unreadable("a tenant's erasure key"))
}
