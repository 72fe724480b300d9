//! The dashboard: its files as they were compiled in, with headers that let them talk to nobody but
//! this service. It is a client of the API like any other and knows nothing that a key does not show.

use actix_web::http::header;
use actix_web::middleware::Compress;
use actix_web::web::{self, Path};
use actix_web::{HttpResponse, ResponseError};

use crate::http::{ErrorCode, Problem};

/// Nothing inline, nothing from elsewhere, and no page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Of the empty page that a mail is shown in: nothing runs and nothing is loaded there, whatever the mail
/// says, but it may look as it likes.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'self'; \
                           sandbox allow-same-origin";
const MAIL_FRAME: &str = "frame.html";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../dashboard/", $name)),
        }
    };
}

const ASSETS: &[Asset] = &[
    asset!("index.html", HTML),
    asset!("dashboard.css", CSS),
    asset!("icon.svg", IMAGE),
    asset!("app.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("click-map.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("events.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("frame.html", HTML),
    asset!("overview.js", SCRIPT),
    asset!("stream.js", SCRIPT),
    asset!("pages/campaign.js", SCRIPT),
    asset!("pages/campaigns.js", SCRIPT),
    asset!("pages/contact.js", SCRIPT),
    asset!("pages/live.js", SCRIPT),
    asset!("pages/send.js", SCRIPT),
    asset!("pages/sign-in.js", SCRIPT),
    asset!("vendor/uplot.css", CSS),
    asset!("vendor/uplot.js", SCRIPT),
];

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/dashboard")
            .wrap(Compress::default())
            .route("", web::get().to(index))
            .route("/", web::get().to(index))
            .route("/{file:.*}", web::get().to(file)),
    );
}

async fn index() -> HttpResponse {
    answer("index.html")
}

async fn file(path: Path<String>) -> HttpResponse {
    answer(&path)
}

fn answer(name: &str) -> HttpResponse {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        let detail = format!("The dashboard has no file {name:?}. It starts at /dashboard.");
        return Problem::new(ErrorCode::NotFound, detail).error_response();
    };
    let policy = match name {
        MAIL_FRAME => MAIL_POLICY,
        _ => POLICY,
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.content_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_DNS_PREFETCH_CONTROL, "off"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        // Files of two versions must not meet in one page.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(asset.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_dashboard_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
        let mut found = 0;
        for inside in ["", "pages", "vendor"] {
            for entry in std::fs::read_dir(folder.join(inside)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
                if path.is_file() && !name.ends_with("LICENSE") {
                    assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
                    found += 1;
                }
            }
        }
        assert_eq!(found, ASSETS.len());
    }

    #[test]
    fn nothing_in_the_page_is_inline() {
        let page = ASSETS.iter().find(|asset| asset.name == "index.html");
        let page = std::str::from_utf8(page.unwrap().bytes).unwrap();
        assert!(page.contains("<script type=\"module\" src="), "{page}");
        assert!(
            !page.contains(" style=") && !page.contains("<style"),
            "{page}"
        );
    }
}
