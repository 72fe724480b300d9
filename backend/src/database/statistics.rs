//! The planner's statistics of a new database.
//!
//! Until a table was analysed once, Postgres takes a tenant for a two-hundredth of it, and reads all
//! of a tenant's rows where a few look-ups would do. Its own analysis comes after a minute or more
//! of that; ours comes with the first rows. From then on autovacuum keeps statistics fresh.

use std::time::Duration;

use super::{DatabaseError, Pool, connect};

/// How often new tables are looked at until all of them have statistics.
const POLL: Duration = Duration::from_secs(3);

/// Tables that grow by traffic and are looked up by tenant and key.
const TABLES: [&str; 2] = ["contacts", "sends"];

/// Analyses tables as soon as they have rows, and returns once all have been analysed.
pub(crate) async fn analyze_new_tables(pool: &Pool) {
    loop {
        match analyze_once(pool).await {
            Ok(analyzed) if analyzed == TABLES.len() => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "new tables could not be analysed yet"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// How many of the tables have statistics. A database that is not migrated has none of them.
async fn analyze_once(pool: &Pool) -> Result<usize, DatabaseError> {
    let client = connect(pool).await?;
    // -1 rows: never vacuumed or analysed. A table without a page has no rows.
    let sql = "select relname::text, reltuples >= 0, pg_relation_size(oid) > 0 from pg_class \
               where oid = any(array(select to_regclass(name)::oid from unnest($1::text[]) as name))";
    let mut analyzed = 0;
    for row in client.query(sql, &[&TABLES.as_slice()]).await? {
        let (table, has_statistics, has_rows): (&str, bool, bool) =
            (row.get(0), row.get(1), row.get(2));
        if has_statistics {
            analyzed += 1;
        } else if has_rows {
            client.batch_execute(&format!("analyze {table}")).await?;
        }
    }
    Ok(analyzed)
}
