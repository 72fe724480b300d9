//! Errors as clients see them: `application/problem+json` (RFC 9457) with a stable code.
//!
//! The client gets the code and a sentence; the cause goes to the log, once, when the answer is
//! made.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::error_code::ErrorCode;
use crate::database::DatabaseError;

/// One failed request.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: ErrorCode,
    detail: String,
    /// The field or parameter that the problem is about, as a path like `options.pixel`.
    pub(super) field: Option<String>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            retry_after_seconds: None,
        }
    }

    pub(crate) fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// A value that was understood and is not allowed.
    pub(crate) fn invalid(field: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidValue, detail.to_string()).about(field)
    }

    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed for a reason of ours");
        Self::new(
            ErrorCode::Internal,
            "This is our fault, not the request's; it was logged.",
        )
    }

    /// Why a question got no answer, with what to do if it was too much to ask.
    pub(crate) fn of_question(error: DatabaseError, advice: &str) -> Self {
        match error.is_canceled() {
            true => {
                tracing::warn!(%error, "the database took too long to answer a question");
                let detail = format!("The database took too long to answer. {advice}");
                Self::new(ErrorCode::QueryTooSlow, detail).retry_after(5)
            }
            false => error.into(),
        }
    }

    pub(crate) fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("/errors/{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            code: self.code,
            detail: self.detail.clone(),
            field: self.field.clone(),
        }
    }
}

/// The JSON of a problem (RFC 9457) with our stable `code`.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Where the code is explained: `/errors/` and the code, on this service.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/errors/invalid_email")]
    kind: String,
    /// The kind of problem in words, the same for each code.
    #[schema(example = "Not an email address")]
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 422)]
    status: u16,
    /// What programs go by; never changes its meaning.
    #[schema(example = "invalid_email")]
    code: ErrorCode,
    /// What was wrong this time, and what to do.
    #[schema(example = "\"ada\" is not an email address: Missing separator character '@'.")]
    detail: String,
    /// The field or parameter it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.title(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        match serde_json::to_vec(&self.document()) {
            Ok(body) => response.body(body),
            Err(_) => response.finish(),
        }
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        if error.is_missing_table() {
            tracing::error!(%error, "the database is not migrated; run kraiter migrate");
            Self::new(
                ErrorCode::DatabaseUnavailable,
                "The database is not migrated yet.",
            )
            .retry_after(5)
        } else if error.is_transient() {
            tracing::warn!(%error, "the database did not answer a request");
            Self::new(
                ErrorCode::DatabaseUnavailable,
                "The database cannot be reached or is restarting. Try again.",
            )
            .retry_after(1)
        } else {
            Self::internal(error)
        }
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        DatabaseError::from(error).into()
    }
}
