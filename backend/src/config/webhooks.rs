//! What `serve` is told about webhooks.

use std::time::Duration;

use ipnet::IpNet;

use crate::webhooks::{AllowedNetworks, RetrySchedule, WebhookConfig};

/// Verdicts are settled within a round; this much later they stand in the events.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct WebhookArgs {
    /// Networks that webhooks may reach although they are not of the public internet, such as
    /// 10.1.0.0/16, with commas between them; also by http.
    #[arg(
        long,
        env = "KRAITER_WEBHOOK_ALLOW_PRIVATE",
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    webhook_allow_private: Vec<IpNet>,

    /// How long the receiver of a webhook may take to answer.
    #[arg(long, env = "KRAITER_WEBHOOK_TIMEOUT", default_value_t = 15, value_name = "SECONDS",
          value_parser = clap::value_parser!(u16).range(1..=60))]
    webhook_timeout: u16,

    /// Seconds between the attempts of a delivery that fails. After the last one it is dead.
    #[arg(
        long,
        env = "KRAITER_WEBHOOK_RETRIES",
        default_value = "5,30,120,600,1800,3600,7200,14400,28800,28800",
        value_name = "SECONDS,…"
    )]
    webhook_retries: RetrySchedule,

    /// Days that deliveries are kept: the log, the dead, and what waits for a paused endpoint.
    #[arg(long, env = "KRAITER_WEBHOOK_LOG_DAYS", default_value_t = 14, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=90))]
    webhook_log_days: u16,
}

impl WebhookArgs {
    pub(super) fn read(&self, settling_interval: Duration) -> WebhookConfig {
        WebhookConfig {
            allowed: AllowedNetworks(self.webhook_allow_private.clone()),
            timeout: Duration::from_secs(self.webhook_timeout.into()),
            retries: self.webhook_retries.clone(),
            log_kept: Duration::from_secs(86_400) * u32::from(self.webhook_log_days),
            settling_delay: settling_interval + SETTLED_AFTER,
        }
    }
}
