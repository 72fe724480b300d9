//! `GET /openapi.json`, generated from the handlers, and what it says about unknown paths.

mod complete;

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, ResponseError, get};
use bytes::Bytes;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::http::{ErrorCode, Problem, error_pages};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kraiter Tracking",
        description = "Open and click tracking for mail platforms: rewriting, sends, contacts, events.\n\n\
            JSON in camelCase; times are RFC 3339, in answers UTC with milliseconds. Lists answer \
            `{\"items\": […], \"nextCursor\": …}`: pass `nextCursor` on as `cursor` until it is `null`. Errors are \
            `application/problem+json` (RFC 9457) with a stable `code`, which [/errors](/errors) explains.",
        version = env!("CARGO_PKG_VERSION"),
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
        error_pages::get_errors,
        error_pages::get_error,
        get_openapi,
    ),
    components(schemas(
        crate::http::problem::ProblemDocument,
        crate::mails::batch::Shared,
        crate::mails::batch::RecipientLine,
        crate::mails::batch::BatchAnswer,
        crate::sends::status_stream::Line,
        crate::sends::status_stream::LineAnswer<'static>,
        crate::webhooks::Payload,
    )),
    tags(
        (name = "mail", description = "Rewriting mail: signed links, pixel, headers for unsubscribing"),
        (name = "sends", description = "One mail to one contact each, and what became of it"),
        (name = "contacts", description = "Recipients with their counters, segments, consent, export and erasure"),
        (name = "events", description = "What happened to sends, one by one"),
        (name = "statistics", description = "Time series, rates, links, clients and campaigns"),
        (name = "settings", description = "What a tenant decides for itself, and the log of who changed it"),
        (name = "blocks", description = "Sends and hosts that edges refuse to serve"),
        (name = "webhooks", description = "Where events are sent, their secrets and their deliveries"),
        (name = "ingest", description = "What edges use; it needs the ingest secret"),
        (name = "operation", description = "Liveness, readiness, metrics, this document and the errors"),
    ),
    servers((url = "/", description = "The service that this document comes from")),
    modifiers(&Security),
)]
struct Document;

struct Security;

const API_KEY: &str = "An API key of a tenant, which names the tenant and holds scopes: `render` registers \
                       and rewrites mail and reports its status; `read` reads contacts, sends, events and \
                       statistics; `admin` sees and changes settings, blocks and consent, exports and \
                       erases contacts. Each operation needs one of them; none includes another.";
const INGEST_SECRET: &str = "The secret that edges and the service share.";

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = |format: Option<&str>, description: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
            let scheme = scheme.description(Some(description));
            SecurityScheme::Http(match format {
                Some(format) => scheme.bearer_format(format).build(),
                None => scheme.build(),
            })
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("apiKey", bearer(Some("krt_…"), API_KEY));
        components.add_security_scheme("ingestSecret", bearer(None, INGEST_SECRET));
    }
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

/// The document as people and generators read it.
pub(crate) fn pretty() -> Result<String, complete::Incomplete> {
    Ok(serde_json::to_string_pretty(&complete::complete(
        &DOCUMENT,
    )?)?)
}

/// The document as it is served; empty if it could not be completed, which a test rules out.
static SERVED: LazyLock<Bytes> = LazyLock::new(|| {
    let document = complete::complete(&DOCUMENT);
    let text = document.and_then(|document| Ok(serde_json::to_vec(&document)?));
    text.map(Bytes::from).unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be made");
        Bytes::new()
    })
});

/// This document.
#[utoipa::path(
    operation_id = "getOpenApi",
    tag = "operation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
#[get("/openapi.json")]
pub(crate) async fn get_openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(SERVED.clone())
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
    let paths = &DOCUMENT.paths.paths;
    // A path of its own goes before one that stands for many.
    let own = paths.get(path).map(|item| vec![item]);
    let fitting = paths.iter().filter(|(template, _)| matches(template, path));
    for item in own.unwrap_or_else(|| fitting.map(|(_, item)| item).collect()) {
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
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// All operations of the document as it is served, by their ids.
    fn operations() -> BTreeMap<String, Value> {
        let document = complete::complete(&DOCUMENT).unwrap();
        let items = document["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        operations
            .map(|it| (it["operationId"].as_str().unwrap().to_owned(), it.clone()))
            .collect()
    }

    #[test]
    fn every_operation_has_an_example_of_its_body_and_of_its_answer() {
        let lacks = |holder: &Value| {
            let mut types = holder["content"].as_object().into_iter().flatten();
            types.any(|(_, content)| content["example"].is_null())
        };
        for (id, operation) in operations() {
            assert!(!lacks(&operation["requestBody"]), "{id}: its body");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(!status.starts_with('2') || !lacks(answer), "{id}: {status}");
            }
        }
    }

    #[test]
    fn every_example_belongs_to_an_operation() {
        let operations = operations();
        let examples: BTreeMap<String, Value> = serde_json::from_str(complete::EXAMPLES).unwrap();
        let strays: Vec<_> = examples
            .keys()
            .filter(|id| !operations.contains_key(*id))
            .collect();
        assert_eq!(strays, [""; 0]);
    }

    #[test]
    fn every_operation_tells_its_scope_and_the_errors_of_whoever_calls_it() {
        let search = &operations()["searchContacts"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert!(text(&search["description"]).ends_with("Needs the scope `read`."));
        assert!(text(&search["summary"]).ends_with("in the order of their ids"));
        let statuses: Vec<_> = search["responses"].as_object().unwrap().keys().collect();
        assert!(
            statuses.iter().any(|status| *status == "401"),
            "{statuses:?}"
        );
        assert!(
            statuses.iter().any(|status| *status == "503"),
            "{statuses:?}"
        );
    }

    #[test]
    fn a_known_path_names_its_methods() {
        assert_eq!(allowed_methods("/sends/snd_1"), ["GET", "PATCH"]);
        assert_eq!(allowed_methods("/settings"), ["GET", "PATCH"]);
        assert_eq!(allowed_methods("/contacts/search"), ["POST"]);
        assert_eq!(allowed_methods("/sends/a/b"), [""; 0]);
        assert_eq!(allowed_methods("/"), [""; 0]);
    }
}
