//! `POST /contacts/search` and `POST /contacts/{emailOrId}/match`.

use actix_web::post;
use actix_web::web::{Data, Json as Answer, Path};
use serde::{Deserialize, Serialize};

use super::parse::{ConditionError, RawCondition};
use super::{Condition, store};
use crate::api_keys::{Caller, Read};
use crate::backend::Backend;
use crate::clock;
use crate::contacts::http::{ContactView, find};
use crate::database::connect;
use crate::http::{Body, ErrorCode, Limit, Page, Problem, page};

/// More do not make a segment clearer, and each costs on every contact that is looked at.
const MAX_CONDITIONS: usize = 20;

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = ContactSearch, example = json!({
    "conditions": [
        {"property": "contact.emailsOpenedCount", "operator": "greaterThan", "value": 5},
        {"property": "contact.lastEmailClickedAt", "operator": "withinLast", "value": "7d"},
        {"property": "contact.unsubscribedAt", "operator": "notExists"}
    ],
    "limit": 100
}))]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    /// At most 20, all of which must hold. With none, every contact is listed.
    conditions: Vec<RawCondition>,
    /// Items on a page, 1 to 1000; 100 if not given.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = ContactMatch, example = json!({
    "conditions": [
        {"property": "contact.lastEmailOpenedAt", "operator": "withinLast", "value": "12h"}
    ]
}))]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchBody {
    /// At most 20, all of which must hold. With none, every contact matches.
    conditions: Vec<RawCondition>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ContactMatches, example = json!({"matches": true}))]
pub(crate) struct MatchView {
    matches: bool,
}

fn parse(conditions: &[RawCondition]) -> Result<Vec<Condition>, Problem> {
    if conditions.len() > MAX_CONDITIONS {
        let detail = format!(
            "There are {} conditions; at most {MAX_CONDITIONS} are taken.",
            conditions.len()
        );
        return Err(Problem::invalid("conditions", detail));
    }
    let now = clock::now();
    let parse = |(place, condition): (usize, &RawCondition)| {
        condition.parse(now).map_err(|error| problem(place, &error))
    };
    conditions.iter().enumerate().map(parse).collect()
}

fn problem(place: usize, error: &ConditionError) -> Problem {
    let (member, code) = match error {
        ConditionError::Property { .. } => ("property", ErrorCode::InvalidValue),
        ConditionError::UnknownOperator { .. } | ConditionError::UnfitOperator { .. } => {
            ("operator", ErrorCode::InvalidValue)
        }
        ConditionError::NoValue { .. } => ("value", ErrorCode::MissingField),
        ConditionError::ValueType { .. } => ("value", ErrorCode::WrongType),
        ConditionError::NeedlessValue { .. } | ConditionError::Value { .. } => {
            ("value", ErrorCode::InvalidValue)
        }
        ConditionError::Email(_) => ("value", ErrorCode::InvalidEmail),
    };
    Problem::new(code, format!("{error}.")).about(format!("conditions[{place}].{member}"))
}

/// Contacts that meet all conditions, in the order of their ids. A page says what is so when it is
/// read: counts that move meanwhile neither repeat a contact on a later page nor hide one that
/// meets the conditions throughout. One request looks at 250000 contacts at most, so a page may
/// have fewer items than `limit`, or none, and a `nextCursor` all the same: only a `nextCursor` of
/// `null` says that there are no more. A search that the database cannot answer in time is
/// answered 503 `query_too_slow`.
#[utoipa::path(
    operation_id = "searchContacts",
    tag = "contacts",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["invalid_email", "query_too_slow"]))),
    request_body = SearchBody,
    responses(
        (status = 200, body = Page<ContactView>),
    )
)]
#[post("/contacts/search")]
pub(crate) async fn post_search(
    backend: Data<Backend>,
    caller: Caller<Read>,
    body: Body,
) -> Result<Answer<Page<ContactView>>, Problem> {
    let body: SearchBody = body.json().await?;
    let conditions = parse(&body.conditions)?;
    let limit = Limit::of_body(body.limit)?;
    let after = page::cursor_of_body(body.cursor.as_deref())?;
    let mut client = connect(&backend.pool).await?;
    let lookahead = limit.with_lookahead().unsigned_abs() as usize;
    let found = store::search(&mut client, caller.tenant, &conditions, after, lookahead).await;
    let found = found.map_err(|error| Problem::of_question(error, "Try again later."))?;
    let full = found.contacts.len() == lookahead;
    let stopped_at = found.stopped_at.filter(|_| !full);
    let mut page = Page::new(found.contacts, limit, |contact| contact.id.uuid());
    if let Some(id) = stopped_at {
        page.next_cursor = Some(page::encode(id));
    }
    Ok(Answer(page.map(ContactView::from)))
}

/// Whether a contact meets all conditions now.
#[utoipa::path(
    operation_id = "matchContact",
    tag = "contacts",
    security(("apiKey" = ["read"])),
    extensions(("x-error-codes" = json!(["unknown_contact", "invalid_email"]))),
    params(("emailOrId" = String, Path, description = "Address or id", example = "ada@example.com")),
    request_body = MatchBody,
    responses(
        (status = 200, body = MatchView),
    )
)]
#[post("/contacts/{emailOrId}/match")]
pub(crate) async fn post_match(
    backend: Data<Backend>,
    caller: Caller<Read>,
    path: Path<String>,
    body: Body,
) -> Result<Answer<MatchView>, Problem> {
    let body: MatchBody = body.json().await?;
    let conditions = parse(&body.conditions)?;
    let client = connect(&backend.pool).await?;
    let contact = find(&client, caller.tenant, &path).await?;
    let matches = conditions.iter().all(|condition| condition.holds(&contact));
    Ok(Answer(MatchView { matches }))
}
