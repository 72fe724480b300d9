//! `GET /stats/clients`.

use actix_web::get;
use actix_web::web::{Data, Json as Answer};
use serde::{Deserialize, Serialize};

use super::{Breakdown, Shares, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::http::query::{invalid_parameter, parameter};
use crate::http::{Problem, Query};
use crate::sends::Campaign;
use crate::stats::buckets::{Buckets, Interval, Span, Zone};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClientsQuery {
    /// Where days are cut, by its name in the IANA database; UTC if not given.
    #[param(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// At or after this time (RFC 3339) or day (`2026-01-31`, in the time zone). Not given: 30 days
    /// before the end.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Before this time or day; now if not given.
    #[param(example = "2026-12-01")]
    to: Option<String>,
    /// Of this campaign only.
    campaign: Option<String>,
}

/// Opens and clicks; what is neither human nor machine is suspect.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ClientCounts)]
#[serde(rename_all = "camelCase")]
struct SharesView {
    #[schema(example = 640)]
    opens: i64,
    #[schema(example = 410)]
    human_opens: i64,
    #[schema(example = 220)]
    machine_opens: i64,
    #[schema(example = 110)]
    clicks: i64,
    #[schema(example = 71)]
    human_clicks: i64,
    #[schema(example = 39)]
    machine_clicks: i64,
}

impl From<Shares> for SharesView {
    fn from(Shares { opens, clicks }: Shares) -> Self {
        Self {
            opens: opens.all,
            human_opens: opens.human,
            machine_opens: opens.machine,
            clicks: clicks.all,
            human_clicks: clicks.human,
            machine_clicks: clicks.machine,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NamedClientCounts)]
struct NamedView {
    /// `null`: the User-Agent does not tell, or none was sent.
    #[schema(required = true, example = "Apple Mail")]
    name: Option<String>,
    #[serde(flatten)]
    counts: SharesView,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ClientStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientsView {
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    from: Timestamp,
    to: Timestamp,
    /// All opens and clicks of that time that are still stored.
    totals: SharesView,
    mail_clients: Vec<NamedView>,
    browsers: Vec<NamedView>,
    /// Operating systems.
    systems: Vec<NamedView>,
    /// `computer`, `phone` and `tablet`.
    devices: Vec<NamedView>,
    /// Of the totals, those that a mail service's proxy asked for in the reader's place. They tell
    /// the mail client, and nothing of browser, system and device.
    proxied: SharesView,
}

/// Opens and clicks by mail client, browser, system and device, as User-Agents tell them. Each list
/// holds all events, most first, those that do not tell last. `from` and `to` are widened to whole
/// days. Counted from events, not from rollups: what retention or erasure removed is not in it, and
/// a long time with many events may take too long to answer.
#[utoipa::path(
    operation_id = "getClientStats",
    tag = "statistics",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["query_too_slow"]))),
    params(ClientsQuery),
    responses(
        (status = 200, body = ClientsView),
    )
)]
#[get("/stats/clients")]
pub(crate) async fn get_clients(
    backend: Data<Backend>,
    caller: Caller<Read>,
    Query(query): Query<ClientsQuery>,
) -> Result<Answer<ClientsView>, Problem> {
    let zone = match query.time_zone.as_deref() {
        Some(zone) => parameter("timeZone", zone)?,
        None => Zone::utc(),
    };
    let edge = |name, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| parameter(name, text)).transpose()
    };
    let span = Span {
        from: edge("from", &query.from)?,
        to: edge("to", &query.to)?,
    };
    let campaign = query.campaign.as_deref();
    let campaign = campaign.map(|name| parameter::<Campaign>("campaign", name));
    let campaign = campaign.transpose()?;
    let days = Buckets::cut(span, Interval::Day, &zone, clock::now())
        .map_err(|error| invalid_parameter("from", &error))?;
    let time = (days.start(), days.end);
    let client = connect(&backend.pool).await?;
    let name = campaign.as_ref().map(Campaign::as_str);
    let groups = store::by_user_agent(&client, caller.tenant, name, time)
        .await
        .map_err(|error| {
            Problem::of_question(error, "Ask for a shorter time or for a campaign.")
        })?;
    let found = Breakdown::of(&groups);
    let list = |list: Vec<(Option<String>, Shares)>| {
        let views = list.into_iter().map(|(name, shares)| NamedView {
            name,
            counts: shares.into(),
        });
        views.collect()
    };
    Ok(Answer(ClientsView {
        time_zone: zone.name().to_owned(),
        from: time.0,
        to: time.1,
        totals: found.totals.into(),
        mail_clients: list(found.mail_clients),
        browsers: list(found.browsers),
        systems: list(found.systems),
        devices: list(found.devices),
        proxied: found.proxied.into(),
    }))
}
