//! Statistics: what was counted by the hour, added up to time series, totals and rates. Knows
//! neither HTTP nor SQL.
//!
//! Everything here comes out of rollups, which change with the events that they count, so these
//! numbers are never ahead of or behind the ones that contacts, sends and lists of events show.

pub(crate) mod buckets;
pub(crate) mod http;
pub(crate) mod links;
mod store;
pub(crate) mod view;

use crate::events::EventType;

/// How many events of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: i64,
    pub(crate) delivered: i64,
    pub(crate) bounced: i64,
    pub(crate) complained: i64,
    pub(crate) opens: i64,
    /// Sends that were opened for the first time.
    pub(crate) unique_opens: i64,
    pub(crate) clicks: i64,
    /// Sends that were clicked for the first time.
    pub(crate) unique_clicks: i64,
    pub(crate) unsubscribes: i64,
}

impl Counts {
    /// `firsts`: how many of the events were the first of their kind on their send.
    pub(crate) fn add(&mut self, kind: EventType, events: i64, firsts: i64) {
        match kind {
            EventType::Sent => self.sent += events,
            EventType::Delivered => self.delivered += events,
            EventType::Bounced => self.bounced += events,
            EventType::Complained => self.complained += events,
            EventType::Opened => {
                self.opens += events;
                self.unique_opens += firsts;
            }
            EventType::Clicked => {
                self.clicks += events;
                self.unique_clicks += firsts;
            }
            EventType::Unsubscribed => self.unsubscribes += events,
        }
    }
}

impl<'a> std::iter::Sum<&'a Counts> for Counts {
    fn sum<I: Iterator<Item = &'a Counts>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            sent: a.sent + b.sent,
            delivered: a.delivered + b.delivered,
            bounced: a.bounced + b.bounced,
            complained: a.complained + b.complained,
            opens: a.opens + b.opens,
            unique_opens: a.unique_opens + b.unique_opens,
            clicks: a.clicks + b.clicks,
            unique_clicks: a.unique_clicks + b.unique_clicks,
            unsubscribes: a.unsubscribes + b.unsubscribes,
        })
    }
}

/// What part of the mails met what, from 0 to 1. `None` where nothing could.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) base: Base,
    pub(crate) open: Option<f64>,
    pub(crate) click: Option<f64>,
    pub(crate) click_to_open: Option<f64>,
    pub(crate) bounce: Option<f64>,
    pub(crate) complaint: Option<f64>,
    pub(crate) unsubscribe: Option<f64>,
}

/// The mails that most rates are a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Base {
    Delivered,
    /// Where no delivery was reported: not every mail server does.
    Sent,
}

impl Rates {
    pub(crate) fn of(counts: &Counts) -> Self {
        let (base, mails) = match counts.delivered {
            0 => (Base::Sent, counts.sent),
            delivered => (Base::Delivered, delivered),
        };
        Self {
            base,
            open: rate(counts.unique_opens, mails),
            click: rate(counts.unique_clicks, mails),
            click_to_open: rate(counts.unique_clicks, counts.unique_opens),
            bounce: rate(counts.bounced, counts.sent),
            complaint: rate(counts.complained, mails),
            unsubscribe: rate(counts.unsubscribes, mails),
        }
    }
}

/// To four decimals: a hundredth of a percent.
fn rate(part: i64, whole: i64) -> Option<f64> {
    const DECIMALS: f64 = 10_000.0;
    let rate = part as f64 / whole as f64;
    (whole > 0).then(|| (rate * DECIMALS).round() / DECIMALS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_was_delivered_or_else_of_what_was_sent() {
        let mut counts = Counts::default();
        assert_eq!(Rates::of(&counts).open, None);
        counts.add(EventType::Sent, 9, 0);
        counts.add(EventType::Opened, 20, 3);
        counts.add(EventType::Clicked, 5, 2);
        counts.add(EventType::Bounced, 1, 0);
        let rates = Rates::of(&counts);
        assert_eq!(rates.base, Base::Sent);
        assert_eq!((rates.open, rates.click), (Some(0.3333), Some(0.2222)));
        assert_eq!(rates.click_to_open, Some(0.6667));
        counts.add(EventType::Delivered, 8, 0);
        let rates = Rates::of(&counts);
        assert_eq!(rates.base, Base::Delivered);
        assert_eq!((rates.open, rates.click), (Some(0.375), Some(0.25)));
        assert_eq!(rates.bounce, Some(0.1111));
        assert_eq!(rates.unsubscribe, Some(0.0));
    }
}
