//! The codes of errors: one enum, whose matches are exhaustive, so that a new code forces its status,
//! its title and, in `error_explanation.rs`, its documentation.

use std::str::FromStr;

use actix_web::http::StatusCode;
use serde::Serialize;

/// Every way in which a request can fail. A code, once released, keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    InvalidJson,
    InvalidEncoding,
    InvalidParameter,
    InvalidHeader,
    MissingField,
    UnknownField,
    WrongType,
    InvalidValue,
    InvalidEmail,
    MailTooComplex,
    RefusedUrl,
    IdempotencyKeyReused,
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
    IdempotencyKeyInUse,
    RateLimited,
    Saturated,
    QueryTooSlow,
    DatabaseUnavailable,
    Internal,
}

impl ErrorCode {
    pub(crate) const ALL: [Self; 39] = [
        Self::InvalidJson,
        Self::InvalidEncoding,
        Self::InvalidParameter,
        Self::InvalidHeader,
        Self::MissingField,
        Self::UnknownField,
        Self::WrongType,
        Self::InvalidValue,
        Self::InvalidEmail,
        Self::MailTooComplex,
        Self::RefusedUrl,
        Self::IdempotencyKeyReused,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::MissingApiKey,
        Self::InvalidApiKey,
        Self::RevokedApiKey,
        Self::InvalidIngestSecret,
        Self::MissingScope,
        Self::OperatorBlock,
        Self::NotFound,
        Self::UnknownSend,
        Self::UnknownContact,
        Self::ContactErased,
        Self::UnknownCampaign,
        Self::UnknownPreview,
        Self::UnknownBlock,
        Self::UnknownWebhook,
        Self::MethodNotAllowed,
        Self::SendConflict,
        Self::TooManyBlocks,
        Self::TooManyWebhooks,
        Self::TooManyStreams,
        Self::IdempotencyKeyInUse,
        Self::RateLimited,
        Self::Saturated,
        Self::QueryTooSlow,
        Self::DatabaseUnavailable,
        Self::Internal,
    ];

    /// As answers show it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidEncoding => "invalid_encoding",
            Self::InvalidParameter => "invalid_parameter",
            Self::InvalidHeader => "invalid_header",
            Self::MissingField => "missing_field",
            Self::UnknownField => "unknown_field",
            Self::WrongType => "wrong_type",
            Self::InvalidValue => "invalid_value",
            Self::InvalidEmail => "invalid_email",
            Self::MailTooComplex => "mail_too_complex",
            Self::RefusedUrl => "refused_url",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BodyTooLarge => "body_too_large",
            Self::MissingApiKey => "missing_api_key",
            Self::InvalidApiKey => "invalid_api_key",
            Self::RevokedApiKey => "revoked_api_key",
            Self::InvalidIngestSecret => "invalid_ingest_secret",
            Self::MissingScope => "missing_scope",
            Self::OperatorBlock => "operator_block",
            Self::NotFound => "not_found",
            Self::UnknownSend => "unknown_send",
            Self::UnknownContact => "unknown_contact",
            Self::ContactErased => "contact_erased",
            Self::UnknownCampaign => "unknown_campaign",
            Self::UnknownPreview => "unknown_preview",
            Self::UnknownBlock => "unknown_block",
            Self::UnknownWebhook => "unknown_webhook",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::SendConflict => "send_conflict",
            Self::TooManyBlocks => "too_many_blocks",
            Self::TooManyWebhooks => "too_many_webhooks",
            Self::TooManyStreams => "too_many_streams",
            Self::IdempotencyKeyInUse => "idempotency_key_in_use",
            Self::RateLimited => "rate_limited",
            Self::Saturated => "saturated",
            Self::QueryTooSlow => "query_too_slow",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::Internal => "internal",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson
            | Self::InvalidEncoding
            | Self::InvalidParameter
            | Self::InvalidHeader => StatusCode::BAD_REQUEST,
            Self::MissingApiKey
            | Self::InvalidApiKey
            | Self::RevokedApiKey
            | Self::InvalidIngestSecret => StatusCode::UNAUTHORIZED,
            Self::MissingScope | Self::OperatorBlock => StatusCode::FORBIDDEN,
            Self::NotFound
            | Self::UnknownSend
            | Self::UnknownContact
            | Self::UnknownCampaign
            | Self::UnknownBlock
            | Self::UnknownPreview
            | Self::UnknownWebhook => StatusCode::NOT_FOUND,
            Self::ContactErased => StatusCode::GONE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::SendConflict
            | Self::TooManyBlocks
            | Self::TooManyWebhooks
            | Self::IdempotencyKeyInUse => StatusCode::CONFLICT,
            Self::RateLimited | Self::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MissingField
            | Self::UnknownField
            | Self::WrongType
            | Self::InvalidValue
            | Self::InvalidEmail
            | Self::MailTooComplex
            | Self::RefusedUrl
            | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
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
            Self::InvalidHeader => "A header of the request is not usable",
            Self::MissingField => "A field is missing",
            Self::UnknownField => "A field is not known",
            Self::WrongType => "A field has the wrong type",
            Self::InvalidValue => "A field has a value that is not allowed",
            Self::InvalidEmail => "Not an email address",
            Self::MailTooComplex => "The mail needs more memory than allowed",
            Self::RefusedUrl => "Webhooks are not sent to this URL",
            Self::IdempotencyKeyReused => "The idempotency key belongs to another request",
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
            Self::IdempotencyKeyInUse => "The same request is under way",
            Self::RateLimited => "The API key makes too many requests",
            Self::Saturated => "The backend is busy",
            Self::QueryTooSlow => "The question takes too long to answer",
            Self::DatabaseUnavailable => "The database does not answer",
            Self::Internal => "Something went wrong here",
        }
    }
}

impl FromStr for ErrorCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = Self::ALL.into_iter().find(|code| code.as_str() == text);
        code.ok_or_else(|| format!("{text:?} is not an error code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_under_the_name_that_answers_show() {
        let shown = ErrorCode::ALL.map(|code| serde_json::to_value(code).unwrap());
        assert_eq!(shown.to_vec(), ErrorCode::ALL.map(ErrorCode::as_str));
        // The schema is derived from the enum, so it holds a variant that the list lacks.
        let schema = serde_json::to_value(<ErrorCode as utoipa::PartialSchema>::schema()).unwrap();
        assert_eq!(schema["enum"].as_array(), Some(&shown.to_vec()));
    }
}
