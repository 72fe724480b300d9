//! Errors as clients see them: `application/problem+json` (RFC 9457) with a stable code.
//!
//! The client gets the code and a sentence; the cause goes to the log, once, when the answer is
//! made.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::database::DatabaseError;

/// Every way in which a request can fail. A code, once released, keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    InvalidJson,
    InvalidEncoding,
    InvalidParameter,
    MissingField,
    UnknownField,
    WrongType,
    InvalidValue,
    InvalidEmail,
    MailTooComplex,
    RefusedUrl,
    UnsupportedMediaType,
    BodyTooLarge,
    MissingApiKey,
    InvalidApiKey,
    RevokedApiKey,
    InvalidIngestSecret,
    MissingScope,
    OperatorBlock,
    NotFound,
    UnknownSend,
    UnknownContact,
    ContactErased,
    UnknownCampaign,
    UnknownPreview,
    UnknownBlock,
    UnknownWebhook,
    MethodNotAllowed,
    SendConflict,
    TooManyBlocks,
    TooManyWebhooks,
    TooManyStreams,
    Saturated,
    QueryTooSlow,
    DatabaseUnavailable,
    Internal,
}

impl ErrorCode {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson | Self::InvalidEncoding | Self::InvalidParameter => {
                StatusCode::BAD_REQUEST
            }
            Self::MissingApiKey
            | Self::InvalidApiKey
            | Self::RevokedApiKey
            | Self::InvalidIngestSecret => StatusCode::UNAUTHORIZED,
            Self::MissingScope | Self::OperatorBlock => StatusCode::FORBIDDEN,
            Self::NotFound
            | Self::UnknownSend
            | Self::UnknownContact
            | Self::UnknownCampaign
            | Self::UnknownPreview
            | Self::UnknownBlock
            | Self::UnknownWebhook => StatusCode::NOT_FOUND,
            Self::ContactErased => StatusCode::GONE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::SendConflict | Self::TooManyBlocks | Self::TooManyWebhooks => {
                StatusCode::CONFLICT
            }
            Self::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MissingField
            | Self::UnknownField
            | Self::WrongType
            | Self::InvalidValue
            | Self::InvalidEmail
            | Self::MailTooComplex
            | Self::RefusedUrl => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Saturated | Self::QueryTooSlow | Self::DatabaseUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What kind of problem this is, the same for every occurrence.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::InvalidJson => "The body is not JSON",
            Self::InvalidEncoding => "The body cannot be decoded",
            Self::InvalidParameter => "A parameter of the URL is not usable",
            Self::MissingField => "A field is missing",
            Self::UnknownField => "A field is not known",
            Self::WrongType => "A field has the wrong type",
            Self::InvalidValue => "A field has a value that is not allowed",
            Self::InvalidEmail => "Not an email address",
            Self::MailTooComplex => "The mail needs more memory than allowed",
            Self::RefusedUrl => "Webhooks are not sent to this URL",
            Self::UnsupportedMediaType => "The content type is not supported",
            Self::BodyTooLarge => "The body is too large",
            Self::MissingApiKey => "No API key was sent",
            Self::InvalidApiKey => "The API key is not valid",
            Self::RevokedApiKey => "The API key was revoked",
            Self::InvalidIngestSecret => "The ingest secret is not valid",
            Self::MissingScope => "The API key lacks a scope",
            Self::OperatorBlock => "The operator has set this block",
            Self::NotFound => "There is nothing at this path",
            Self::UnknownSend => "There is no such send",
            Self::UnknownContact => "There is no such contact",
            Self::ContactErased => "The contact was erased",
            Self::UnknownCampaign => "There is no such campaign",
            Self::UnknownPreview => "No mail of the campaign is kept",
            Self::UnknownBlock => "There is no such block",
            Self::UnknownWebhook => "There is no such webhook",
            Self::MethodNotAllowed => "The method is not allowed here",
            Self::SendConflict => "The send id belongs to another contact",
            Self::TooManyBlocks => "There are too many blocks",
            Self::TooManyWebhooks => "There are too many webhooks",
            Self::TooManyStreams => "Too many streams are open",
            Self::Saturated => "The backend is busy",
            Self::QueryTooSlow => "The question takes too long to answer",
            Self::DatabaseUnavailable => "The database does not answer",
            Self::Internal => "Something went wrong here",
        }
    }
}

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
            kind: "about:blank",
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
    /// `about:blank`: the code says which problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind of problem in words, the same for each code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What programs go by; never changes its meaning.
    code: ErrorCode,
    /// What was wrong this time, and what to do.
    detail: String,
    /// The field or parameter it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// What a route may answer besides its own, in its documentation.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "only described, never made")]
pub(crate) enum ProblemResponses {
    /// Something about the request is wrong.
    #[response(status = "4XX", content_type = "application/problem+json")]
    Refused(ProblemDocument),
    /// The service cannot answer now; the same request may be answered later.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
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
        if error.is_unmigrated() {
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
