//! Logs and metrics of the process.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Libraries speak up when something is wrong.
const DEFAULT_FILTER: &str =
    "info,actix_server=warn,tokio_postgres=warn,refinery_core=warn,rustls=warn";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// What is logged, as tracing's filter: warn, info, debug, or by module [default: info, and
    /// warn from libraries].
    #[arg(
        long,
        env = "KRAITER_LOG",
        default_value = DEFAULT_FILTER,
        hide_default_value = true,
        global = true,
        value_name = "FILTER",
        value_parser = filter
    )]
    log: String,

    /// How log lines look.
    #[arg(
        long,
        env = "KRAITER_LOG_FORMAT",
        default_value = "text",
        global = true,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; it looks like info,kraiter_backend=debug")),
    }
}

/// Logs to standard error; standard output belongs to the commands' answers.
pub(crate) fn log(args: &LogArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => {
            builder
                .with_target(false)
                .with_ansi(std::io::stderr().is_terminal())
                .init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Bounds in seconds: from a look-up in memory to a statement's time-out.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Bounds in seconds for what an outage lengthens: from a timer of the edge to a day.
const LAG_SECONDS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0,
];
/// Bounds in events: from one to a full group.
const EVENTS: [f64; 10] = [
    1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0,
];

/// How often what histograms were told is sorted into their buckets; until then it takes memory.
const UPKEEP: Duration = Duration::from_secs(2);

/// Keeps histograms small, whether or not anyone asks for them.
pub(crate) async fn look_after(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

/// A recorder and the handle that renders it. Installing it twice in one process keeps the first.
pub(crate) fn metrics() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(
            Matcher::Full("kraiter_ingest_lag_seconds".to_owned()),
            &LAG_SECONDS,
        )?
        .set_buckets_for_metric(
            Matcher::Full("kraiter_webhook_lag_seconds".to_owned()),
            &LAG_SECONDS,
        )?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &EVENTS)?
        .build_recorder();
    let handle = HANDLE.get_or_init(|| recorder.handle());
    // Lost the race: the other recorder is installed and its handle is the one returned.
    let _ = metrics::set_global_recorder(recorder);
    Ok(handle.clone())
}
