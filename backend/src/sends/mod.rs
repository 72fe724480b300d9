//! Sends: one mail to one contact, and what became of it. Knows neither HTTP nor SQL.

pub(crate) mod http;
pub(crate) mod registration;
pub(crate) mod status_stream;
pub(crate) mod store;
mod view;

use std::str::FromStr;

use kraiter_wire::ContactId;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::events::EventType;

/// Where a send has got to. Ordered: a send's status is the furthest that was reported.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Rewritten, not sent yet.
    Queued,
    Sent,
    /// The mail server gave up before it was delivered.
    Failed,
    Delivered,
    Bounced,
    Complained,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use Status::{Bounced, Complained, Delivered, Failed, Queued, Sent};
        [Queued, Sent, Failed, Delivered, Bounced, Complained]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a status"))
    }
}

/// What was reported of a send, each with its first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) status: Status,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) failed_at: Option<Timestamp>,
    pub(crate) delivered_at: Option<Timestamp>,
    pub(crate) bounced_at: Option<Timestamp>,
    pub(crate) complained_at: Option<Timestamp>,
}

impl Progress {
    /// Takes in a report and returns the events that it makes, oldest first. A repeated report
    /// changes nothing; a late one fills its time in and never takes a further status back.
    pub(crate) fn report(&mut self, status: Status, at: Timestamp) -> Vec<EventType> {
        let mut events = Vec::new();
        // What was delivered, bounced or complained about was sent, whether or not that was said.
        let implies_sent = !matches!(status, Status::Queued | Status::Failed);
        if implies_sent && self.sent_at.is_none() {
            self.sent_at = Some(at);
            events.push(EventType::Sent);
        }
        let slot = match status {
            Status::Queued | Status::Sent => None,
            Status::Failed => Some((&mut self.failed_at, None)),
            Status::Delivered => Some((&mut self.delivered_at, Some(EventType::Delivered))),
            Status::Bounced => Some((&mut self.bounced_at, Some(EventType::Bounced))),
            Status::Complained => Some((&mut self.complained_at, Some(EventType::Complained))),
        };
        if let Some((time, event)) = slot
            && time.is_none()
        {
            *time = Some(at);
            events.extend(event);
        }
        self.status = self.status.max(status);
        events
    }
}

/// A send as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub(crate) id: String,
    pub(crate) contact_id: ContactId,
    pub(crate) email: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) registered_at: Timestamp,
    pub(crate) progress: Progress,
    pub(crate) opened_at: Option<Timestamp>,
    pub(crate) clicked_at: Option<Timestamp>,
    pub(crate) unsubscribed_at: Option<Timestamp>,
    pub(crate) opens_count: i64,
    pub(crate) clicks_count: i64,
    /// The first open and click that a person made.
    pub(crate) human_opened_at: Option<Timestamp>,
    pub(crate) human_clicked_at: Option<Timestamp>,
    pub(crate) human_opens_count: i64,
    pub(crate) human_clicks_count: i64,
    pub(crate) machine_opens_count: i64,
    pub(crate) machine_clicks_count: i64,
}

/// A campaign's name, as the tenant calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Campaign(String);

impl Campaign {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Campaign {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 200 || text.contains(char::is_control) {
            return Err(format!(
                "{text:?} cannot be a campaign's name; use 1 to 200 bytes without control characters"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::UnixMillis;

    fn queued() -> Progress {
        Progress {
            status: Status::Queued,
            sent_at: None,
            failed_at: None,
            delivered_at: None,
            bounced_at: None,
            complained_at: None,
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp(UnixMillis(millis))
    }

    #[test]
    fn a_send_is_counted_once_when_it_is_first_known_to_be_sent() {
        let mut progress = queued();
        assert_eq!(progress.report(Status::Queued, at(1)), []);
        assert_eq!(
            progress.report(Status::Delivered, at(2)),
            [EventType::Sent, EventType::Delivered]
        );
        assert_eq!(progress.report(Status::Sent, at(3)), []);
        assert_eq!(progress.sent_at, Some(at(2)));
        assert_eq!(progress.status, Status::Delivered);
    }

    #[test]
    fn a_repeated_report_changes_nothing() {
        for status in [
            Status::Sent,
            Status::Failed,
            Status::Delivered,
            Status::Bounced,
            Status::Complained,
        ] {
            let mut progress = queued();
            progress.report(status, at(1));
            let before = progress;
            assert_eq!(progress.report(status, at(2)), []);
            assert_eq!(progress, before);
        }
    }

    #[test]
    fn a_late_report_never_takes_a_bounce_or_complaint_back() {
        let mut progress = queued();
        progress.report(Status::Sent, at(1));
        assert_eq!(
            progress.report(Status::Complained, at(2)),
            [EventType::Complained]
        );
        assert_eq!(
            progress.report(Status::Delivered, at(3)),
            [EventType::Delivered]
        );
        assert_eq!(progress.status, Status::Complained);
        assert_eq!(
            progress.report(Status::Bounced, at(4)),
            [EventType::Bounced]
        );
        assert_eq!(progress.status, Status::Complained);
    }

    #[test]
    fn a_failed_send_was_not_sent() {
        let mut progress = queued();
        assert_eq!(progress.report(Status::Failed, at(1)), []);
        assert_eq!(progress.sent_at, None);
        assert_eq!(progress.status, Status::Failed);
    }
}
