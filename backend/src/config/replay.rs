//! What `replay` is configured by.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigErrors, IngestSecret, IngestSecretArgs, StoreArgs};
use crate::replay::Replay;

/// What only `replay` is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Journals or logs of Envoy, plain or compressed by gzip; - reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Go on with what is written to the files, through rotations, until SIGINT or SIGTERM.
    #[arg(long)]
    follow: bool,

    /// Read files from their beginning, whatever was replayed before.
    #[arg(long)]
    from_start: bool,

    /// Where the service answers [default: http:// and KRAITER_LISTEN or 127.0.0.1:8080].
    #[arg(long, env = "KRAITER_API", value_name = "URL")]
    to: Option<url::Url>,

    #[arg(
        long,
        env = "KRAITER_LISTEN",
        default_value = "127.0.0.1:8080",
        hide = true,
        value_name = "ADDR:PORT"
    )]
    listen: SocketAddr,

    #[command(flatten)]
    ingest_secret: IngestSecretArgs,

    /// Give up when the service takes nothing for this long. With --follow: never.
    #[arg(
        long,
        default_value_t = 300,
        value_name = "SECONDS",
        conflicts_with = "follow"
    )]
    give_up_after: u64,

    /// With --follow: how long a file that was rotated away is still read. Longer than its writer
    /// keeps lines back; Envoy does for 10 s, or --file-flush-interval-msec.
    #[arg(long, default_value_t = 12, value_name = "SECONDS")]
    rotation_wait: u64,
}

#[derive(Debug)]
pub(crate) struct ReplayConfig {
    pub(crate) replay: Replay,
    pub(crate) backend: url::Url,
    pub(crate) ingest_secret: IngestSecret,
    /// `None`: without end.
    pub(crate) patience: Option<Duration>,
}

impl ReplayArgs {
    pub(crate) fn read(&self, store: &StoreArgs) -> Result<ReplayConfig, ConfigErrors> {
        let secret = self.ingest_secret.read_only(&store.data_dir);
        let backend = match &self.to {
            Some(url) => Ok(url.clone()),
            None => self.listening_at(),
        };
        let errors = [secret.as_ref().err(), backend.as_ref().err()];
        let errors: Vec<String> = errors.into_iter().flatten().cloned().collect();
        match (secret, backend) {
            (Ok(ingest_secret), Ok(backend)) => Ok(ReplayConfig {
                replay: Replay {
                    files: self.files.clone(),
                    follow: self.follow,
                    from_start: self.from_start,
                    rotation_wait: Duration::from_secs(self.rotation_wait),
                },
                backend,
                ingest_secret,
                patience: (!self.follow).then_some(Duration::from_secs(self.give_up_after)),
            }),
            _ => Err(ConfigErrors(errors)),
        }
    }

    /// A service that listens everywhere answers here, too.
    fn listening_at(&self) -> Result<url::Url, String> {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(match address.is_ipv4() {
                true => Ipv4Addr::LOCALHOST.into(),
                false => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let url = format!("http://{address}");
        url.parse().map_err(|error| format!("{url}: {error}"))
    }
}
