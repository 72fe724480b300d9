//! Export: everything that is kept about a contact, as one JSON document. Knows neither HTTP nor SQL.
//!
//! The document can be of any size, so it is made page by page and never held whole.

pub(crate) mod http;
mod store;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::contacts::http::ContactView;
use crate::events::http::EventView;
use crate::sends::{Send, Status};

/// Everything that is kept about a contact: sends by their ids, events newest first. The audit log is
/// not part of it: it names nobody.
#[derive(utoipa::ToSchema)]
#[schema(as = ContactExport)]
#[expect(
    dead_code,
    reason = "describes the document, which is written in parts"
)]
pub(crate) struct ExportView {
    #[schema(inline)]
    #[serde(flatten)]
    head: Head,
    sends: Vec<ExportedSend>,
    events: Vec<ExportedEvent>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Head {
    /// When the document was begun. What changes while it is written may be part of it or not.
    exported_at: Timestamp,
    contact: ContactView,
}

/// A mail to the contact, with what became of it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExportedSend {
    id: String,
    #[schema(required = true)]
    campaign: Option<String>,
    status: Status,
    registered_at: Timestamp,
    #[schema(required = true)]
    sent_at: Option<Timestamp>,
    #[schema(required = true)]
    failed_at: Option<Timestamp>,
    #[schema(required = true)]
    delivered_at: Option<Timestamp>,
    #[schema(required = true)]
    bounced_at: Option<Timestamp>,
    #[schema(required = true)]
    complained_at: Option<Timestamp>,
    #[schema(required = true)]
    opened_at: Option<Timestamp>,
    #[schema(required = true)]
    clicked_at: Option<Timestamp>,
    #[schema(required = true)]
    unsubscribed_at: Option<Timestamp>,
    opens_count: i64,
    clicks_count: i64,
    #[schema(required = true)]
    human_opened_at: Option<Timestamp>,
    #[schema(required = true)]
    human_clicked_at: Option<Timestamp>,
    human_opens_count: i64,
    human_clicks_count: i64,
    machine_opens_count: i64,
    machine_clicks_count: i64,
}

impl From<Send> for ExportedSend {
    fn from(send: Send) -> Self {
        Self {
            id: send.id,
            campaign: send.campaign,
            status: send.progress.status,
            registered_at: send.registered_at,
            sent_at: send.progress.sent_at,
            failed_at: send.progress.failed_at,
            delivered_at: send.progress.delivered_at,
            bounced_at: send.progress.bounced_at,
            complained_at: send.progress.complained_at,
            opened_at: send.opened_at,
            clicked_at: send.clicked_at,
            unsubscribed_at: send.unsubscribed_at,
            opens_count: send.opens_count,
            clicks_count: send.clicks_count,
            human_opened_at: send.human_opened_at,
            human_clicked_at: send.human_clicked_at,
            human_opens_count: send.human_opens_count,
            human_clicks_count: send.human_clicks_count,
            machine_opens_count: send.machine_opens_count,
            machine_clicks_count: send.machine_clicks_count,
        }
    }
}

/// An event as other answers show it, and the headers that are kept with it.
#[derive(Serialize, utoipa::ToSchema)]
struct ExportedEvent {
    #[serde(flatten)]
    event: EventView,
    headers: Headers,
}

/// What the client sent besides its User-Agent; left out where it sent none.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExportedHeaders)]
#[serde(rename_all = "camelCase")]
struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    accept_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sec_purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    x_purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    x_moz: Option<String>,
}

/// Writes items after the ones before, with commas between all of them.
fn append<T: Serialize>(
    out: &mut Vec<u8>,
    items: &[T],
    is_first: &mut bool,
) -> serde_json::Result<()> {
    for item in items {
        if !std::mem::take(is_first) {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, item)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_one_list() {
        let mut out = Vec::new();
        let mut is_first = true;
        for page in [&[1, 2][..], &[], &[3]] {
            append(&mut out, page, &mut is_first).unwrap();
        }
        assert_eq!(out, b"1,2,3");
    }
}
