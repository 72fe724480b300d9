//! Events: what happened to a send. Knows neither HTTP nor SQL.

pub(crate) mod http;
pub(crate) mod store;
pub(crate) mod stream;

use std::net::IpAddr;
use std::str::FromStr;

use kraiter_wire::{ContactId, EventId};
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;
pub(crate) use crate::database::lowest_id;
use crate::verdicts::{Reasons, Verdict};

/// Names are public API; numbers are what Postgres holds. Both keep their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) enum EventType {
    #[serde(rename = "email.opened")]
    Opened,
    #[serde(rename = "email.clicked")]
    Clicked,
    #[serde(rename = "email.unsubscribed")]
    Unsubscribed,
    #[serde(rename = "email.sent")]
    Sent,
    #[serde(rename = "email.delivered")]
    Delivered,
    #[serde(rename = "email.bounced")]
    Bounced,
    #[serde(rename = "email.complained")]
    Complained,
}

impl EventType {
    const ALL: [Self; 7] = [
        Self::Opened,
        Self::Clicked,
        Self::Unsubscribed,
        Self::Sent,
        Self::Delivered,
        Self::Bounced,
        Self::Complained,
    ];

    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Opened => 1,
            Self::Clicked => 2,
            Self::Unsubscribed => 3,
            Self::Sent => 4,
            Self::Delivered => 5,
            Self::Bounced => 6,
            Self::Complained => 7,
        }
    }

    pub(crate) fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "email.opened",
            Self::Clicked => "email.clicked",
            Self::Unsubscribed => "email.unsubscribed",
            Self::Sent => "email.sent",
            Self::Delivered => "email.delivered",
            Self::Bounced => "email.bounced",
            Self::Complained => "email.complained",
        }
    }
}

impl FromStr for EventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                format!(
                    "{text:?} is not an event type; types are {}",
                    known.join(", ")
                )
            })
    }
}

/// One event as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) kind: EventType,
    pub(crate) send_id: String,
    pub(crate) contact_id: ContactId,
    /// The contact's address, if it is known.
    pub(crate) email: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) link_index: Option<i64>,
    pub(crate) url: Option<String>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    /// Of opens and clicks.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) reasons: Option<Reasons>,
}

impl Event {
    /// The time is inside the id.
    pub(crate) fn timestamp(&self) -> Timestamp {
        time_of(self.id)
    }
}

pub(crate) fn time_of(id: Uuid) -> Timestamp {
    let millis = EventId::from_uuid(id).map(EventId::time);
    Timestamp(millis.unwrap_or(kraiter_wire::UnixMillis(0)))
}

/// Which events to list, newest first. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventFilter {
    pub(crate) kinds: Option<Vec<EventType>>,
    pub(crate) verdicts: Option<Vec<Verdict>>,
    pub(crate) send: Option<String>,
    pub(crate) contact: Option<ContactId>,
    pub(crate) campaign: Option<String>,
    /// At or after this moment.
    pub(crate) from: Option<Timestamp>,
    /// Before this moment.
    pub(crate) to: Option<Timestamp>,
    /// Where the page before ended.
    pub(crate) before: Option<Uuid>,
}
