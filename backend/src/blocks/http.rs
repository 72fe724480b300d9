//! `GET`, `PUT` and `DELETE /blocks` for tenants, `GET /edge/policy` for edges.

use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::web::{Data, Json as Answer};
use actix_web::{HttpRequest, HttpResponse, delete, get, put};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kraiter_wire::SendId;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};

use super::store::{Place, Put, Scope};
use super::{Block, Reason, SetBy, Target, store};
use crate::api_keys::{Admin, Caller};
use crate::audit;
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::http::{Body, ErrorCode, Limit, Page, Problem, Query};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlockKind {
    /// One mail: its pixel and links answer 410.
    Send,
    /// Links of the tenant's mails to this host and its subdomains answer 410.
    Host,
}

impl BlockKind {
    fn target(self, value: &str) -> Result<Target, String> {
        match self {
            Self::Send => SendId::parse(value.to_owned())
                .map(Target::Send)
                .map_err(|error| error.to_string()),
            Self::Host => value.parse().map(Target::Host),
        }
    }
}

/// A blocked send or destination host. Its pixel and links answer 410 and record nothing;
/// unsubscribing keeps working.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Block)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockView {
    kind: BlockKind,
    /// The send's id, or the host in lower case and punycode.
    #[schema(example = "evil.example")]
    value: String,
    #[schema(required = true, example = "phishing, reported by our abuse desk")]
    reason: Option<String>,
    created_at: Timestamp,
    /// What the operator of the service has blocked, only the operator can unblock.
    set_by: SetBy,
}

impl From<Block> for BlockView {
    fn from(block: Block) -> Self {
        Self {
            kind: match block.target {
                Target::Host(_) => BlockKind::Host,
                Target::Send(_) | Target::Tenant => BlockKind::Send,
            },
            value: block.target.value().to_owned(),
            reason: block.reason,
            created_at: block.created_at,
            set_by: block.set_by,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BlocksQuery {
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The tenant's blocked hosts and sends, by kind and value.
#[utoipa::path(
    operation_id = "listBlocks",
    tag = "blocks",
    security(("apiKey" = ["admin"])),
    params(BlocksQuery),
    responses(
        (status = 200, body = Page<BlockView>),
    )
)]
#[get("/blocks")]
pub(crate) async fn get_blocks(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    Query(query): Query<BlocksQuery>,
) -> Result<Answer<Page<BlockView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let after = place(query.cursor.as_deref())?;
    let client = connect(&backend.pool).await?;
    let lookahead = limit.with_lookahead();
    let blocks = store::list(&client, caller.tenant, after.as_ref(), lookahead).await?;
    let page = Page::with_cursor(blocks, limit, |last| {
        let place = [
            last.target.kind(),
            last.target.value(),
            last.set_by.as_str(),
        ];
        URL_SAFE_NO_PAD.encode(place.join("\n"))
    });
    Ok(Answer(Page {
        items: page.items.into_iter().map(BlockView::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// Where the page before ended.
fn place(cursor: Option<&str>) -> Result<Option<Place>, Problem> {
    let Some(text) = cursor else { return Ok(None) };
    let read = || -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut parts = std::str::from_utf8(&bytes).ok()?.split('\n');
        let place = (parts.next()?, parts.next()?, parts.next()?);
        let clean = !bytes.contains(&0) && parts.next().is_none();
        clean.then(|| (place.0.to_owned(), place.1.to_owned(), place.2.to_owned()))
    };
    read()
        .map(Some)
        .ok_or_else(|| crate::http::page::invalid_cursor(text))
}

/// What to block.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"kind": "host", "value": "evil.example", "reason": "phishing"}))]
pub(crate) struct BlockRequest {
    kind: BlockKind,
    /// The send's id, or a host like `evil.example`, without scheme, port and path.
    value: String,
    /// For people: 1 to 500 characters. Left out, one that was given before stays.
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
}

/// Blocks a send or a destination host of the tenant's mails. Edges know within a minute. Blocking
/// what is blocked changes nothing but the reason. 201 if the block is new.
#[utoipa::path(
    operation_id = "putBlock",
    tag = "blocks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["too_many_blocks"]))),
    request_body = BlockRequest,
    responses(
        (status = 200, body = BlockView),
        (status = 201, body = BlockView),
    )
)]
#[put("/blocks")]
pub(crate) async fn put_block(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let request: BlockRequest = body.json().await?;
    let target = request.kind.target(&request.value);
    let target = target.map_err(|error| Problem::invalid("value", format!("{error}.")))?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let (scope, reason) = (Scope::One(caller.tenant), request.reason.as_ref());
    let now = clock::now();
    let put = store::put(&tx, scope, SetBy::Tenant, &target, reason, now).await?;
    let put = put
        .map_err(|error| Problem::new(ErrorCode::TooManyBlocks, format!("{}.", capital(error))))?;
    if matches!(put, Put::Made(_)) {
        let entry = target.audited(Some(caller.tenant), caller.actor(), true);
        audit::store::write(&tx, &entry, now).await?;
    }
    tx.commit().await?;
    backend.policy.refresh().await;
    Ok(match put {
        Put::Made(block) => HttpResponse::Created().json(BlockView::from(block)),
        Put::Kept(block) => HttpResponse::Ok().json(BlockView::from(block)),
    })
}

fn capital(error: super::TooMany) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UnblockQuery {
    /// `send` or `host`.
    #[param(example = "host")]
    kind: BlockKind,
    /// As it was blocked.
    #[param(example = "evil.example")]
    value: String,
}

/// Lifts a block that the tenant has set.
#[utoipa::path(
    operation_id = "deleteBlock",
    tag = "blocks",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_block", "operator_block"]))),
    params(UnblockQuery),
    responses(
        (status = 204),
    )
)]
#[delete("/blocks")]
pub(crate) async fn delete_block(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    Query(query): Query<UnblockQuery>,
) -> Result<HttpResponse, Problem> {
    let target = query.kind.target(&query.value).map_err(|error| {
        Problem::new(ErrorCode::InvalidParameter, format!("{error}.")).about("value")
    })?;
    let mut client = connect(&backend.pool).await?;
    let tx = client.transaction().await?;
    let scope = Scope::One(caller.tenant);
    if store::remove(&tx, scope, SetBy::Tenant, &target).await? {
        let entry = target.audited(Some(caller.tenant), caller.actor(), false);
        audit::store::write(&tx, &entry, clock::now()).await?;
        tx.commit().await?;
        backend.policy.refresh().await;
        return Ok(HttpResponse::NoContent().finish());
    }
    let (kind, value) = (target.kind(), target.value());
    Err(
        match store::exists(&tx, scope, SetBy::Operator, &target).await? {
            true => Problem::new(
                ErrorCode::OperatorBlock,
                format!(
                    "The {kind} {value} was blocked by the operator of the service. Ask there."
                ),
            ),
            false => Problem::new(
                ErrorCode::UnknownBlock,
                format!("No block of the {kind} {value}. GET /blocks lists them."),
            ),
        },
    )
}

/// All blocks of all tenants, for edges.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what feed.rs writes")]
#[schema(rename_all = "camelCase")]
pub(crate) struct EdgePolicy {
    /// Of the content: the same on every replica, and the text of the etag.
    #[schema(example = "kX3vQ0r1o7Jm2bYc")]
    version: String,
    /// Blocked tenants.
    tenants: Vec<u32>,
    /// Tenant and send id.
    #[schema(schema_with = pairs, example = json!([[1, "snd_x"]]))]
    sends: Vec<(u32, String)>,
    /// Hosts that are blocked for all tenants, each with its subdomains.
    #[schema(example = json!(["evil.example"]))]
    hosts: Vec<String>,
    /// Tenant and host.
    #[schema(schema_with = pairs, example = json!([[1, "spam.example"]]))]
    tenant_hosts: Vec<(u32, String)>,
}

/// Tenant and text.
fn pairs() -> Array {
    let of = |kind| ObjectBuilder::new().schema_type(kind).build();
    let either = OneOfBuilder::new()
        .item(of(Type::Integer))
        .item(of(Type::String));
    let pair = ArrayBuilder::new()
        .items(either)
        .min_items(Some(2))
        .max_items(Some(2));
    ArrayBuilder::new().items(pair).build()
}

/// What edges refuse to serve. They poll it with `if-none-match`.
#[utoipa::path(
    operation_id = "getEdgePolicy",
    tag = "ingest",
    security(("ingestSecret" = [])),
    responses(
        (status = 200, body = EdgePolicy, headers(("etag" = String, description = "The version"))),
        (status = 304, description = "Nothing has changed since the version in if-none-match"),
    )
)]
#[get("/edge/policy")]
pub(crate) async fn get_edge_policy(
    backend: Data<Backend>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    backend.require_edge(&request)?;
    let policy = backend.policy.current(&backend.pool).await?;
    let tag = EntityTag::new_strong(policy.version.clone());
    let known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = match known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    response
        .insert_header(header::ETag(tag))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(match known {
        true => response.finish(),
        false => response
            .content_type("application/json")
            .body(policy.body.clone()),
    })
}
