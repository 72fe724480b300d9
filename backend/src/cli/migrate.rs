//! `kraiter migrate`.

use serde::Serialize;

use super::output::Output;
use crate::config::{DatabaseChoice, StoreConfig};
use crate::database::{Planner, migrate, pool};
use crate::store::{Migrate, Store};

#[derive(Serialize)]
struct Applied {
    applied: Vec<String>,
}

pub(super) async fn run(config: StoreConfig, output: Output) -> anyhow::Result<()> {
    let applied = match &config.database {
        DatabaseChoice::Url(url) => {
            migrate(&pool(url, 2, config.statement_timeout, Planner::Default)?).await?
        }
        // Opening a private server migrates it.
        DatabaseChoice::Private(_) => {
            Store::open(&config, 2, Migrate::No).await?.close().await?;
            Vec::new()
        }
    };
    output.show(
        &Applied {
            applied: applied.clone(),
        },
        || match applied.is_empty() {
            true => "The database is up to date.".to_owned(),
            false => format!("Applied {}.", applied.join(", ")),
        },
    )
}
