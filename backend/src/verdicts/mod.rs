//! Who was it, a person or a machine: verdicts on opens and clicks, with their reasons.
//!
//! An event is always stored and always counted; a verdict stands beside it and can be made anew at
//! any time. `lists` holds what is known about User-Agents and networks, `alone` judges one event
//! by itself, `settling` by the events around it. All pure: no clock, no HTTP, no SQL.

mod alone;
mod lists;
mod networks;
mod reasons;
mod settling;

use std::net::IpAddr;

use kraiter_wire::UnixMillis;

pub use alone::{Rules, is_too_soon};
pub use lists::{ListError, Lists};
pub use reasons::{Reason, Reasons, Verdict};
pub use settling::{OfSend, OfSource, bursts, many_recipients, of_one_address};

/// What is judged; nothing but opens and clicks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Open,
    Click,
}

/// What one event says about who made it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub action: Action,
    pub at: UnixMillis,
    /// When the mail was sent, if that is known.
    pub sent_at: Option<UnixMillis>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    /// Values of `sec-purpose`, `purpose`, `x-purpose` and `x-moz`.
    pub purposes: [Option<&'a str>; 4],
}

/// Where a tenant draws its lines. All times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Nobody reads or clicks so soon after the mail was sent.
    pub too_soon: u64,
    /// Nobody follows two different links within this time …
    pub burst: u64,
    /// … or [`SWEEP_LINKS`] within this.
    pub sweep: u64,
    /// One address follows links for this many recipients …
    pub many_recipients: u32,
    /// … within this time.
    pub many_recipients_within: u64,
}

/// Different links that make a sweep.
pub const SWEEP_LINKS: usize = 4;

impl Default for Lines {
    fn default() -> Self {
        Self {
            too_soon: 2_000,
            burst: 2_000,
            sweep: 30_000,
            many_recipients: 8,
            many_recipients_within: 600_000,
        }
    }
}
