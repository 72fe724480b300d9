//! Pages of a list: `limit` and an opaque `cursor` in, `items` and `nextCursor` out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use super::{ErrorCode, Problem};

const DEFAULT_LIMIT: u32 = 100;
/// Larger pages take long to answer and to read; follow `nextCursor` instead.
const MAX_LIMIT: u32 = 1000;

/// How many items a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(u32);

impl Limit {
    pub(crate) fn parse(limit: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = limit else {
            return Ok(Self(DEFAULT_LIMIT));
        };
        match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(Problem::new(
                ErrorCode::InvalidParameter,
                format!("limit is {text:?}; it is a number from 1 to {MAX_LIMIT}."),
            )
            .about("limit")),
        }
    }

    /// A limit that stands in a body as a number.
    pub(crate) fn of_body(limit: Option<u32>) -> Result<Self, Problem> {
        match limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(Self(limit)),
            other => Err(Problem::invalid(
                "limit",
                format!("limit is {other}; it is a number from 1 to {MAX_LIMIT}."),
            )),
        }
    }

    /// One more than asked for, to learn whether a next page exists.
    pub(crate) fn with_lookahead(self) -> i64 {
        i64::from(self.0) + 1
    }
}

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Pass it as `cursor` to get the next page; `null` on the last.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// `items` may hold one more than `limit`, which then only says that there is more.
    pub(crate) fn new(items: Vec<T>, limit: Limit, id: impl Fn(&T) -> Uuid) -> Self {
        Self::with_cursor(items, limit, |last| encode(id(last)))
    }

    /// The same page of what each item is shown as.
    pub(crate) fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(show).collect(),
            next_cursor: self.next_cursor,
        }
    }

    /// For lists that are not in the order of an id: `cursor` is made of a page's last item.
    pub(crate) fn with_cursor(
        mut items: Vec<T>,
        limit: Limit,
        cursor: impl FnOnce(&T) -> String,
    ) -> Self {
        let more = items.len() > limit.0 as usize;
        items.truncate(limit.0 as usize);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }
}

/// The cursor of a page that ends at an id.
pub(crate) fn encode(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// A cursor that stands in a body.
pub(crate) fn cursor_of_body(text: Option<&str>) -> Result<Option<Uuid>, Problem> {
    cursor(text).map_err(|mut problem| {
        problem.code = ErrorCode::InvalidValue;
        problem
    })
}

/// Where the page before ended.
pub(crate) fn cursor(text: Option<&str>) -> Result<Option<Uuid>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| Uuid::from_slice(&bytes).ok());
    bytes.map(Some).ok_or_else(|| invalid_cursor(text))
}

pub(crate) fn invalid_cursor(text: &str) -> Problem {
    Problem::new(
        ErrorCode::InvalidParameter,
        format!("cursor is {text:?}; pass the nextCursor of the page before, unchanged."),
    )
    .about("cursor")
}
