//! `GET /healthz`, `/readyz` and `/metrics`.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;

use crate::backend::Backend;
use crate::database::{Fault, check};

/// Whether the process answers at all.
#[utoipa::path(operation_id = "getHealth", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/healthz")]
pub(crate) async fn get_healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    ready: bool,
    /// What is wrong and what to do, if not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    /// What is wrong although requests are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<&'static str>,
}

/// Whether requests can be served: the database is reachable, migrated and takes writes. A full
/// ingest queue is a warning only: `/ingest` says 503 by itself, and all else is answered.
#[utoipa::path(
    operation_id = "getReadiness",
    tag = "operation",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
#[get("/readyz")]
pub(crate) async fn get_readyz(backend: Data<Backend>) -> HttpResponse {
    let reason = match check(&backend.pool).await {
        Ok(None) => None,
        Ok(Some(Fault::Unmigrated)) => {
            Some("the database is not migrated to this version; run kraiter migrate")
        }
        Ok(Some(Fault::ReadOnly)) => Some(
            "the database takes no writes; if another server has taken its place, DATABASE_URL \
             must lead there",
        ),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Some("the database cannot be reached; the log says why")
        }
    };
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let warning = backend.ingest.is_full().then_some(
        "the ingest queue is full, so events are turned away and come again; Postgres or its disk is \
         too slow for them",
    );
    HttpResponse::build(status).json(Readiness {
        ready: reason.is_none(),
        reason,
        warning,
    })
}

/// Prometheus metrics.
#[utoipa::path(operation_id = "getMetrics", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/metrics")]
pub(crate) async fn get_metrics(backend: Data<Backend>) -> HttpResponse {
    let gauge = |state| metrics::gauge!("kraiter_database_connections", "state" => state);
    let connections = backend.pool.status();
    gauge("busy").set(connections.size.saturating_sub(connections.available) as f64);
    gauge("idle").set(connections.available as f64);
    gauge("limit").set(connections.max_size as f64);
    metrics::gauge!("kraiter_database_waiting_requests").set(connections.waiting as f64);
    metrics::gauge!("kraiter_ingest_waiting_events").set(backend.ingest.waiting() as f64);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(backend.metrics.render())
}
