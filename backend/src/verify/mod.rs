//! Verification: whether every counter, first time and rollup is what the events say. Reads one
//! snapshot and changes nothing, so it may run beside a live service.

mod store;

use serde::Serialize;

pub(crate) use store::{CHECKS, Snapshot};

/// Differences of one check that are shown; all are counted.
const MAX_EXAMPLES: i64 = 20;

/// A number or time (in milliseconds) that is not what the events say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) tenant: i32,
    /// The contact's id, the send's, or the campaign with hour or day.
    pub(crate) of: String,
    pub(crate) field: String,
    pub(crate) stored: Option<i64>,
    pub(crate) found: Option<i64>,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Checked {
    pub(crate) check: &'static str,
    pub(crate) differences: i64,
    pub(crate) examples: Vec<Difference>,
}
