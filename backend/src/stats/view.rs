//! Counts and rates as answers show them.

use serde::Serialize;

use super::{Base, Counts, Rates};
use crate::events::EventType;

/// How many events of each type there were. A type that was not asked for is left out.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = Counts)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CountsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1200)]
    sent: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1180)]
    delivered: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 20)]
    bounced: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1)]
    complained: Option<i64>,
    /// Every open, repeats included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 640)]
    opens: Option<i64>,
    /// Sends that were opened for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 472)]
    unique_opens: Option<i64>,
    /// Every click, repeats included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 110)]
    clicks: Option<i64>,
    /// Sends that were clicked for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 96)]
    unique_clicks: Option<i64>,
    /// Every unsubscription, repeats included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 3)]
    unsubscribes: Option<i64>,
    /// Of the opens, those that a person made, as far as the rules can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 410)]
    human_opens: Option<i64>,
    /// Of the opens, those of machines. What is neither is suspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 220)]
    machine_opens: Option<i64>,
    /// Sends that a person opened for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 301)]
    unique_human_opens: Option<i64>,
    /// Of the clicks, those that a person made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 71)]
    human_clicks: Option<i64>,
    /// Of the clicks, those of machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 39)]
    machine_clicks: Option<i64>,
    /// Sends that a person clicked for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 62)]
    unique_human_clicks: Option<i64>,
}

impl CountsView {
    /// Of these types, or of all.
    pub(crate) fn of(counts: &Counts, kinds: Option<&[EventType]>) -> Self {
        let asked = |kind| kinds.is_none_or(|kinds| kinds.contains(&kind));
        let count = |kind, count| asked(kind).then_some(count);
        Self {
            sent: count(EventType::Sent, counts.sent),
            delivered: count(EventType::Delivered, counts.delivered),
            bounced: count(EventType::Bounced, counts.bounced),
            complained: count(EventType::Complained, counts.complained),
            opens: count(EventType::Opened, counts.opens),
            unique_opens: count(EventType::Opened, counts.unique_opens),
            clicks: count(EventType::Clicked, counts.clicks),
            unique_clicks: count(EventType::Clicked, counts.unique_clicks),
            unsubscribes: count(EventType::Unsubscribed, counts.unsubscribes),
            human_opens: count(EventType::Opened, counts.human_opens),
            machine_opens: count(EventType::Opened, counts.machine_opens),
            unique_human_opens: count(EventType::Opened, counts.unique_human_opens),
            human_clicks: count(EventType::Clicked, counts.human_clicks),
            machine_clicks: count(EventType::Clicked, counts.machine_clicks),
            unique_human_clicks: count(EventType::Clicked, counts.unique_human_clicks),
        }
    }
}

/// Parts of the mails, from 0 to 1, to four decimals; `null` where there was no mail. They divide
/// what happened in the same time, so where mails were sent before it a rate can exceed 1.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Rates)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RatesView {
    /// What the rates are a part of: `delivered`, or `sent` where those reported as delivered or
    /// bounced are fewer than nine tenths of the mails.
    of: Base,
    /// `uniqueOpens` of the mails.
    #[schema(required = true, example = 0.4)]
    open_rate: Option<f64>,
    /// `uniqueClicks` of the mails.
    #[schema(required = true, example = 0.0814)]
    click_rate: Option<f64>,
    /// `uniqueClicks` of `uniqueOpens`.
    #[schema(required = true, example = 0.2034)]
    click_to_open_rate: Option<f64>,
    /// `uniqueHumanOpens` of the mails.
    #[schema(required = true, example = 0.2551)]
    human_open_rate: Option<f64>,
    /// `uniqueHumanClicks` of the mails.
    #[schema(required = true, example = 0.0525)]
    human_click_rate: Option<f64>,
    /// `uniqueHumanClicks` of `uniqueHumanOpens`.
    #[schema(required = true, example = 0.206)]
    human_click_to_open_rate: Option<f64>,
    /// `bounced`, always of `sent`.
    #[schema(required = true, example = 0.0167)]
    bounce_rate: Option<f64>,
    /// `complained` of the mails.
    #[schema(required = true, example = 0.0008)]
    complaint_rate: Option<f64>,
    /// `unsubscribes` of the mails.
    #[schema(required = true, example = 0.0025)]
    unsubscribe_rate: Option<f64>,
}

impl From<Rates> for RatesView {
    fn from(rates: Rates) -> Self {
        Self {
            of: rates.base,
            open_rate: rates.open,
            click_rate: rates.click,
            click_to_open_rate: rates.click_to_open,
            human_open_rate: rates.human_open,
            human_click_rate: rates.human_click,
            human_click_to_open_rate: rates.human_click_to_open,
            bounce_rate: rates.bounce,
            complaint_rate: rates.complaint,
            unsubscribe_rate: rates.unsubscribe,
        }
    }
}
