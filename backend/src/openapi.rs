//! `GET /openapi.json`, generated from the handlers, and what it says about unknown paths.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::web::Json;
use actix_web::{HttpRequest, HttpResponse, ResponseError, get};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::http::{ErrorCode, Problem};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kraiter Tracking",
        description = "Open and click tracking for mail platforms: rewriting, sends, contacts, events.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        crate::mails::http::post_rewrite,
        crate::mails::http::post_rewrite_batch,
        crate::sends::http::post_send,
        crate::sends::http::get_send,
        crate::sends::http::patch_send,
        crate::sends::http::post_statuses,
        crate::contacts::http::get_contact,
        crate::contacts::http::get_contact_events,
        crate::segments::http::post_search,
        crate::segments::http::post_match,
        crate::contacts::http::put_consent,
        crate::contacts::http::delete_consent,
        crate::erasure::http::delete_contact,
        crate::export::http::get_export,
        crate::events::http::get_events,
        crate::events::stream::http::get_stream,
        crate::stats::http::get_stats,
        crate::stats::links::http::get_links,
        crate::stats::clients::http::get_clients,
        crate::campaigns::http::get_campaigns,
        crate::campaigns::http::get_campaign,
        crate::previews::http::get_preview,
        crate::tenants::http::get_settings,
        crate::tenants::http::patch_settings,
        crate::audit::http::get_audit,
        crate::blocks::http::get_blocks,
        crate::blocks::http::put_block,
        crate::blocks::http::delete_block,
        crate::webhooks::http::get_webhooks,
        crate::webhooks::http::post_webhook,
        crate::webhooks::http::get_webhook,
        crate::webhooks::http::patch_webhook,
        crate::webhooks::http::delete_webhook,
        crate::webhooks::http::post_webhook_secret,
        crate::webhooks::http::post_webhook_pause,
        crate::webhooks::http::post_webhook_resume,
        crate::webhooks::http::post_webhook_ping,
        crate::webhooks::http::get_webhook_deliveries,
        crate::webhooks::http::post_webhook_replay,
        crate::ingest::http::post_ingest,
        crate::blocks::http::get_edge_policy,
        crate::health::get_healthz,
        crate::health::get_readyz,
        crate::health::get_metrics,
        get_openapi,
    ),
    components(schemas(crate::webhooks::Payload)),
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

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

/// The document as people and generators read it.
pub(crate) fn pretty() -> serde_json::Result<String> {
    serde_json::to_string_pretty(&*DOCUMENT)
}

/// This document.
#[utoipa::path(tag = "operation", responses((status = 200, body = Object)))]
#[get("/openapi.json")]
pub(crate) async fn get_openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(DOCUMENT.clone())
}

/// Answers what no route took: 405 where another method would do, 404 elsewhere.
pub(crate) async fn no_route(request: HttpRequest) -> HttpResponse {
    let (method, path) = (request.method(), request.path());
    let allowed = allowed_methods(path).join(", ");
    if allowed.is_empty() {
        let detail = format!("No route {method} {path}. /openapi.json lists them all.");
        return Problem::new(ErrorCode::NotFound, detail).error_response();
    }
    let detail = format!("{path} takes {allowed}, not {method}.");
    let mut response = Problem::new(ErrorCode::MethodNotAllowed, detail).error_response();
    if let Ok(value) = header::HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

fn allowed_methods(path: &str) -> Vec<&'static str> {
    let mut methods = Vec::new();
    for (_, item) in DOCUMENT
        .paths
        .paths
        .iter()
        .filter(|(template, _)| matches(template, path))
    {
        let operations = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        methods.extend(
            operations
                .iter()
                .filter_map(|(name, operation)| operation.as_ref().map(|_| *name)),
        );
    }
    methods.sort_unstable();
    methods.dedup();
    methods
}

/// Whether a path is one of a template like `/sends/{id}`.
fn matches(template: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let fits = template.split('/').all(|wanted| match parts.next() {
        Some(part) if wanted.starts_with('{') => !part.is_empty(),
        part => part == Some(wanted),
    });
    fits && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_path_names_its_methods() {
        assert_eq!(allowed_methods("/sends/snd_1"), ["GET", "PATCH"]);
        assert_eq!(allowed_methods("/settings"), ["GET", "PATCH"]);
        assert_eq!(allowed_methods("/sends/a/b"), [""; 0]);
        assert_eq!(allowed_methods("/"), [""; 0]);
    }
}
