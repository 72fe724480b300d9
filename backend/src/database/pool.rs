//! Connections: made with or without TLS, shared through a pool, bounded in time.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, PoolError, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{DatabaseUrl, Tls};

pub(crate) type Pool = deadpool_postgres::Pool;
pub(crate) type Client = deadpool_postgres::Object;

/// How long a request waits for a free connection before it is told to come again.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long making or checking a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that is gone without a word, such as a host that lost its power, is noticed by then.
const SILENCE: Duration = Duration::from_secs(30);
/// A transaction that stands still holds its locks no longer than this many statements may take.
const IDLE_STATEMENTS: u32 = 2;

/// How a connection's statements are planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planner {
    /// As the server thinks best.
    Default,
    /// Rows that a parameter names are looked up one by one by their key, in the parameter's order,
    /// whatever the statistics say. That is the order in which they are locked, and the plan is
    /// made once.
    LooksUp,
}

const LOOKING_UP: &str = " -c plan_cache_mode=force_generic_plan -c enable_hashjoin=off \
     -c enable_mergejoin=off -c enable_seqscan=off -c enable_bitmapscan=off -c enable_material=off";

/// Why there is no answer from the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("no connection to the database: {}", describe_pool(.0))]
    Pool(#[from] PoolError),
    #[error("{}", describe(.0))]
    Query(#[from] tokio_postgres::Error),
    #[error("cannot read the certificate authorities: {0}")]
    Authorities(String),
    #[error("the database holds something that cannot be read: {0}")]
    Unreadable(&'static str),
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl DatabaseError {
    /// Whether the same call may succeed soon: the connection broke, the server restarts, or it
    /// asked to try again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Pool(_) => true,
            Self::Query(error) => match error.code().map(tokio_postgres::error::SqlState::code) {
                // No code: the connection broke. Classes: 08 connection, 40 serialization and
                // deadlock, 53 resources, 57 shutdown or cancel; 25006 is a standby.
                None => true,
                // It is made before the next attempt.
                Some(_) if self.is_missing_partition() => true,
                Some(code) => {
                    ["08", "40", "53", "57"]
                        .iter()
                        .any(|class| code.starts_with(class))
                        || code == "25006"
                        // A lock was not to be had in time.
                        || code == "55P03"
                }
            },
            Self::Authorities(_) | Self::Unreadable(_) | Self::Tls(_) => false,
        }
    }

    /// Whether a statement took longer than it may.
    pub(crate) fn is_canceled(&self) -> bool {
        matches!(self, Self::Query(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED))
    }

    /// Whether the server takes no writes: it is a standby, or is told to.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Query(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION))
    }

    /// What Postgres calls it.
    pub(crate) fn code(&self) -> Option<&tokio_postgres::error::SqlState> {
        match self {
            Self::Query(error) => error.code(),
            _ => None,
        }
    }

    /// Whether rows of `events` met no partition: retention dropped it since it was looked for.
    pub(crate) fn is_missing_partition(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        // The table has no constraint of its own that could be meant.
        error.as_db_error().is_some_and(|error| {
            error.code() == &tokio_postgres::error::SqlState::CHECK_VIOLATION
                && error.table() == Some("events")
                && error.constraint().is_none()
        })
    }

    /// Whether a table is not there: the database was not migrated yet, or a partition was dropped.
    pub(crate) fn is_missing_table(&self) -> bool {
        matches!(self, Self::Query(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::UNDEFINED_TABLE))
    }
}

/// The server's own words where it said something, the client's otherwise.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => {
            let causes =
                std::iter::successors(std::error::Error::source(error), |error| error.source());
            let mut text = error.to_string();
            for cause in causes.map(ToString::to_string) {
                // Some errors repeat the ones that caused them.
                if !text.contains(&cause) {
                    text = format!("{text}: {cause}");
                }
            }
            text
        }
    }
}

/// With the cause, such as the certificate that did not verify.
fn describe_pool(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => describe(error),
        other => other.to_string(),
    }
}

/// A pool that connects when it is first used, so that a backend starts while the database is
/// away. No statement takes longer than `statement_timeout`.
pub(crate) fn pool(
    url: &DatabaseUrl,
    size: usize,
    statement_timeout: Duration,
    planner: Planner,
) -> Result<Pool, DatabaseError> {
    let mut config = url.config.clone();
    let idle_timeout = statement_timeout * IDLE_STATEMENTS;
    // Compiling a statement takes longer than any of ours runs: 57 of 70 ms for a batch of retention.
    let mut options = format!(
        "-c jit=off -c statement_timeout={} -c idle_in_transaction_session_timeout={}",
        statement_timeout.as_millis(),
        idle_timeout.as_millis()
    );
    if planner == Planner::LooksUp {
        options.push_str(LOOKING_UP);
    }
    // What the URL says comes last and so goes before.
    if let Some(own) = config.get_options() {
        options = format!("{options} {own}");
    }
    config.options(options);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    // Without traffic two hours would pass before anyone asks whether the server is still there.
    config.keepalives_idle(config.get_keepalives_idle().min(SILENCE));
    let manager_config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = match &url.tls {
        Tls::Off => Manager::from_config(config, NoTls, manager_config),
        Tls::Verified { authorities } => {
            let tls = MakeRustlsConnect::new(tls_config(authorities.as_deref())?);
            Manager::from_config(config, tls, manager_config)
        }
    };
    let timeouts = Timeouts {
        wait: Some(WAIT_TIMEOUT),
        create: Some(CONNECT_TIMEOUT),
        recycle: Some(CONNECT_TIMEOUT),
    };
    let pool = Pool::builder(manager)
        .max_size(size)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build();
    // Only a missing runtime makes this fail, and one is named above.
    pool.map_err(|_| DatabaseError::Pool(PoolError::NoRuntimeSpecified))
}

/// One connection that is waited for no longer than the pool's time-outs.
pub(crate) async fn connect(pool: &Pool) -> Result<Client, DatabaseError> {
    let start = std::time::Instant::now();
    let client = pool.get().await?;
    metrics::histogram!("kraiter_database_wait_seconds").record(start.elapsed().as_secs_f64());
    Ok(client)
}

/// Parts with the connections that nobody uses right now: they lead to a server that has become a
/// standby, and new ones may find the one that took its place.
pub(crate) fn leave_server(pool: &Pool) {
    pool.retain(|_, _| false);
}

fn tls_config(
    authorities: Option<&std::path::Path>,
) -> Result<rustls::ClientConfig, DatabaseError> {
    let mut roots = rustls::RootCertStore::empty();
    match authorities {
        Some(path) => {
            use rustls::pki_types::{CertificateDer, pem::PemObject};
            let failed = |error: &dyn std::fmt::Display| {
                DatabaseError::Authorities(format!("{}: {error}", path.display()))
            };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?
            {
                roots.add(certificate.map_err(|error| failed(&error))?)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a certificate authority of the system cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(DatabaseError::Authorities("none found".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
