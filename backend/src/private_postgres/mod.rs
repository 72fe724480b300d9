//! A Postgres server of our own under a folder, for trying the system and for tests.
//!
//! Finds the installed binaries, makes a cluster, starts it on a loopback port of the system's
//! choice and stops it again. Knows nothing of the schema.

mod binaries;
mod cluster;
mod process;

use std::path::{Path, PathBuf};

pub use binaries::BinariesError;
pub use process::StopMode;

use process::Running;

/// How much the cluster does to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Postgres's defaults: what was committed survives.
    Full,
    /// No syncing at all: for tests, which survive killed processes but no power cut.
    None,
}

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        program: &'static str,
        status: std::process::ExitStatus,
        output: String,
    },
    #[error("cannot run {}: {source}", program.display())]
    Spawn {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "Postgres refuses to run as root, and neither a user named postgres nor nobody exists; \
         run as another user, or set DATABASE_URL"
    )]
    NoUser,
    #[error("Postgres did not start; the end of its log {}:\n{tail}", log.display())]
    NotStarted { log: PathBuf, tail: String },
    #[error("Postgres (process {pid}) did not stop; see {}", log.display())]
    NotStopped { pid: i32, log: PathBuf },
}

/// A running server, either started here (and stopped by [`PrivatePostgres::stop`]) or found
/// running because another command of ours on the same folder started it.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: cluster::Cluster,
    running: Running,
}

impl PrivatePostgres {
    /// Starts the server of `folder`, making the cluster first if there is none. Waits until it
    /// takes connections.
    ///
    /// Must be called from a thread that lives as long as the server should: on Linux the server
    /// is told to stop when that thread ends, so that a killed process leaves none behind.
    pub async fn start(
        folder: &Path,
        durability: Durability,
    ) -> Result<Self, PrivatePostgresError> {
        let binaries = binaries::find()?;
        let cluster = cluster::open_or_create(folder, &binaries, durability).await?;
        let running = process::start(&cluster, &binaries, durability).await?;
        Ok(Self { cluster, running })
    }

    /// A connection URL with the password in it.
    pub fn url(&self, database: &str) -> String {
        let port = self.running.port;
        format!(
            "postgres://kraiter:{}@127.0.0.1:{port}/{database}",
            self.cluster.password
        )
    }

    /// The server's main process.
    pub fn pid(&self) -> i32 {
        self.running.pid
    }

    /// The port on 127.0.0.1; another one after each start.
    pub fn port(&self) -> u16 {
        self.running.port
    }

    /// Where the server logs.
    pub fn log(&self) -> &Path {
        &self.cluster.log
    }

    /// Stops the server, unless another command started it.
    pub async fn stop(self, mode: StopMode) -> Result<(), PrivatePostgresError> {
        process::stop(self.running, &self.cluster, mode).await
    }
}
