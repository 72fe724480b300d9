//! The open database of a command: a server elsewhere, or the private one.

use std::time::Duration;

use crate::config::{DatabaseChoice, StoreConfig};
use crate::database::{DatabaseUrl, Planner, Pool, migrate, pool};
use crate::private_postgres::{Durability, PrivatePostgres, StopMode};

pub(crate) struct Store {
    pub(crate) pool: Pool,
    url: DatabaseUrl,
    private: Option<PrivatePostgres>,
}

/// Whether the schema is brought up to date on opening. A private server always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Migrate {
    Yes,
    No,
}

impl Store {
    pub(crate) async fn open(
        config: &StoreConfig,
        connections: usize,
        wanted: Migrate,
    ) -> anyhow::Result<Self> {
        let (url, private) = match &config.database {
            DatabaseChoice::Url(url) => (DatabaseUrl::clone(url), None),
            DatabaseChoice::Private(folder) => {
                let server = PrivatePostgres::start(folder, Durability::Full).await?;
                (DatabaseUrl::parse(&server.url("postgres"))?, Some(server))
            }
        };
        let pool = pool(
            &url,
            connections,
            config.statement_timeout,
            Planner::Default,
        )?;
        let store = Self { pool, url, private };
        if wanted == Migrate::Yes || store.private.is_some() {
            match migrate(&store.pool).await {
                Ok(applied) => {
                    for migration in applied {
                        tracing::info!(migration, "migrated");
                    }
                }
                Err(error) => {
                    store.close().await?;
                    return Err(error.into());
                }
            }
        }
        Ok(store)
    }

    /// Connections besides the pool, for work that must not wait behind requests.
    pub(crate) fn separate_pool(
        &self,
        connections: usize,
        statement_timeout: Duration,
        planner: Planner,
    ) -> anyhow::Result<Pool> {
        Ok(pool(&self.url, connections, statement_timeout, planner)?)
    }

    /// Closes the connections and stops a private server that this command started.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.pool.close();
        match self.private {
            Some(server) => Ok(server.stop(StopMode::Fast).await?),
            None => Ok(()),
        }
    }
}
