//! `GET /audit`.

use actix_web::get;
use actix_web::web::{Data, Json as Answer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::store::{self, Filter};
use super::{Action, Recorded};
use crate::api_keys::{Admin, Caller};
use crate::backend::Backend;
use crate::clock::Timestamp;
use crate::contacts::{self, ContactRef};
use crate::database::connect;
use crate::erasure;
use crate::events::time_of;
use crate::http::query::parameter;
use crate::http::{Limit, Page, Problem, Query, page};

/// Something that was done to settings, keys, blocks or a contact's data.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditView {
    id: Uuid,
    timestamp: Timestamp,
    /// The id of an API key, `operator` for the command line, or `service` for what it does by
    /// itself.
    #[schema(example = "key_AZmzxNXmf4ChssPU5fYHGA")]
    actor: String,
    #[schema(value_type = Action, example = "contact.erased")]
    action: String,
    /// What it was done to. A contact stands here as a keyed hash.
    #[schema(required = true)]
    subject: Option<String>,
    /// More about it; its members depend on the action.
    #[schema(required = true, value_type = Option<Object>)]
    detail: Option<Value>,
}

impl From<Recorded> for AuditView {
    fn from(entry: Recorded) -> Self {
        Self {
            id: entry.id,
            timestamp: time_of(entry.id),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Only this action.
    #[param(value_type = Option<Action>, example = "contact.erased")]
    action: Option<String>,
    /// Only what was done to this contact, by address or id. The id works after its erasure, too.
    contact: Option<String>,
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The tenant's audit log, newest first. Holds no personal data.
#[utoipa::path(
    operation_id = "listAuditEntries",
    tag = "settings",
    security(("apiKey" = ["admin"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(AuditQuery),
    responses(
        (status = 200, body = Page<AuditView>),
    )
)]
#[get("/audit")]
pub(crate) async fn get_audit(
    backend: Data<Backend>,
    caller: Caller<Admin>,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<Page<AuditView>>, Problem> {
    let limit = Limit::parse(query.limit.as_deref())?;
    let action = query.action.as_deref();
    let action = action.map(|text| parameter::<Action>("action", text));
    let mut filter = Filter {
        action: action.transpose()?,
        subject: None,
        before: page::cursor(query.cursor.as_deref())?,
    };
    let client = connect(&backend.pool).await?;
    if let Some(text) = query.contact.as_deref() {
        let id = match contacts::http::parse(text)? {
            ContactRef::Id(id) => id,
            by_email => {
                let found = contacts::store::find(&client, caller.tenant, &by_email).await?;
                found.ok_or_else(|| contacts::http::unknown(text))?.id
            }
        };
        let hash = erasure::store::hash(&client, caller.tenant, id).await?;
        filter.subject = Some(hash.to_string());
    }
    let entries = store::list(&client, caller.tenant, &filter, limit.with_lookahead()).await?;
    let views = entries.into_iter().map(AuditView::from).collect();
    Ok(Answer(Page::new(views, limit, |entry: &AuditView| {
        entry.id
    })))
}
