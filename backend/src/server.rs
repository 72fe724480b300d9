//! The running service: routes, background tasks, and an end that loses nothing it accepted.

use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::api_keys::directory::KeyDirectory;
use crate::api_keys::rate_limit::{RateLimits, show_standing};
use crate::backend::Backend;
use crate::config::ServeConfig;
use crate::database::{Partitions, Planner, Pool, analyze_new_tables};
use crate::events::stream::Hub;
use crate::http::access_log::{SlowRequests, log_request};
use crate::http::error_pages;
use crate::ingest::{IngestQueue, Writing};
use crate::retention::apply_regularly;
use crate::settling::settle_regularly;
use crate::signing::SharedKeyring;
use crate::store::{Migrate, Store};
use crate::webhooks::Dispatcher;
use crate::{
    audit, blocks, campaigns, clock, contacts, dashboard, erasure, events, export, health, ingest,
    mails, openapi, previews, segments, sends, stats, telemetry, tenants, webhooks,
};

/// How long requests that were accepted may take to finish once the service is told to stop.
const SHUTDOWN_SECONDS: u64 = 30;

/// How often partitions of the coming months are looked after.
const PARTITION_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Connections that webhooks have: one for what is looked for, the others for what is under way.
const WEBHOOK_CONNECTIONS: usize = 4;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(mails::http::post_rewrite)
        .service(mails::http::post_rewrite_batch)
        .service(sends::http::post_statuses)
        .service(sends::http::post_send)
        .service(sends::http::get_send)
        .service(sends::http::patch_send)
        .service(segments::http::post_search)
        .service(segments::http::post_match)
        .service(contacts::http::get_contact)
        .service(contacts::http::get_contact_events)
        .service(contacts::http::put_consent)
        .service(contacts::http::delete_consent)
        .service(erasure::http::delete_contact)
        .service(export::http::get_export)
        .service(events::http::get_events)
        .service(events::stream::http::get_stream)
        .service(stats::http::get_stats)
        .service(stats::links::http::get_links)
        .service(stats::clients::http::get_clients)
        .service(campaigns::http::get_campaigns)
        .service(campaigns::http::get_campaign)
        .service(previews::http::get_preview)
        .service(tenants::http::get_settings)
        .service(tenants::http::patch_settings)
        .service(audit::http::get_audit)
        .service(blocks::http::get_blocks)
        .service(blocks::http::put_block)
        .service(blocks::http::delete_block)
        .configure(webhooks::http::routes)
        .service(ingest::http::post_ingest)
        .service(blocks::http::get_edge_policy)
        .service(health::get_healthz)
        .service(health::get_readyz)
        .service(health::get_metrics)
        .service(error_pages::get_errors)
        .service(error_pages::get_error)
        .service(openapi::get_openapi)
        .configure(dashboard::routes)
        .default_service(web::to(openapi::no_route));
}

/// Serves until SIGINT or SIGTERM, then finishes what was accepted.
pub(crate) async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    // Before anything that takes time, so that a signal during start-up is not missed.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    };
    let keyring = Arc::new(SharedKeyring::open(config.store.keyring_file.clone())?);
    let wanted = if config.migrate {
        Migrate::Yes
    } else {
        Migrate::No
    };
    let store = Store::open(&config.store, config.database_connections, wanted).await?;
    let served = serve_on(&config, &store, keyring, stopped).await;
    store.close().await?;
    served
}

async fn serve_on(
    config: &ServeConfig,
    store: &Store,
    keyring: Arc<SharedKeyring>,
    stopped: impl Future<Output = &'static str>,
) -> anyhow::Result<()> {
    let partitions = Arc::new(Partitions::default());
    let ingest_pool = store.separate_pool(
        config.ingest_writers + 1,
        config.write_timeout,
        Planner::LooksUp,
    )?;
    let writing = Writing {
        pool: ingest_pool.clone(),
        partitions: Arc::clone(&partitions),
        notes_neighbours: config.rules.is_some(),
    };
    let (queue, writers) = IngestQueue::start(&writing, config.ingest_writers);
    let webhook_client =
        webhooks::Client::new(config.webhooks.allowed.clone(), config.webhooks.timeout)?;
    let webhook_pool =
        store.separate_pool(WEBHOOK_CONNECTIONS, config.write_timeout, Planner::LooksUp)?;
    let busy = queue.load();
    let dispatcher = Dispatcher::start(
        &webhook_pool,
        webhook_client.clone(),
        config.webhooks.clone(),
        Arc::clone(&busy),
    );
    let backend = Data::new(Backend {
        pool: store.pool.clone(),
        keyring: Arc::clone(&keyring),
        tenants: Arc::default(),
        keys: KeyDirectory::default(),
        partitions: Arc::clone(&partitions),
        ingest: queue,
        rules: config.rules.clone(),
        ingest_secret: config.ingest_secret.clone(),
        policy: Default::default(),
        streams: Hub::new(store.pool.clone()),
        rate_limits: config
            .rate_limit
            .map(|limit| Arc::new(RateLimits::new(limit))),
        metrics: telemetry::metrics()?,
        webhooks: webhook_client,
    });
    let retention_pool = store.separate_pool(1, config.write_timeout, Planner::Default)?;
    let retention = config.retention_interval.map(|interval| {
        let partitions = Arc::clone(&partitions);
        tokio::spawn(apply_regularly(
            retention_pool.clone(),
            partitions,
            interval,
        ))
    });
    let upkeep = tokio::spawn(look_after_partitions(ingest_pool.clone(), partitions));
    let statistics_pool = ingest_pool.clone();
    let statistics = tokio::spawn(async move { analyze_new_tables(&statistics_pool).await });
    let metrics = tokio::spawn(telemetry::look_after(backend.metrics.clone()));
    let settling_pool = store.separate_pool(1, config.write_timeout, Planner::Default)?;
    let settling = config.rules.clone().map(|rules| {
        let (pool, interval) = (settling_pool.clone(), config.settling_interval);
        let busy = Arc::clone(&busy);
        tokio::spawn(settle_regularly(pool, rules, interval, busy))
    });
    let rate_limits = backend
        .rate_limits
        .clone()
        .map(|limits| tokio::spawn(async move { limits.tidy_regularly().await }));
    let key_watch = tokio::spawn(async move { keyring.follow_file().await });

    let shared = backend.clone();
    let slow = SlowRequests(config.slow_request);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(slow)
            .wrap(from_fn(show_standing))
            .wrap(from_fn(log_request))
            .configure(routes)
    })
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .bind(config.listen)
    .with_context(|| {
        format!(
            "cannot listen on {}; set KRAITER_LISTEN to a free address",
            config.listen
        )
    })?;
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    if let Some(path) = &config.address_file {
        crate::secret_file::write(path, &address.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    tracing::info!(%address, "serving");

    let signal = stopped.await;
    tracing::info!(signal, "stopping: finishing what was accepted");
    // They would last for as long as somebody listens.
    backend.streams.close();
    handle.stop(true).await;
    running.await??;
    upkeep.abort();
    if let Some(retention) = retention {
        retention.abort();
    }
    retention_pool.close();
    statistics.abort();
    if let Some(settling) = settling {
        settling.abort();
    }
    settling_pool.close();
    dispatcher.finish().await;
    webhook_pool.close();
    if let Some(rate_limits) = rate_limits {
        rate_limits.abort();
    }
    key_watch.abort();
    metrics.abort();
    // The last handle on the queue closes it; its writers then end by themselves.
    drop(backend);
    writers.finish().await;
    ingest_pool.close();
    tracing::info!("stopped");
    Ok(())
}

async fn look_after_partitions(pool: Pool, partitions: Arc<Partitions>) {
    loop {
        let retry = match partitions.ensure_ahead(&pool, clock::now()).await {
            Ok(()) => PARTITION_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "partitions of the coming months could not be made");
                Duration::from_secs(60)
            }
        };
        tokio::time::sleep(retry).await;
    }
}
