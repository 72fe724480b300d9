//! Configuration: read once, from flags, environment and secret files, all mistakes reported at
//! once and before a port is bound. Nothing else in the crate reads the environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kraiter_wire::Secret;

use crate::database::DatabaseUrl;

/// Where a command finds the database and the secrets. Part of every subcommand.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Postgres to use, as a postgres:// URL. Without it, a private server runs under the data
    /// folder. `sslmode=require` in it asks for TLS, `sslrootcert=FILE` names a CA of your own.
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        global = true,
        value_name = "URL"
    )]
    database_url: Option<String>,

    /// Folder for the private Postgres and for secrets that are not given otherwise.
    #[arg(
        long,
        env = "KRAITER_DATA_DIR",
        default_value = "./data",
        global = true,
        value_name = "DIR"
    )]
    data_dir: PathBuf,

    /// Signing keys [default: keyring.json in the data folder].
    #[arg(long, env = "KRAITER_KEYRING_FILE", global = true, value_name = "FILE")]
    keyring_file: Option<PathBuf>,
}

/// What only `serve` is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address and port of the HTTP API. Port 0 lets the system choose.
    #[arg(
        long,
        env = "KRAITER_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR:PORT"
    )]
    listen: SocketAddr,

    /// Write the address to this file once requests are answered.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,

    /// Bearer secret that edges send their batches with [default: made and kept in
    /// ingest.secret in the data folder].
    #[arg(
        long,
        env = "KRAITER_INGEST_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    ingest_secret: Option<String>,

    /// File that holds the ingest secret.
    #[arg(
        long,
        env = "KRAITER_INGEST_SECRET_FILE",
        value_name = "FILE",
        conflicts_with = "ingest_secret"
    )]
    ingest_secret_file: Option<PathBuf>,

    /// Migrate the database before serving (a private Postgres is always migrated).
    #[arg(long, env = "KRAITER_MIGRATE")]
    migrate: bool,

    /// Connections to Postgres that API requests share.
    #[arg(long, env = "KRAITER_DATABASE_CONNECTIONS", default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=500))]
    database_connections: u16,

    /// Connections that write events.
    #[arg(long, env = "KRAITER_INGEST_WRITERS", default_value_t = 2, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    ingest_writers: u16,
}

/// Where the database is.
#[derive(Clone, Debug)]
pub(crate) enum DatabaseChoice {
    Url(Box<DatabaseUrl>),
    /// A private server whose cluster lies in this folder.
    Private(PathBuf),
}

#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    pub(crate) database: DatabaseChoice,
    pub(crate) keyring_file: PathBuf,
}

#[derive(Debug)]
pub(crate) struct ServeConfig {
    pub(crate) store: StoreConfig,
    pub(crate) listen: SocketAddr,
    pub(crate) address_file: Option<PathBuf>,
    pub(crate) ingest_secret: IngestSecret,
    pub(crate) migrate: bool,
    pub(crate) database_connections: usize,
    pub(crate) ingest_writers: usize,
}

/// Shorter bearer secrets can be guessed.
const MIN_INGEST_SECRET_CHARS: usize = 16;

/// What edges authenticate with. Cannot be printed by accident.
#[derive(Clone)]
pub(crate) struct IngestSecret(String);

impl IngestSecret {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let usable = text.bytes().all(|byte| (0x21..=0x7E).contains(&byte));
        match text.len() {
            got if got < MIN_INGEST_SECRET_CHARS => Err(format!(
                "the ingest secret has {got} characters; use {MIN_INGEST_SECRET_CHARS} or more"
            )),
            _ if !usable => Err(
                "the ingest secret holds a character that cannot stand in a \
                                 header; use letters and digits"
                    .to_owned(),
            ),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// In constant time.
    pub(crate) fn matches(&self, other: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_bytes(), other).into()
    }
}

impl std::fmt::Debug for IngestSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IngestSecret(…)")
    }
}

/// Every mistake in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has mistakes:\n{}", .0.iter().map(|e| format!("  - {e}")).collect::<Vec<_>>().join("\n"))]
pub(crate) struct ConfigErrors(Vec<String>);

impl StoreArgs {
    pub(crate) fn read(&self) -> Result<StoreConfig, ConfigErrors> {
        let mut errors = Vec::new();
        let store = self.collect(&mut errors);
        store.ok_or(ConfigErrors(errors))
    }

    fn collect(&self, errors: &mut Vec<String>) -> Option<StoreConfig> {
        let database = match self.database_url.as_deref().filter(|url| !url.is_empty()) {
            None => Some(DatabaseChoice::Private(self.data_dir.join("postgres"))),
            Some(url) => match DatabaseUrl::parse(url) {
                Ok(url) => Some(DatabaseChoice::Url(Box::new(url))),
                Err(error) => {
                    errors.push(format!("DATABASE_URL: {error}"));
                    None
                }
            },
        };
        let keyring_file = self
            .keyring_file
            .clone()
            .unwrap_or_else(|| self.data_dir.join("keyring.json"));
        Some(StoreConfig {
            database: database?,
            keyring_file,
        })
    }
}

impl ServeArgs {
    pub(crate) fn read(&self, store: &StoreArgs) -> Result<ServeConfig, ConfigErrors> {
        let mut errors = Vec::new();
        let store_config = store.collect(&mut errors);
        let secret = self
            .ingest_secret(&store.data_dir)
            .map_err(|error| errors.push(error))
            .ok();
        match (store_config, secret, errors.is_empty()) {
            (Some(store), Some(ingest_secret), true) => Ok(ServeConfig {
                store,
                listen: self.listen,
                address_file: self.address_file.clone(),
                ingest_secret,
                migrate: self.migrate,
                database_connections: self.database_connections.into(),
                ingest_writers: self.ingest_writers.into(),
            }),
            _ => Err(ConfigErrors(errors)),
        }
    }

    fn ingest_secret(&self, data_dir: &Path) -> Result<IngestSecret, String> {
        if let Some(text) = &self.ingest_secret {
            return IngestSecret::parse(text)
                .map_err(|error| format!("KRAITER_INGEST_SECRET: {error}"));
        }
        let (path, text) = match &self.ingest_secret_file {
            Some(path) => (path.clone(), std::fs::read_to_string(path)),
            None => {
                let path = data_dir.join("ingest.secret");
                let make = || Secret::from_bytes(crate::random::bytes()).to_base64();
                let text = crate::secret_file::read_or_create(&path, make);
                (path, text)
            }
        };
        let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        IngestSecret::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// `PATH`, for finding installed programs.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
pub(crate) fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
