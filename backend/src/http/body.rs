//! Request bodies: read up to a limit, and errors that name the field.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::{ErrorCode, Problem};

/// Largest JSON body: a 10 MB newsletter, with what JSON adds to it by escaping.
pub(crate) const MAX_JSON_BYTES: usize = 16 << 20;

/// Room for an empty object with some white space.
const MAX_EMPTY_BYTES: usize = 1024;

/// `{}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A body that was not read yet: handlers take it beside their caller and read it once the caller
/// is known, so that strangers cannot make us hold megabytes.
pub(crate) struct Body {
    request: HttpRequest,
    payload: Payload,
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self {
            request: request.clone(),
            payload: payload.take(),
        }))
    }
}

impl Body {
    /// One JSON value. Unknown fields are refused by the type itself (`deny_unknown_fields`).
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        require_content_type(&self.request, &["application/json"])?;
        refuse_encoding(&self.request)?;
        parse(&read(self.payload, MAX_JSON_BYTES).await?)
    }

    /// One JSON value, or what an empty body stands for.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(self) -> Result<T, Problem> {
        let body = read(self.payload, MAX_JSON_BYTES).await?;
        if body.trim_ascii().is_empty() {
            return Ok(T::default());
        }
        require_content_type(&self.request, &["application/json"])?;
        refuse_encoding(&self.request)?;
        parse(&body)
    }

    /// The same with the bytes it was read from, which say whether two requests are the same.
    pub(crate) async fn json_and_bytes<T: DeserializeOwned>(self) -> Result<(T, Bytes), Problem> {
        require_content_type(&self.request, &["application/json"])?;
        refuse_encoding(&self.request)?;
        let bytes = read(self.payload, MAX_JSON_BYTES).await?;
        Ok((parse(&bytes)?, bytes))
    }

    /// For requests that say all in their path: no body, or an empty object.
    pub(crate) async fn nothing(self) -> Result<(), Problem> {
        let body = read(self.payload, MAX_EMPTY_BYTES).await?;
        match body.trim_ascii().is_empty() {
            true => Ok(()),
            false => parse::<Nothing>(&body).map(|Nothing {}| ()),
        }
    }

    /// Newline-delimited JSON, as a stream of bytes.
    pub(crate) fn ndjson(self) -> Result<Payload, Problem> {
        refuse_encoding(&self.request)?;
        self.encoded_ndjson()
    }

    /// The same for a caller that undoes the content encoding itself.
    pub(crate) fn encoded_ndjson(self) -> Result<Payload, Problem> {
        require_content_type(
            &self.request,
            &["application/x-ndjson", "application/jsonl"],
        )?;
        Ok(self.payload)
    }
}

/// A body without a content type is taken as what is expected; `curl -d` names a form.
fn require_content_type(request: &HttpRequest, accepted: &[&str]) -> Result<(), Problem> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = value
        .to_str()
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    if accepted
        .iter()
        .any(|accepted| essence.eq_ignore_ascii_case(accepted))
    {
        return Ok(());
    }
    let expected = accepted.first().copied().unwrap_or("application/json");
    Err(Problem::new(
        ErrorCode::UnsupportedMediaType,
        format!("The content type is {essence:?}; send content-type: {expected}."),
    ))
}

fn refuse_encoding(request: &HttpRequest) -> Result<(), Problem> {
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Problem::new(
            ErrorCode::UnsupportedMediaType,
            format!("content-encoding {encoding:?} is not supported here; send the body as it is."),
        )),
        _ => Ok(()),
    }
}

/// The whole body, or a clear error once it is larger than `limit`.
pub(crate) async fn read(mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| not_whole(&error))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(crate) fn not_whole(error: &PayloadError) -> Problem {
    let cause = match error {
        PayloadError::Incomplete(Some(cause)) | PayloadError::Io(cause) => cause.to_string(),
        other => other.to_string(),
    };
    Problem::new(
        ErrorCode::InvalidEncoding,
        format!("The body did not arrive whole or cannot be decompressed: {cause}."),
    )
}

pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(
        ErrorCode::BodyTooLarge,
        format!("The body has more than {limit} bytes, which is the most that is taken here."),
    )
}

/// Reads a JSON object and says which field is wrong and how.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde would take an array for an object, its items for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') && is_json(body) {
        return Err(Problem::new(
            ErrorCode::WrongType,
            "This has to be a JSON object: {…}.",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let problem = match error.inner() {
            // A number where the name of a value belongs is reported as bad JSON.
            syntax if !syntax.is_data() && is_json(body) => Problem::new(
                ErrorCode::WrongType,
                format!("invalid type: {syntax}; see /openapi.json for the values it takes."),
            ),
            inner => classify(inner),
        };
        // Where the JSON itself breaks off, the place in the text says more than any field.
        if path == "." || path.is_empty() || problem.code == ErrorCode::InvalidJson {
            problem
        } else {
            problem.about(path)
        }
    })?;
    deserializer.end().map_err(|error| classify(&error))?;
    Ok(value)
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// serde has one error type; its kinds are told apart by how their messages begin.
fn classify(error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    if error.classify() != serde_json::error::Category::Data {
        return Problem::new(
            ErrorCode::InvalidJson,
            format!("The body is not valid JSON: {message}."),
        );
    }
    let code = if message.starts_with("missing field") {
        ErrorCode::MissingField
    } else if message.starts_with("unknown field") {
        ErrorCode::UnknownField
    } else if message.starts_with("invalid type") {
        ErrorCode::WrongType
    } else {
        ErrorCode::InvalidValue
    };
    Problem::new(code, format!("{message}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its parsing matters")]
        inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing matters")]
        number: u8,
    }

    #[test]
    fn each_mistake_in_json_has_its_code_and_names_its_field() {
        let of = |body: &str| {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            (problem.code, problem.field.clone())
        };
        assert_eq!(of("{"), (ErrorCode::InvalidJson, None));
        assert_eq!(
            of(r#"{"inner":{"number":1}} x"#),
            (ErrorCode::InvalidJson, None)
        );
        assert_eq!(of("{}"), (ErrorCode::MissingField, None));
        assert_eq!(of(r#"[{"number":1}]"#), (ErrorCode::WrongType, None));
        assert_eq!(of("7"), (ErrorCode::WrongType, None));
        assert_eq!(
            of(r#"{"inner":{"number":1,"x":2}}"#),
            (ErrorCode::UnknownField, Some("inner.x".to_owned()))
        );
        assert_eq!(
            of(r#"{"inner":{"number":"one"}}"#),
            (ErrorCode::WrongType, Some("inner.number".to_owned()))
        );
        assert_eq!(
            of(r#"{"inner":{"number":300}}"#),
            (ErrorCode::InvalidValue, Some("inner.number".to_owned()))
        );
    }
}
