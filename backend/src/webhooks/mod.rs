//! Webhooks: events sent to endpoints of the tenant's choice. Knows neither HTTP nor SQL.
//!
//! Whoever stores events notes their ids in the outbox, in the same transaction (`outbox`). The
//! dispatcher of any replica turns what was noted into deliveries, each a batch for one endpoint, and
//! sends those that are due (`dispatch`, `attempt`) until they are accepted or dead. Claims are rows
//! with a time on them: what a replica leaves behind when it ends is taken up by another one.
//!
//! Locks of rows are taken in the order endpoints, outbox, deliveries, and none of them while others wait
//! for an answer of a receiver.

mod address;
mod attempt;
mod client;
mod connector;
mod deliveries;
mod dispatch;
mod endpoints;
pub(crate) mod http;
pub(crate) mod outbox;
mod retries;
mod secret;
mod upkeep;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::events::EventType;
use crate::verdicts::Verdict;

pub(crate) use address::{AllowedNetworks, EndpointUrl};
pub(crate) use attempt::Payload;
pub(crate) use client::Client;
pub(crate) use dispatch::Dispatcher;
pub(crate) use retries::RetrySchedule;
pub(crate) use secret::{Secret, Secrets};

/// Each event is read and sent once for every endpoint.
pub(crate) const MAX_ENDPOINTS: i64 = 10;
/// Events in one request. An event takes some 600 bytes, and rarely more than 8 kB.
pub(crate) const MAX_BATCH: u16 = 500;
pub(crate) const DEFAULT_BATCH: u16 = 100;

/// What the operator decides.
#[derive(Clone, Debug)]
pub(crate) struct WebhookConfig {
    pub(crate) allowed: AllowedNetworks,
    pub(crate) timeout: Duration,
    pub(crate) retries: RetrySchedule,
    pub(crate) log_kept: Duration,
    /// How long opens and clicks wait where their verdict decides.
    pub(crate) settling_delay: Duration,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix($prefix).ok_or(())?);
                let bytes = bytes.map_err(|_| ())?;
                Uuid::from_slice(&bytes).map(Self).map_err(|_| ())
            }
        }
    };
}
id!(EndpointId, "whk_");
id!(
    /// The same for every attempt; receivers know a repeat by it.
    DeliveryId,
    "dlv_"
);

/// Which events an endpoint wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// `None`: all.
    pub(crate) types: Option<Vec<EventType>>,
    /// Of opens and clicks; other events have none and come regardless. `None`: all.
    pub(crate) verdicts: Option<Vec<Verdict>>,
}

impl Filter {
    fn wants(&self, kind: EventType) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.contains(&kind))
    }

    /// Whether the verdict decides, which may change while an event's neighbours arrive.
    fn waits_for_verdict(&self, kind: EventType) -> bool {
        self.verdicts.is_some() && matches!(kind, EventType::Opened | EventType::Clicked)
    }
}

/// Who paused an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PausedBy {
    Tenant,
    /// It failed for too long, or said that it is gone.
    Service,
}

impl PausedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Service => "service",
        }
    }
}

/// While it is paused nothing is sent; what it wants is kept for it.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    pub(crate) at: Timestamp,
    pub(crate) by: PausedBy,
    pub(crate) reason: Option<String>,
}

/// How attempts went lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// Attempts that failed since one was accepted.
    pub(crate) failures: i32,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last_accepted_at: Option<Timestamp>,
    pub(crate) last_failed_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

/// Where events are sent.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) url: EndpointUrl,
    pub(crate) description: Option<String>,
    pub(crate) filter: Filter,
    pub(crate) batch_size: u16,
    pub(crate) created_at: Timestamp,
    pub(crate) secrets: Secrets,
    pub(crate) pause: Option<Pause>,
    pub(crate) health: Health,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryStatus {
    /// Waits for its next attempt, or for the endpoint to be resumed.
    Pending,
    Delivered,
    /// Failed for good; it can be replayed.
    Dead,
}

impl DeliveryStatus {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|status| status.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not pending, delivered or dead"))
    }
}

/// A delivery as the log shows it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) id: DeliveryId,
    pub(crate) status: DeliveryStatus,
    pub(crate) events: i32,
    pub(crate) attempts: i32,
    pub(crate) next_attempt_at: Timestamp,
    pub(crate) last_attempt_at: Option<Timestamp>,
    pub(crate) last_duration_millis: Option<i32>,
    pub(crate) last_status: Option<i16>,
    pub(crate) last_error: Option<String>,
    pub(crate) delivered_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_their_text_and_no_other() {
        let id = EndpointId(Uuid::from_bytes([7; 16]));
        assert_eq!(id.to_string().parse(), Ok(id));
        let delivery = DeliveryId(id.0).to_string();
        assert!(delivery.parse::<EndpointId>().is_err());
        assert!("whk_".parse::<EndpointId>().is_err());
        assert!("whk_%%".parse::<EndpointId>().is_err());
    }

    #[test]
    fn a_filter_of_verdicts_lets_events_through_that_have_none() {
        let filter = Filter {
            types: Some(vec![EventType::Clicked, EventType::Bounced]),
            verdicts: Some(vec![Verdict::Human]),
        };
        assert!(filter.wants(EventType::Bounced) && !filter.wants(EventType::Opened));
        assert!(filter.waits_for_verdict(EventType::Clicked));
        assert!(!filter.waits_for_verdict(EventType::Bounced));
        assert!(Filter::default().wants(EventType::Sent));
        assert!(!Filter::default().waits_for_verdict(EventType::Clicked));
    }
}
