//! `GET /openapi.json`, generated from the handlers.

use actix_web::get;
use actix_web::web::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kraiter Tracking",
        description = "Open and click tracking for mail platforms: rewriting, sends, contacts, events.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        crate::mails::http::post_rewrite,
        crate::sends::http::post_send,
        crate::sends::http::get_send,
        crate::sends::http::patch_send,
        crate::sends::http::post_statuses,
        crate::contacts::http::get_contact,
        crate::contacts::http::get_contact_events,
        crate::events::http::get_events,
        crate::tenants::http::get_settings,
        crate::tenants::http::patch_settings,
        crate::ingest::http::post_ingest,
        crate::health::get_healthz,
        crate::health::get_readyz,
        crate::health::get_metrics,
    ),
    modifiers(&Security),
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = || SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("apiKey", bearer());
        components.add_security_scheme("ingestSecret", bearer());
    }
}

/// This document.
#[get("/openapi.json")]
pub(crate) async fn get_openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
