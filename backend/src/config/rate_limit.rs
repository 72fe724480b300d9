//! How many requests an API key may make.

use std::num::NonZeroU32;

use crate::api_keys::rate_limit::RateLimit;

/// Defaults are above what a renderer that sends mail by mail can do here.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct RateLimitArgs {
    /// Requests a second that one API key may make for as long as it likes, at each backend; 0 limits
    /// nobody.
    #[arg(
        long,
        env = "KRAITER_RATE_LIMIT",
        default_value_t = 5000,
        value_name = "REQUESTS"
    )]
    rate_limit: u32,

    /// Requests that one API key may make at once after a pause.
    #[arg(long, env = "KRAITER_RATE_LIMIT_BURST", default_value_t = 20_000, value_name = "REQUESTS",
          value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit_burst: u32,
}

impl RateLimitArgs {
    /// `None`: nobody is limited.
    pub(super) fn read(self) -> Option<RateLimit> {
        Some(RateLimit {
            per_second: NonZeroU32::new(self.rate_limit)?,
            burst: NonZeroU32::new(self.rate_limit_burst)?,
        })
    }
}
