//! The way to Postgres: URL, pool, migrations, partitions. Knows no table's meaning but the
//! partitioning of `events`.

pub(crate) mod locks;
mod migrations;
mod partitions;
mod pool;
mod readiness;
mod statistics;
mod url;

pub(crate) use migrations::migrate;
pub(crate) use partitions::{PartitionRange, Partitions, lowest_id};
pub(crate) use pool::{Client, DatabaseError, Planner, Pool, connect, leave_server, pool};
pub(crate) use readiness::{Fault, check};
pub(crate) use statistics::analyze_new_tables;
pub(crate) use url::DatabaseUrl;
