//! What every route shares: problems, bodies, query strings, pages.

pub(crate) mod access_log;
pub(crate) mod body;
pub(crate) mod ndjson;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod query;

pub(crate) use body::Body;
pub(crate) use page::{Limit, Page};
pub(crate) use problem::{ErrorCode, Problem};
pub(crate) use query::Query;
