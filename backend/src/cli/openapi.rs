//! `kraiter openapi`.

use super::output;

/// Prints the document. Needs neither a database nor a configuration.
pub(super) fn run() -> anyhow::Result<()> {
    output::print(&crate::openapi::pretty()?)
}
