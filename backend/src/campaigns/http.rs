//! `GET /campaigns` and `GET /campaigns/{name}`.

use actix_web::get;
use actix_web::web::{Data, Json as Answer, Path};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{CampaignSummary, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::clock::Timestamp;
use crate::database::connect;
use crate::http::page::invalid_cursor;
use crate::http::query::parameter;
use crate::http::{ErrorCode, Limit, Page, Problem, Query};
use crate::sends::Campaign;
use crate::stats::Rates;
use crate::stats::view::{CountsView, RatesView};

/// A campaign with what was counted of it in all its time.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Campaign)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CampaignView {
    #[schema(example = "spring-sale")]
    name: String,
    /// The beginning of the hour in which the first event of its sends lies.
    first_activity_hour: Timestamp,
    /// The beginning of the hour in which the newest one lies.
    last_activity_hour: Timestamp,
    totals: CountsView,
    rates: RatesView,
    /// When a batch last had its mail kept, which `GET /campaigns/{name}/preview` shows; `null` if
    /// none did.
    #[schema(required = true)]
    preview_kept_at: Option<Timestamp>,
}

impl From<CampaignSummary> for CampaignView {
    fn from(campaign: CampaignSummary) -> Self {
        Self {
            name: campaign.name,
            first_activity_hour: campaign.first_hour,
            last_activity_hour: campaign.last_hour,
            totals: CountsView::of(&campaign.totals, None),
            rates: Rates::of(&campaign.totals).into(),
            preview_kept_at: campaign.preview_kept_at,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CampaignsQuery {
    /// Only campaigns of which something happened in the hour of this time (RFC 3339) or later.
    #[param(value_type = Option<Timestamp>)]
    active_since: Option<String>,
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Campaigns with their totals, by name. A campaign is known once something happened to one of its
/// sends; sends without a campaign are in `GET /stats` only.
#[utoipa::path(
    operation_id = "listCampaigns",
    tag = "statistics",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["query_too_slow"]))),
    params(CampaignsQuery),
    responses(
        (status = 200, body = Page<CampaignView>),
    )
)]
#[get("/campaigns")]
pub(crate) async fn get_campaigns(
    backend: Data<Backend>,
    caller: Caller<Read>,
    Query(query): Query<CampaignsQuery>,
) -> Result<Answer<Page<CampaignView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let since = query.active_since.as_deref();
    let since = since
        .map(|time| parameter("activeSince", time))
        .transpose()?;
    let after = query.cursor.as_deref().map(name).transpose()?;
    let client = connect(&backend.pool).await?;
    let (after, wanted) = (after.as_deref(), limit.with_lookahead());
    let found = store::list(&client, caller.tenant, since, after, wanted).await;
    let found =
        found.map_err(|error| Problem::of_question(error, "Ask for fewer items on a page."))?;
    let cursor = |last: &CampaignSummary| URL_SAFE_NO_PAD.encode(&last.name);
    Ok(Answer(
        Page::with_cursor(found, limit, cursor).map(CampaignView::from),
    ))
}

/// The name that the page before ended with.
fn name(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let name = name.filter(|name| name.parse::<Campaign>().is_ok());
    name.ok_or_else(|| invalid_cursor(cursor))
}

/// A campaign with its totals.
#[utoipa::path(
    operation_id = "getCampaign",
    tag = "statistics",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_campaign", "query_too_slow"]))),
    params(("name" = String, Path, description = "The campaign's name", example = "spring-sale")),
    responses(
        (status = 200, body = CampaignView),
    )
)]
#[get("/campaigns/{name}")]
pub(crate) async fn get_campaign(
    backend: Data<Backend>,
    caller: Caller<Read>,
    path: Path<String>,
) -> Result<Answer<CampaignView>, Problem> {
    let unknown = || {
        let detail = format!(
            "No campaign {:?}. A campaign is known once something happened to one of its sends.",
            *path
        );
        Problem::new(ErrorCode::UnknownCampaign, detail)
    };
    // A text that cannot be a campaign's name is no campaign's.
    let campaign: Campaign = path.parse().map_err(|_| unknown())?;
    let client = connect(&backend.pool).await?;
    let found = store::find(&client, caller.tenant, campaign.as_str()).await;
    let found = found.map_err(|error| Problem::of_question(error, "Try again later."))?;
    Ok(Answer(found.ok_or_else(unknown)?.into()))
}
