//! `GET /campaigns/{name}/preview`.

use actix_web::get;
use actix_web::web::{Data, Json as Answer, Path};
use serde::Serialize;

use super::{KeptPreview, PreviewLink, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::clock::Timestamp;
use crate::database::connect;
use crate::http::{ErrorCode, Problem};
use crate::sends::Campaign;

/// The mail of a campaign as all its recipients share it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Preview)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewView {
    #[schema(example = "spring-sale")]
    campaign: String,
    /// When a batch last brought this mail.
    kept_at: Timestamp,
    /// As the batch had it; in place of a tracked link's URL stands `#kraiter-link-` and the link's
    /// index. It may hold whatever its author wrote: show it where no script runs.
    #[schema(example = "<p><a href=\"#kraiter-link-0\">Look</a></p>")]
    html: String,
    /// The tracked links of the HTML, by index.
    links: Vec<PreviewLinkView>,
}

/// A link of the mail with the clicks that `GET /stats/links` shows of it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PreviewLink)]
#[serde(rename_all = "camelCase")]
struct PreviewLinkView {
    index: usize,
    #[schema(example = "https://example.com/")]
    url: String,
    #[schema(example = 42)]
    clicks: i64,
    #[schema(example = 30)]
    human_clicks: i64,
    #[schema(example = 11)]
    machine_clicks: i64,
}

impl PreviewView {
    fn of(campaign: String, preview: KeptPreview) -> Self {
        let links = preview.links.into_iter().enumerate();
        let view = |(index, link): (usize, PreviewLink)| PreviewLinkView {
            index,
            url: link.url,
            clicks: link.clicks,
            human_clicks: link.human,
            machine_clicks: link.machine,
        };
        Self {
            campaign,
            kept_at: preview.kept_at,
            html: preview.html,
            links: links.map(view).collect(),
        }
    }
}

/// The mail that a campaign's newest `/rewrite/batch` with `keepPreview` had, and how often each of its
/// links was clicked. What single recipients got of their own is never kept.
#[utoipa::path(
    operation_id = "getCampaignPreview",
    tag = "statistics",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_preview", "query_too_slow"]))),
    params(("name" = String, Path, description = "The campaign's name", example = "spring-sale")),
    responses(
        (status = 200, body = PreviewView)
    )
)]
#[get("/campaigns/{name}/preview")]
pub(crate) async fn get_preview(
    backend: Data<Backend>,
    caller: Caller<Read>,
    path: Path<String>,
) -> Result<Answer<PreviewView>, Problem> {
    let unknown = || {
        let detail = format!(
            "No mail of the campaign {:?} is kept. A /rewrite/batch whose first line says \
             \"keepPreview\": true keeps its html.",
            *path
        );
        Problem::new(ErrorCode::UnknownPreview, detail)
    };
    // A text that cannot be a campaign's name is no campaign's.
    let campaign: Campaign = path.parse().map_err(|_| unknown())?;
    let client = connect(&backend.pool).await?;
    let found = store::find(&client, caller.tenant, campaign.as_str()).await;
    let found = found.map_err(|error| Problem::of_question(error, "Try again later."))?;
    let preview = found.ok_or_else(unknown)?;
    Ok(Answer(PreviewView::of(
        campaign.as_str().to_owned(),
        preview,
    )))
}
