//! Previews: the mail of a campaign as all its recipients share it, kept for those whose batch asked
//! for it, so that clicks can be shown where they were made. Knows neither HTTP nor SQL.
//!
//! Never what one recipient got: a recipient's own HTML is not kept, and nothing in a preview is signed.

pub(crate) mod http;
pub(crate) mod store;

use crate::clock::Timestamp;

/// Larger mail is not kept. Gmail shows a tenth of this.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// A preview as it was kept, with what was counted of its links.
#[derive(Debug)]
pub(crate) struct KeptPreview {
    pub(crate) kept_at: Timestamp,
    pub(crate) html: String,
    /// By index.
    pub(crate) links: Vec<PreviewLink>,
}

#[derive(Debug)]
pub(crate) struct PreviewLink {
    pub(crate) url: String,
    pub(crate) clicks: i64,
    pub(crate) human: i64,
    pub(crate) machine: i64,
}
