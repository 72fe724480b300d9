//! The schema's versions.

use tokio_postgres::error::SqlState;

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

/// Whether the schema is the one that this binary was built for (or a newer one, while replicas
/// are being replaced).
pub(crate) async fn is_migrated(pool: &Pool) -> Result<bool, DatabaseError> {
    let client = connect(pool).await?;
    let newest = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max();
    let rows = client
        .query("select max(version) from refinery_schema_history", &[])
        .await;
    match rows {
        Ok(rows) => {
            let applied: Option<i32> = rows.first().and_then(|row| row.get(0));
            Ok(applied.map(i64::from) >= newest.map(i64::from))
        }
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
