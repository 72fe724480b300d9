//! `GET /errors` and `GET /errors/{code}`: what the `type` of a problem points to. The same text, as
//! Markdown, is docs/errors.md.

use std::fmt::Write;

use actix_web::web::Path;
use actix_web::{HttpResponse, get};

use super::{ErrorCode, Problem};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;\
                     padding:0 1rem;color-scheme:light dark}code{font-size:1.05em}";

/// All error codes.
#[utoipa::path(
    operation_id = "listErrors",
    tag = "operation",
    responses((status = 200, description = "A page that lists all codes", body = String, content_type = "text/html"))
)]
#[get("/errors")]
pub(crate) async fn get_errors() -> HttpResponse {
    let mut items = String::new();
    for code in ErrorCode::ALL {
        let (name, status, title) = (code.as_str(), code.status().as_u16(), html(code.title()));
        // Writing to a text cannot fail.
        let _ = write!(
            items,
            "<li><a href=\"/errors/{name}\"><code>{name}</code></a> ({status}): {title}</li>"
        );
    }
    page(
        "Errors",
        &format!(
            "<p>Errors are answered as <code>application/problem+json</code> (RFC 9457). Programs go \
             by <code>code</code>.</p><ul>{items}</ul>"
        ),
    )
}

/// What an error code means, why it comes and what to do.
#[utoipa::path(
    operation_id = "getError",
    tag = "operation",
    extensions(("x-error-codes" = json!(["not_found"]))),
    params(("code" = ErrorCode, Path, description = "The code", example = "invalid_email")),
    responses((status = 200, description = "A page about the code", body = String, content_type = "text/html"))
)]
#[get("/errors/{code}")]
pub(crate) async fn get_error(path: Path<String>) -> Result<HttpResponse, Problem> {
    let code: ErrorCode = path.parse().map_err(|error| {
        let detail = format!("{error}. /errors lists them all.");
        Problem::new(ErrorCode::NotFound, detail)
    })?;
    let explanation = code.explanation();
    let causes: String = explanation
        .causes
        .iter()
        .map(|cause| format!("<li>{}</li>", html(cause)))
        .collect();
    let text = format!(
        "<p><code>{}</code>, status {}</p><p>{}</p><h2>Likely causes</h2><ul>{causes}</ul>\
         <h2>What to do</h2><p>{}</p><p><a href=\"/errors\">All errors</a></p>",
        code.as_str(),
        code.status(),
        html(explanation.meaning),
        html(explanation.cure),
    );
    Ok(page(code.title(), &text))
}

fn page(title: &str, text: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("cache-control", "max-age=3600"))
        .insert_header(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
             content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{text}"
        ))
}

/// Our own Markdown of one paragraph: text with code between backquotes.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let mut parts = escaped.split('`');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (place, part) in parts.enumerate() {
        out += if place % 2 == 0 { "<code>" } else { "</code>" };
        out += part;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown() -> String {
        let mut text = String::from(
            "# Errors\n\nErrors are answered as `application/problem+json` (RFC 9457). Programs go by \
             `code`, which never changes its meaning; `type` leads to the same text on the service, at \
             `/errors/<code>`. Made from the code: `cargo test -p kraiter-backend errors_md` tells how.\n",
        );
        for code in ErrorCode::ALL {
            let explanation = code.explanation();
            let (name, status) = (code.as_str(), code.status().as_u16());
            text += &format!(
                "\n## {name}\n\n{}: status {status}. {}\n\n",
                code.title(),
                explanation.meaning
            );
            for cause in explanation.causes {
                text += &format!("- {cause}\n");
            }
            text += &format!("\n**What to do:** {}\n", explanation.cure);
        }
        text
    }

    #[test]
    fn errors_md_says_what_the_code_says() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (made, kept) = (markdown(), root.join("docs/errors.md"));
        if std::fs::read_to_string(kept).unwrap_or_default() != made {
            let fresh = root.join("target/errors.md");
            std::fs::write(&fresh, made).unwrap();
            panic!("docs/errors.md is not what the code says; cp target/errors.md docs/errors.md");
        }
    }

    #[test]
    fn every_code_says_what_it_means_why_it_comes_and_what_to_do() {
        for code in ErrorCode::ALL {
            let explanation = code.explanation();
            let sentences = [explanation.meaning, explanation.cure];
            let all = sentences.iter().chain(explanation.causes);
            assert!(!explanation.causes.is_empty(), "{code:?}");
            for sentence in all {
                assert!(sentence.ends_with('.'), "{code:?}: {sentence}");
                assert_eq!(sentence.matches('`').count() % 2, 0, "{code:?}: {sentence}");
            }
        }
    }

    #[test]
    fn text_between_backquotes_is_code() {
        assert_eq!(html("a `<b>` c"), "a <code>&lt;b></code> c");
    }
}
