//! Statistics: what was counted by the hour, added up to time series, totals and rates. Knows
//! neither HTTP nor SQL.
//!
//! Everything here comes out of rollups, which change with the events that they count, so these
//! numbers are never ahead of or behind the ones that contacts, sends and lists of events show.

pub(crate) mod buckets;
pub(crate) mod clients;
pub(crate) mod http;
pub(crate) mod links;
mod store;
pub(crate) mod view;

use crate::events::EventType;
use crate::rollups::Tally;

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
    pub(crate) human_opens: i64,
    pub(crate) machine_opens: i64,
    /// Sends that a person opened for the first time.
    pub(crate) unique_human_opens: i64,
    pub(crate) human_clicks: i64,
    pub(crate) machine_clicks: i64,
    /// Sends that a person clicked for the first time.
    pub(crate) unique_human_clicks: i64,
}

/// What rollups hold of one kind of event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfKind {
    pub(crate) events: Tally,
    /// How many of the events were the first of their kind on their send.
    pub(crate) firsts: i64,
    /// How many were the first that a person made.
    pub(crate) human_firsts: i64,
}

impl Counts {
    pub(crate) fn add(&mut self, kind: EventType, counted: OfKind) {
        let OfKind { events, .. } = counted;
        match kind {
            EventType::Sent => self.sent += events.all,
            EventType::Delivered => self.delivered += events.all,
            EventType::Bounced => self.bounced += events.all,
            EventType::Complained => self.complained += events.all,
            EventType::Opened => {
                self.opens += events.all;
                self.human_opens += events.human;
                self.machine_opens += events.machine;
                self.unique_opens += counted.firsts;
                self.unique_human_opens += counted.human_firsts;
            }
            EventType::Clicked => {
                self.clicks += events.all;
                self.human_clicks += events.human;
                self.machine_clicks += events.machine;
                self.unique_clicks += counted.firsts;
                self.unique_human_clicks += counted.human_firsts;
            }
            EventType::Unsubscribed => self.unsubscribes += events.all,
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
            human_opens: a.human_opens + b.human_opens,
            machine_opens: a.machine_opens + b.machine_opens,
            unique_human_opens: a.unique_human_opens + b.unique_human_opens,
            human_clicks: a.human_clicks + b.human_clicks,
            machine_clicks: a.machine_clicks + b.machine_clicks,
            unique_human_clicks: a.unique_human_clicks + b.unique_human_clicks,
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
    pub(crate) human_open: Option<f64>,
    pub(crate) human_click: Option<f64>,
    pub(crate) human_click_to_open: Option<f64>,
    pub(crate) bounce: Option<f64>,
    pub(crate) complaint: Option<f64>,
    pub(crate) unsubscribe: Option<f64>,
}

/// The mails that most rates are a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Base {
    Delivered,
    /// Where deliveries are not reported, or not of all mail: not every mail server does.
    Sent,
}

impl Base {
    /// Those delivered are all that can be opened, if what was reported, as delivered or bounced,
    /// accounts for nine in ten mails. If it accounts for fewer, most opens may be of mails that
    /// nobody reported on, and would seem more than there were mails.
    fn of(counts: &Counts) -> Self {
        let reported = counts.delivered + counts.bounced;
        if counts.delivered > 0 && reported * 10 >= counts.sent * 9 {
            Self::Delivered
        } else {
            Self::Sent
        }
    }

    fn mails(self, counts: &Counts) -> i64 {
        match self {
            Self::Delivered => counts.delivered,
            Self::Sent => counts.sent,
        }
    }
}

impl Rates {
    pub(crate) fn of(counts: &Counts) -> Self {
        let base = Base::of(counts);
        let mails = base.mails(counts);
        Self {
            base,
            open: rate(counts.unique_opens, mails),
            click: rate(counts.unique_clicks, mails),
            click_to_open: rate(counts.unique_clicks, counts.unique_opens),
            human_open: rate(counts.unique_human_opens, mails),
            human_click: rate(counts.unique_human_clicks, mails),
            human_click_to_open: rate(counts.unique_human_clicks, counts.unique_human_opens),
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
        let mut add = |kind, all, human, firsts, human_firsts| {
            let machine = all - human;
            let events = Tally {
                all,
                human,
                machine,
            };
            let counted = OfKind {
                events,
                firsts,
                human_firsts,
            };
            counts.add(kind, counted);
            counts
        };
        add(EventType::Sent, 9, 0, 0, 0);
        add(EventType::Opened, 20, 6, 3, 2);
        add(EventType::Clicked, 5, 1, 2, 1);
        let counts = add(EventType::Bounced, 1, 0, 0, 0);
        let rates = Rates::of(&counts);
        assert_eq!(rates.base, Base::Sent);
        assert_eq!((rates.open, rates.click), (Some(0.3333), Some(0.2222)));
        assert_eq!(rates.click_to_open, Some(0.6667));
        assert_eq!(rates.human_open, Some(0.2222));
        assert_eq!(rates.human_click_to_open, Some(0.5));
        assert_eq!((counts.human_opens, counts.machine_opens), (6, 14));
        let counts = add(EventType::Delivered, 8, 0, 0, 0);
        let rates = Rates::of(&counts);
        assert_eq!(rates.base, Base::Delivered);
        assert_eq!((rates.open, rates.click), (Some(0.375), Some(0.25)));
        assert_eq!(rates.bounce, Some(0.1111));
        assert_eq!(rates.unsubscribe, Some(0.0));
    }

    #[test]
    fn rates_are_of_what_was_sent_where_few_deliveries_were_reported() {
        let of = |sent, delivered, bounced| {
            Rates::of(&Counts {
                sent,
                delivered,
                bounced,
                unique_opens: 50,
                ..Counts::default()
            })
        };
        assert_eq!(
            (of(100, 80, 10).base, of(100, 80, 10).open),
            (Base::Delivered, Some(0.625))
        );
        assert_eq!(
            (of(100, 80, 9).base, of(100, 80, 9).open),
            (Base::Sent, Some(0.5))
        );
        // Sent before the time that is asked for.
        assert_eq!(
            (of(0, 80, 9).base, of(0, 80, 9).open),
            (Base::Delivered, Some(0.625))
        );
        assert_eq!(
            (of(9, 0, 9).base, of(9, 0, 9).bounce),
            (Base::Sent, Some(1.0))
        );
    }
}
