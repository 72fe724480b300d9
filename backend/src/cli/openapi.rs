//! `kraiter openapi`.

/// Prints the document. Needs neither a database nor a configuration.
pub(super) fn run() -> anyhow::Result<()> {
    println!("{}", crate::openapi::pretty()?);
    Ok(())
}
