//! `GET /healthz`, `/readyz` and `/metrics`.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;

use crate::backend::Backend;
use crate::database::is_migrated;

/// Whether the process answers at all.
#[utoipa::path(tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/healthz")]
pub(crate) async fn get_healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    ready: bool,
    /// What is wrong and what to do, if not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Whether requests can be served: the database is reachable and migrated.
#[utoipa::path(
    tag = "operation",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
#[get("/readyz")]
pub(crate) async fn get_readyz(backend: Data<Backend>) -> HttpResponse {
    let reason = match is_migrated(&backend.pool).await {
        Ok(true) => None,
        Ok(false) => Some("the database is not migrated to this version; run kraiter migrate"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Some("the database cannot be reached; the log says why")
        }
    };
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    HttpResponse::build(status).json(Readiness {
        ready: reason.is_none(),
        reason,
    })
}

/// Prometheus metrics.
#[utoipa::path(tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/metrics")]
pub(crate) async fn get_metrics(backend: Data<Backend>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(backend.metrics.render())
}
