//! Query strings, with errors that name the parameter.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::{ErrorCode, Problem};

pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = actix_web::web::Query::<T>::from_query(request.query_string());
        ready(
            parsed
                .map(|query| Self(query.into_inner()))
                .map_err(|error| {
                    let message = match &error {
                        actix_web::error::QueryPayloadError::Deserialize(error) => {
                            error.to_string()
                        }
                        other => other.to_string(),
                    };
                    Problem::new(ErrorCode::InvalidParameter, format!("{message}."))
                }),
        )
    }
}

/// Parses one parameter and names it when that fails.
pub(crate) fn parameter<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| invalid_parameter(name, &error))
}

pub(crate) fn invalid_parameter(name: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::InvalidParameter, format!("{name}: {error}.")).about(name)
}
