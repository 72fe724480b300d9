//! `GET /events`, and events as answers show them.

use std::net::IpAddr;

use actix_web::get;
use actix_web::web::{Data, Json as Answer};
use kraiter_wire::{ContactId, SendId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Event, EventFilter, EventType, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::clients::Client;
use crate::clock::Timestamp;
use crate::contacts::{self, ContactRef};
use crate::database::connect;
use crate::http::query::{invalid_parameter, parameter};
use crate::http::{Limit, Page, Problem, Query, page};
use crate::sends::Campaign;
use crate::verdicts::{Reason, Verdict};

/// One thing that happened to a send.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Event)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventView {
    /// A UUID of version 7; the same event always has the same.
    id: Uuid,
    #[serde(rename = "type")]
    kind: EventType,
    timestamp: Timestamp,
    send_id: String,
    /// The contact's address; `null` if only the id is known.
    #[schema(required = true)]
    contact: Option<String>,
    #[schema(value_type = String, example = "con_AZmzxNXmf4ChssPU5fYHGA")]
    contact_id: ContactId,
    #[schema(required = true)]
    campaign: Option<String>,
    /// Clicks: where the link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<String>,
    /// Clicks: the link's place among the tracked links of its mail, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    index: Option<i64>,
    /// Opens, clicks and unsubscribes: the client's address as far as the settings keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, example = "198.51.100.0")]
    ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_agent: Option<String>,
    /// Opens, clicks and unsubscribes: what the User-Agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client: Option<Client>,
    /// Opens and clicks: who made it. It may change while events around it arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Verdict>)]
    verdict: Option<&'static str>,
    /// Opens and clicks: the rules that applied. The verdict follows from them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<Reason>>, example = json!(["bot_ua", "burst"]))]
    reasons: Option<Vec<&'static str>>,
}

impl EventView {
    pub(crate) fn page(events: Vec<Event>, limit: Limit) -> Page<Self> {
        Page::new(
            events.into_iter().map(Self::from).collect(),
            limit,
            |event| event.id,
        )
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            id: event.id,
            kind: event.kind,
            timestamp: event.timestamp(),
            send_id: event.send_id,
            contact: event.email,
            contact_id: event.contact_id,
            campaign: event.campaign,
            url: event.url,
            index: event.link_index,
            ip: event.ip,
            client: event.user_agent.as_deref().and_then(Client::of),
            user_agent: event.user_agent,
            verdict: event.verdict.map(Verdict::as_str),
            reasons: event
                .reasons
                .map(|reasons| reasons.iter().map(Reason::as_str).collect()),
        }
    }
}

/// Which events a request asks for, in its words. A contact has to be looked up besides.
pub(crate) struct Selection<'q> {
    pub(crate) kind: Option<&'q str>,
    pub(crate) verdict: Option<&'q str>,
    pub(crate) send_id: Option<&'q str>,
    pub(crate) campaign: Option<&'q str>,
}

impl Selection<'_> {
    pub(crate) fn parse(&self) -> Result<EventFilter, Problem> {
        let kinds = self.kind.map(|kinds| {
            kinds
                .split(',')
                .map(|kind| parameter::<EventType>("type", kind))
                .collect()
        });
        let verdicts = self.verdict.map(|verdicts| {
            verdicts
                .split(',')
                .map(|verdict| parameter::<Verdict>("verdict", verdict))
                .collect()
        });
        let send = self
            .send_id
            .map(|id| SendId::parse(id).map_err(|error| invalid_parameter("sendId", &error)));
        let campaign = self
            .campaign
            .map(|name| parameter::<Campaign>("campaign", name));
        Ok(EventFilter {
            kinds: kinds.transpose()?,
            verdicts: verdicts.transpose()?,
            send: send.transpose()?.map(|id| id.as_str().to_owned()),
            campaign: campaign.transpose()?.map(|name| name.as_str().to_owned()),
            ..EventFilter::default()
        })
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// One event type, or several with commas between them.
    #[serde(rename = "type")]
    #[param(value_type = Option<Vec<EventType>>, style = Form, explode = false, example = json!(["email.opened", "email.clicked"]))]
    kind: Option<String>,
    /// Only opens and clicks with one of these verdicts: `human`, `machine`, `suspect`, with commas
    /// between them.
    #[param(value_type = Option<Vec<Verdict>>, style = Form, explode = false, example = json!(["human", "suspect"]))]
    verdict: Option<String>,
    send_id: Option<String>,
    /// Address or id.
    contact: Option<String>,
    campaign: Option<String>,
    /// At or after this time (RFC 3339).
    #[param(value_type = Option<Timestamp>)]
    from: Option<String>,
    /// Before this time (RFC 3339).
    #[param(value_type = Option<Timestamp>)]
    to: Option<String>,
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Events of the tenant, newest first.
#[utoipa::path(
    operation_id = "listEvents",
    tag = "events",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["invalid_email", "query_too_slow"]))),
    params(EventsQuery),
    responses(
        (status = 200, body = Page<EventView>),
    )
)]
#[get("/events")]
pub(crate) async fn get_events(
    backend: Data<Backend>,
    caller: Caller<Read>,
    Query(query): Query<EventsQuery>,
) -> Result<Answer<Page<EventView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let time = |name, text: &Option<String>| -> Result<Option<Timestamp>, Problem> {
        text.as_deref()
            .map(|text| parameter(name, text))
            .transpose()
    };
    let selection = Selection {
        kind: query.kind.as_deref(),
        verdict: query.verdict.as_deref(),
        send_id: query.send_id.as_deref(),
        campaign: query.campaign.as_deref(),
    };
    let mut filter = EventFilter {
        from: time("from", &query.from)?,
        to: time("to", &query.to)?,
        before: page::cursor(query.cursor.as_deref())?,
        ..selection.parse()?
    };
    let client = connect(&backend.pool).await?;
    if let Some(contact) = query.contact.as_deref() {
        let contact = match contacts::http::parse(contact)? {
            ContactRef::Id(id) => Some(id),
            by_email => contacts::store::find(&client, caller.tenant, &by_email)
                .await?
                .map(|contact| contact.id),
        };
        match contact {
            Some(id) => filter.contact = Some(id),
            // Nobody of that address: no events.
            None => return Ok(Answer(EventView::page(Vec::new(), limit))),
        }
    }
    let events = store::list(&client, caller.tenant, &filter, limit.with_lookahead()).await;
    let events = events.map_err(|error| {
        Problem::of_question(error, "Ask for a contact, a send or a shorter time.")
    })?;
    Ok(Answer(EventView::page(events, limit)))
}
