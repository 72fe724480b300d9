//! `GET /stats`.

use actix_web::get;
use actix_web::web::{Data, Json as Answer};
use serde::{Deserialize, Serialize};

use super::buckets::{Buckets, Interval, Span, SpanError, Zone};
use super::view::{CountsView, RatesView};
use super::{Counts, Rates, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::events::EventType;
use crate::http::query::{invalid_parameter, parameter};
use crate::http::{Problem, Query};
use crate::sends::Campaign;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StatsQuery {
    /// `hour` or `day`; `day` if not given.
    #[param(value_type = Option<Interval>, example = "day")]
    interval: Option<String>,
    /// Where days are cut, by its name in the IANA database; UTC if not given.
    #[param(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// At or after this time (RFC 3339) or day (`2026-01-31`, in the time zone). Not given: 30 days
    /// or 48 hours before the end.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Before this time or day; now if not given.
    #[param(example = "2026-12-01")]
    to: Option<String>,
    /// Of this campaign only.
    campaign: Option<String>,
    /// Only one event type, or several with commas between them. Rates stand beside them all the
    /// same.
    #[serde(rename = "type")]
    #[param(value_type = Option<Vec<EventType>>, style = Form, explode = false, example = json!(["email.opened", "email.clicked"]))]
    kind: Option<String>,
}

/// One hour or day.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = StatsPoint)]
struct PointView {
    /// When it begins. It ends where the next one begins.
    start: Timestamp,
    /// The same moment as clocks in the time zone show it.
    #[schema(example = "2026-11-24T00:00:00+01:00")]
    local: String,
    #[serde(flatten)]
    counts: CountsView,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Stats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsView {
    interval: Interval,
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// Where the first point begins.
    from: Timestamp,
    /// Where the last point ends.
    to: Timestamp,
    /// One for each hour or day, also where nothing happened.
    points: Vec<PointView>,
    /// The sum of the points.
    totals: CountsView,
    rates: RatesView,
}

/// What happened by hour or day, and in all. `from` and `to` are widened to whole hours or days; the
/// answer says where they then are. At most 1000 points are answered. Rollups hold whole hours of
/// UTC: where the time zone's offset has half an hour in it, a day begins with its first whole hour,
/// as `start` says. An open or click is unique in the hour of the first one on its send, so unique
/// ones add up over any time. Events that retention or the erasure of a contact removed stay counted.
#[utoipa::path(
    operation_id = "getStats",
    tag = "statistics",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["query_too_slow"]))),
    params(StatsQuery),
    responses(
        (status = 200, body = StatsView),
    )
)]
#[get("/stats")]
pub(crate) async fn get_stats(
    backend: Data<Backend>,
    caller: Caller<Read>,
    Query(query): Query<StatsQuery>,
) -> Result<Answer<StatsView>, Problem> {
    let interval = match query.interval.as_deref() {
        Some(interval) => parameter("interval", interval)?,
        None => Interval::Day,
    };
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
    let kinds = query.kind.as_deref().map(kinds).transpose()?;
    let buckets = Buckets::cut(span, interval, &zone, clock::now()).map_err(problem)?;
    let client = connect(&backend.pool).await?;
    let name = campaign.as_ref().map(Campaign::as_str);
    let counts = store::series(&client, caller.tenant, name, &buckets)
        .await
        .map_err(|error| {
            Problem::of_question(error, "Ask for a shorter time or for a campaign.")
        })?;
    let kinds = kinds.as_deref();
    let points = buckets.starts.iter().zip(&counts);
    let points = points.map(|(start, counts)| PointView {
        start: *start,
        local: zone.local(*start),
        counts: CountsView::of(counts, kinds),
    });
    let totals: Counts = counts.iter().sum();
    Ok(Answer(StatsView {
        interval,
        time_zone: zone.name().to_owned(),
        from: buckets.start(),
        to: buckets.end,
        points: points.collect(),
        totals: CountsView::of(&totals, kinds),
        rates: Rates::of(&totals).into(),
    }))
}

fn kinds(text: &str) -> Result<Vec<EventType>, Problem> {
    let kinds = text.split(',');
    kinds.map(|kind| parameter("type", kind)).collect()
}

fn problem(error: SpanError) -> Problem {
    invalid_parameter("from", &error)
}
