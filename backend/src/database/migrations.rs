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
    let result = match runner() {
        Ok(runner) => runner.run_async(&mut **client).await,
        Err(error) => Err(error),
    };
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

/// Applies whatever was not applied yet, by version. Two that were written at the same time may
/// reach a database in either order: what is there already does not keep a lower number away.
fn runner() -> Result<refinery::Runner, refinery::Error> {
    let written = embedded::migrations::runner();
    let migrations = written.get_migrations().iter().map(|migration| {
        let (version, name) = (migration.version(), migration.name());
        // The letter says that order does not matter; it is no part of the checksum.
        let name = format!("U{version}__{name}");
        refinery::Migration::unapplied(&name, migration.sql().unwrap_or_default())
    });
    Ok(refinery::Runner::new(
        &migrations.collect::<Result<Vec<_>, _>>()?,
    ))
}

/// The versions that the schema of this binary is made of.
pub(super) fn versions() -> Vec<i32> {
    let migrations = embedded::migrations::runner();
    let versions = migrations.get_migrations().iter();
    versions.map(refinery::Migration::version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_may_come_late_is_still_the_one_that_was_written() {
        let written = embedded::migrations::runner();
        let applied = runner().unwrap();
        let sums = |runner: &refinery::Runner| -> Vec<(i32, String, u64)> {
            let all = runner.get_migrations().iter();
            all.map(|it| (it.version(), it.name().to_owned(), it.checksum()))
                .collect()
        };
        assert_eq!(sums(&applied), sums(&written));
        assert!(sums(&applied).len() > 4);
    }
}
