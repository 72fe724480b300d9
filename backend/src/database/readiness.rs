//! Whether the database can do what the service needs of it.

use super::migrations::versions;
use super::{DatabaseError, Pool, connect, leave_server};

/// What keeps the service from working although the database answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The schema lacks a version of this binary. More is fine: replicas are being replaced.
    Unmigrated,
    /// It takes no writes.
    ReadOnly,
}

/// Asks the database; `None` if it is well.
pub(crate) async fn check(pool: &Pool) -> Result<Option<Fault>, DatabaseError> {
    let client = connect(pool).await?;
    // Also says `on` on a standby.
    let sql = "select $1::int[] <@ array_agg(version), current_setting('transaction_read_only') = 'on' \
               from refinery_schema_history";
    let answer = async {
        let statement = client.prepare_cached(sql).await?;
        client.query_one(&statement, &[&versions()]).await
    };
    let row = match answer.await.map_err(DatabaseError::from) {
        Err(error) if error.is_missing_table() => return Ok(Some(Fault::Unmigrated)),
        row => row?,
    };
    let (applied, read_only): (Option<bool>, bool) = (row.get(0), row.get(1));
    drop(client);
    if read_only {
        leave_server(pool);
    }
    Ok(match (applied == Some(true), read_only) {
        (false, _) => Some(Fault::Unmigrated),
        (true, true) => Some(Fault::ReadOnly),
        (true, false) => None,
    })
}
