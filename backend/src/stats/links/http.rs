//! `GET /stats/links`.

use actix_web::get;
use actix_web::web::{Data, Json as Answer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::Date;
use kraiter_wire::SendId;
use serde::{Deserialize, Serialize};

use super::{Days, LinkClicks, Place, start, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::database::connect;
use crate::http::page::invalid_cursor;
use crate::http::query::{invalid_parameter, parameter};
use crate::http::{Limit, Page, Problem, Query};
use crate::sends::{self, Campaign};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LinksQuery {
    /// Links of this campaign. Either this or `sendId`.
    #[param(example = "spring-sale")]
    campaign: Option<String>,
    /// Links of this send.
    send_id: Option<String>,
    /// Clicks on or after this day (UTC).
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Clicks before this day (UTC).
    #[param(example = "2026-12-01")]
    to: Option<String>,
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// One link and how often it was clicked.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LinkStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinkView {
    #[schema(example = "https://example.com/")]
    url: String,
    /// Its place among the tracked links of its mail, from 0. One URL at two places is two links.
    index: i64,
    /// Every click, repeats included.
    #[schema(example = 42)]
    clicks: i64,
    /// Those that a person made, as far as the rules can tell.
    #[schema(example = 30)]
    human_clicks: i64,
    /// Those of machines. What is neither is suspect.
    #[schema(example = 11)]
    machine_clicks: i64,
}

impl From<LinkClicks> for LinkView {
    fn from(link: LinkClicks) -> Self {
        Self {
            url: link.url,
            index: link.place.index,
            clicks: link.place.clicks,
            human_clicks: link.human,
            machine_clicks: link.machine,
        }
    }
}

/// Links of a campaign or a send that were clicked, most clicks first. A page says what was counted
/// when it was read; a link that overtakes others meanwhile may stand on two pages or on none.
#[utoipa::path(
    operation_id = "listLinkStats",
    tag = "statistics",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_send", "query_too_slow"]))),
    params(LinksQuery),
    responses(
        (status = 200, body = Page<LinkView>),
    )
)]
#[get("/stats/links")]
pub(crate) async fn get_links(
    backend: Data<Backend>,
    caller: Caller<Read>,
    Query(query): Query<LinksQuery>,
) -> Result<Answer<Page<LinkView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let after = query.cursor.as_deref().map(place).transpose()?;
    let days = Days {
        from: query
            .from
            .as_deref()
            .map(|day| parse_day("from", day))
            .transpose()?,
        to: query
            .to
            .as_deref()
            .map(|day| parse_day("to", day))
            .transpose()?,
    };
    let wanted = limit.with_lookahead();
    let links = match (query.campaign.as_deref(), query.send_id.as_deref()) {
        (Some(name), None) => {
            let campaign: Campaign = parameter("campaign", name)?;
            let client = connect(&backend.pool).await?;
            let name = campaign.as_str();
            store::of_campaign(&client, caller.tenant, name, days, after, wanted).await
        }
        (None, Some(id)) => {
            let send = SendId::parse(id).map_err(|_| sends::http::unknown(id))?;
            let client = connect(&backend.pool).await?;
            let found = sends::store::find(&client, caller.tenant, send.as_str()).await?;
            let owner = found.ok_or_else(|| sends::http::unknown(id))?.contact_id;
            let send = (send.as_str(), owner);
            store::of_send(&client, caller.tenant, send, days, after, wanted).await
        }
        (None, None) => {
            let missing = "give campaign or sendId; links are listed of one of them";
            return Err(invalid_parameter("campaign", &missing));
        }
        (Some(_), Some(_)) => {
            let both = "give either campaign or sendId, not both";
            return Err(invalid_parameter("sendId", &both));
        }
    };
    let links = links.map_err(|error| Problem::of_question(error, "Ask for fewer days."))?;
    let cursor = |last: &LinkClicks| URL_SAFE_NO_PAD.encode(last.place.to_bytes());
    Ok(Answer(
        Page::with_cursor(links, limit, cursor).map(LinkView::from),
    ))
}

fn parse_day(name: &str, text: &str) -> Result<Date, Problem> {
    let day = text
        .parse()
        .ok()
        .filter(|_| text.len() == "2026-01-31".len());
    let day = day.filter(|day| start(*day).is_some());
    day.ok_or_else(|| {
        let wrong = format!("{text:?} is not a day; write it like 2026-01-31");
        invalid_parameter(name, &wrong)
    })
}

fn place(cursor: &str) -> Result<Place, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.and_then(|bytes| Place::from_bytes(&bytes));
    place.ok_or_else(|| invalid_cursor(cursor))
}
