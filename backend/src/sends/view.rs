//! A send as answers show it.

use futures_util::try_join;
use kraiter_wire::{ContactId, TenantId};
use serde::Serialize;

use super::http::unknown;
use super::{Send, Status, store};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::http::EventView;
use crate::events::{self, Event, EventFilter, EventType};
use crate::http::Problem;

/// Opens and clicks shown with a send; all of them are in `GET /events?sendId=`.
const MAX_EVENTS_SHOWN: i64 = 1000;

/// A send with what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Send)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendView {
    #[schema(example = "snd_AaIJwhlqfVKlWImkRFn1qg")]
    id: String,
    /// The contact's address; `null` if only the id is known.
    #[schema(required = true)]
    contact: Option<String>,
    #[schema(value_type = String, example = "con_AZmzxNXmf4ChssPU5fYHGA")]
    contact_id: ContactId,
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
    /// The first open.
    #[schema(required = true)]
    opened_at: Option<Timestamp>,
    /// The first click. A click does not imply an open.
    #[schema(required = true)]
    clicked_at: Option<Timestamp>,
    #[schema(required = true)]
    unsubscribed_at: Option<Timestamp>,
    /// The first open that a person made, as far as the rules can tell.
    #[schema(required = true)]
    human_opened_at: Option<Timestamp>,
    #[schema(required = true)]
    human_clicked_at: Option<Timestamp>,
    opens_count: i64,
    clicks_count: i64,
    /// Of the opens, those that a person made.
    human_opens_count: i64,
    human_clicks_count: i64,
    /// Of the opens, those of machines. What is neither is suspect.
    machine_opens_count: i64,
    machine_clicks_count: i64,
    /// The newest 1000, oldest first.
    opens: Vec<EventView>,
    /// The newest 1000, oldest first.
    clicks: Vec<EventView>,
}

impl SendView {
    pub(crate) async fn load(
        client: &crate::database::Client,
        tenant: TenantId,
        id: &str,
    ) -> Result<Self, Problem> {
        let send = store::find(client, tenant, id).await?;
        let send = send.ok_or_else(|| unknown(id))?;
        let (opens, clicks) = if send.opens_count + send.clicks_count <= MAX_EVENTS_SHOWN {
            let events = events::store::of_send(client, tenant, &send).await?;
            events
                .into_iter()
                .partition(|event| event.kind == EventType::Opened)
        } else {
            let list = async |kind| {
                let filter = EventFilter {
                    kinds: Some(vec![kind]),
                    send: Some(id.to_owned()),
                    contact: Some(send.contact_id),
                    ..EventFilter::default()
                };
                let mut newest =
                    events::store::list(client, tenant, &filter, MAX_EVENTS_SHOWN).await?;
                newest.reverse();
                Ok::<_, DatabaseError>(newest)
            };
            try_join!(list(EventType::Opened), list(EventType::Clicked))?
        };
        let views = |events: Vec<Event>| {
            let of_send = events.into_iter().map(|event| Event {
                email: send.email.clone(),
                campaign: send.campaign.clone(),
                ..event
            });
            of_send.map(EventView::from).collect()
        };
        let (opens, clicks) = (views(opens), views(clicks));
        Ok(Self::new(send, opens, clicks))
    }

    fn new(send: Send, opens: Vec<EventView>, clicks: Vec<EventView>) -> Self {
        Self {
            id: send.id,
            contact: send.email,
            contact_id: send.contact_id,
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
            human_opened_at: send.human_opened_at,
            human_clicked_at: send.human_clicked_at,
            opens_count: send.opens_count,
            clicks_count: send.clicks_count,
            human_opens_count: send.human_opens_count,
            human_clicks_count: send.human_clicks_count,
            machine_opens_count: send.machine_opens_count,
            machine_clicks_count: send.machine_clicks_count,
            opens,
            clicks,
        }
    }
}
