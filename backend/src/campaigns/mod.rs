//! Campaigns: what sends of one name have in common, out of rollups. A campaign is known once
//! something happened to one of its sends. Knows neither HTTP nor SQL.

pub(crate) mod http;
mod store;

use crate::clock::Timestamp;
use crate::stats::Counts;

/// A campaign and everything that was counted of it.
#[derive(Clone, Debug)]
pub(crate) struct CampaignSummary {
    pub(crate) name: String,
    /// The hour in which the first event of its sends lies.
    pub(crate) first_hour: Timestamp,
    /// The hour in which the newest one lies.
    pub(crate) last_hour: Timestamp,
    pub(crate) totals: Counts,
    /// When a mail of it was last kept to look at.
    pub(crate) preview_kept_at: Option<Timestamp>,
}
