//! Configuration: read once, from flags, environment and secret files, all mistakes reported at
//! once and before a port is bound. Nothing else in the crate reads the environment.

mod rate_limit;
mod replay;
mod webhooks;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kraiter_wire::Secret;

use crate::api_keys::rate_limit::RateLimit;
use crate::database::DatabaseUrl;
use crate::verdicts::{Lists, Rules};
use crate::webhooks::WebhookConfig;
use rate_limit::RateLimitArgs;
pub(crate) use replay::ReplayArgs;
use webhooks::WebhookArgs;

/// Where a command finds the database and the secrets. Part of every command.
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

    /// No statement that answers a request or a command may take longer.
    #[arg(long, env = "KRAITER_STATEMENT_TIMEOUT", default_value_t = 30, global = true,
          value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    statement_timeout: u32,

    /// Signing keys [default: keyring.json in the data folder].
    #[arg(long, env = "KRAITER_KEYRING_FILE", global = true, value_name = "FILE")]
    keyring_file: Option<PathBuf>,
}

/// What edges authenticate with, as `serve` and `replay` are told it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IngestSecretArgs {
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
}

/// Headings of the help.
const DATABASE: &str = "Database";
const REQUESTS: &str = "Requests";
const ROUNDS: &str = "Regular work";

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

    #[command(flatten)]
    ingest_secret: IngestSecretArgs,

    #[command(flatten)]
    rules: RulesArgs,

    /// Whether opens and clicks are judged as they come. With `off` they count in totals only,
    /// until `kraiter reclassify` judges them.
    #[arg(
        long,
        env = "KRAITER_JUDGING",
        value_name = "ON|OFF",
        default_value = "on",
        hide_possible_values = true
    )]
    judging: Judging,

    /// Migrate the database before serving (a private Postgres is always migrated).
    #[arg(long, env = "KRAITER_MIGRATE")]
    migrate: bool,

    /// Connections to Postgres that API requests share.
    #[arg(long, env = "KRAITER_DATABASE_CONNECTIONS", default_value_t = 16, value_name = "N",
          help_heading = DATABASE,
          value_parser = clap::value_parser!(u16).range(1..=500))]
    database_connections: u16,

    /// Connections that write events.
    #[arg(long, env = "KRAITER_INGEST_WRITERS", default_value_t = 2, value_name = "N",
          help_heading = DATABASE,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    ingest_writers: u16,

    /// No statement that writes events may take longer; its events are tried again.
    #[arg(long, env = "KRAITER_WRITE_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          help_heading = DATABASE,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    write_timeout: u32,

    /// Requests that take longer are logged, by method and route; 0 logs none.
    #[arg(
        long,
        env = "KRAITER_SLOW_REQUEST_MS",
        default_value_t = 1000,
        value_name = "MILLISECONDS",
        help_heading = REQUESTS
    )]
    slow_request_ms: u32,

    #[command(flatten, next_help_heading = REQUESTS)]
    rate_limit: RateLimitArgs,

    /// Seconds between two rounds of judging events by their neighbours.
    #[arg(long, env = "KRAITER_SETTLING_INTERVAL", default_value_t = 5, value_name = "SECONDS",
          help_heading = ROUNDS,
          value_parser = clap::value_parser!(u16).range(1..=40))]
    settling_interval: u16,

    /// How often events and sends that are older than their tenant keeps them are removed; 0 leaves
    /// that to `kraiter retention`.
    #[arg(
        long,
        env = "KRAITER_RETENTION_INTERVAL",
        default_value_t = 3600,
        value_name = "SECONDS",
        help_heading = ROUNDS
    )]
    retention_interval: u32,

    #[command(flatten, next_help_heading = "Webhooks")]
    webhooks: WebhookArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Judging {
    On,
    Off,
}

/// What verdicts are made with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RulesArgs {
    /// Folder whose user-agents.toml and networks.toml take the place of those compiled in.
    #[arg(long, env = "KRAITER_RULES_DIR", value_name = "DIR")]
    rules_dir: Option<PathBuf>,
}

impl RulesArgs {
    pub(crate) fn read(&self) -> Result<Rules, ConfigErrors> {
        let lists = match &self.rules_dir {
            Some(folder) => Lists::in_folder(folder),
            None => Lists::built_in(),
        };
        let rules = lists
            .map_err(|error| error.to_string())
            .and_then(|lists| Rules::new(lists).map_err(|error| error.to_string()));
        rules.map_err(|error| ConfigErrors(vec![format!("KRAITER_RULES_DIR: {error}")]))
    }
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
    pub(crate) statement_timeout: Duration,
}

pub(crate) struct ServeConfig {
    pub(crate) store: StoreConfig,
    pub(crate) listen: SocketAddr,
    pub(crate) address_file: Option<PathBuf>,
    pub(crate) ingest_secret: IngestSecret,
    /// `None`: nothing is judged as it comes.
    pub(crate) rules: Option<Arc<Rules>>,
    pub(crate) migrate: bool,
    pub(crate) database_connections: usize,
    pub(crate) ingest_writers: usize,
    pub(crate) write_timeout: Duration,
    /// `None`: no request is slow.
    pub(crate) slow_request: Option<Duration>,
    /// `None`: no API key is limited.
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) settling_interval: Duration,
    /// `None`: never.
    pub(crate) retention_interval: Option<Duration>,
    pub(crate) webhooks: WebhookConfig,
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

    /// As a client sends it.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
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
            statement_timeout: Duration::from_secs(self.statement_timeout.into()),
        })
    }
}

impl ServeArgs {
    pub(crate) fn read(&self, store: &StoreArgs) -> Result<ServeConfig, ConfigErrors> {
        let mut errors = Vec::new();
        let store_config = store.collect(&mut errors);
        let secret = self
            .ingest_secret
            .read_or_make(&store.data_dir)
            .map_err(|error| errors.push(error))
            .ok();
        let rules = self.rules.read();
        let rules = rules.map_err(|ConfigErrors(more)| errors.extend(more)).ok();
        match (store_config, secret, rules, errors.is_empty()) {
            (Some(store), Some(ingest_secret), Some(rules), true) => Ok(ServeConfig {
                store,
                listen: self.listen,
                address_file: self.address_file.clone(),
                ingest_secret,
                rules: (self.judging == Judging::On).then(|| Arc::new(rules)),
                migrate: self.migrate,
                database_connections: self.database_connections.into(),
                ingest_writers: self.ingest_writers.into(),
                write_timeout: Duration::from_secs(self.write_timeout.into()),
                slow_request: Some(Duration::from_millis(self.slow_request_ms.into()))
                    .filter(|slow| !slow.is_zero()),
                rate_limit: self.rate_limit.read(),
                settling_interval: Duration::from_secs(self.settling_interval.into()),
                retention_interval: Some(Duration::from_secs(self.retention_interval.into()))
                    .filter(|interval| !interval.is_zero()),
                webhooks: self
                    .webhooks
                    .read(Duration::from_secs(self.settling_interval.into())),
            }),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

impl IngestSecretArgs {
    /// Makes the secret if there is none yet.
    fn read_or_make(&self, data_dir: &Path) -> Result<IngestSecret, String> {
        let make = || Secret::from_bytes(crate::random::bytes()).to_base64();
        self.read(data_dir, |path| {
            crate::secret_file::read_or_create(path, make)
        })
    }

    fn read_only(&self, data_dir: &Path) -> Result<IngestSecret, String> {
        self.read(data_dir, |path| std::fs::read_to_string(path))
            .map_err(|error| {
                format!(
                    "{error}; give the backend's secret in KRAITER_INGEST_SECRET, its file with \
                     --ingest-secret-file, or its data folder with --data-dir"
                )
            })
    }

    fn read(
        &self,
        data_dir: &Path,
        default: impl FnOnce(&Path) -> std::io::Result<String>,
    ) -> Result<IngestSecret, String> {
        if let Some(text) = &self.ingest_secret {
            return IngestSecret::parse(text)
                .map_err(|error| format!("KRAITER_INGEST_SECRET: {error}"));
        }
        let (path, text) = match &self.ingest_secret_file {
            Some(path) => (path.clone(), std::fs::read_to_string(path)),
            None => {
                let path = data_dir.join("ingest.secret");
                let text = default(&path);
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
