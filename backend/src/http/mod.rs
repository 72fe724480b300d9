//! What every route shares: problems, bodies, query strings, pages.

pub(crate) mod access_log;
pub(crate) mod body;
pub(crate) mod error_code;
mod error_explanation;
pub(crate) mod error_pages;
pub(crate) mod ndjson;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod query;

pub(crate) use body::Body;
pub(crate) use error_code::ErrorCode;
pub(crate) use page::{Limit, Page};
pub(crate) use problem::Problem;
pub(crate) use query::Query;
