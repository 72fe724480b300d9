//! The schema's versions.

use super::{DatabaseError, Partitions, Pool, connect, locks};
use crate::clock;

mod embedded {
    refinery::embed_migrations!("migrations");
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrationError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("a migration failed: {0}")]
    Migration(#[from] refinery::Error),
}

/// Brings the schema to this version and makes the partitions that are needed next. Several
/// replicas may do this at once; one works, the others wait.
pub(crate) async fn migrate(pool: &Pool) -> Result<Vec<String>, MigrationError> {
    let mut client = connect(pool).await?;
    // A lock of the session, so that migrations may commit one by one.
    client
        .batch_execute(&format!(
            "set statement_timeout = 0; select pg_advisory_lock({})",
            locks::MIGRATION
        ))
        .await
        .map_err(DatabaseError::from)?;
    let result = embedded::migrations::runner()
        .run_async(&mut **client)
        .await;
    client
        .batch_execute(&format!(
            "select pg_advisory_unlock({}); reset statement_timeout",
            locks::MIGRATION
        ))
        .await
        .map_err(DatabaseError::from)?;
    let applied = result?
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect();
    drop(client);
    Partitions::default()
        .ensure_ahead(pool, clock::now())
        .await?;
    Ok(applied)
}

/// The versions that the schema of this binary is made of.
pub(super) fn versions() -> Vec<i32> {
    let migrations = embedded::migrations::runner();
    let versions = migrations.get_migrations().iter();
    versions.map(refinery::Migration::version).collect()
}
