//! Webhooks as requests and answers show them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{DEFAULT_BATCH, Endpoint, EndpointUrl, Filter, MAX_BATCH, PausedBy};
use crate::clock::Timestamp;
use crate::events::EventType;
use crate::http::Problem;
use crate::tenants::http::present;
use crate::verdicts::Verdict;

const MAX_DESCRIPTION_CHARS: usize = 500;
/// How long the old secret signs beside the new one, if nothing else is asked for, and at most.
const OVERLAP: u32 = 86_400;
const MAX_OVERLAP: u32 = 7 * 86_400;

/// Where events are sent, and how that went lately.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookView {
    #[schema(example = "whk_AZmzxNXmf4ChssPU5fYHGA")]
    id: String,
    #[schema(example = "https://hooks.example.com/kraiter")]
    url: String,
    #[schema(required = true)]
    description: Option<String>,
    /// Event types that are sent; `null`: all.
    #[schema(required = true)]
    types: Option<Vec<EventType>>,
    /// Verdicts of opens and clicks that are sent; `null`: all. Events of other types have none and are
    /// sent regardless.
    #[schema(required = true, value_type = Option<Vec<Verdict>>, example = json!(["human", "suspect"]))]
    verdicts: Option<Vec<&'static str>>,
    /// Events in one request at most.
    batch_size: u16,
    created_at: Timestamp,
    /// `null` unless it is paused.
    #[schema(required = true)]
    paused: Option<PauseView>,
    /// Attempts that failed since one was accepted.
    failures: i32,
    #[schema(required = true)]
    failing_since: Option<Timestamp>,
    /// To within a few seconds.
    #[schema(required = true)]
    last_accepted_at: Option<Timestamp>,
    #[schema(required = true)]
    last_failed_at: Option<Timestamp>,
    #[schema(required = true)]
    last_error: Option<String>,
    /// Until then the secret before signs as well.
    #[schema(required = true)]
    previous_secret_until: Option<Timestamp>,
}

/// Since when and why nothing is sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookPause)]
pub(crate) struct PauseView {
    at: Timestamp,
    by: PausedBy,
    /// Of the service.
    #[schema(required = true, example = "the receiver answered 410 Gone")]
    reason: Option<String>,
}

impl From<Endpoint> for WebhookView {
    fn from(endpoint: Endpoint) -> Self {
        let verdicts = endpoint.filter.verdicts;
        let health = endpoint.health;
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.to_string(),
            description: endpoint.description,
            types: endpoint.filter.types,
            verdicts: verdicts.map(|all| all.into_iter().map(Verdict::as_str).collect()),
            batch_size: endpoint.batch_size,
            created_at: endpoint.created_at,
            paused: endpoint.pause.map(|pause| PauseView {
                at: pause.at,
                by: pause.by,
                reason: pause.reason,
            }),
            failures: health.failures,
            failing_since: health.failing_since,
            last_accepted_at: health.last_accepted_at,
            last_failed_at: health.last_failed_at,
            last_error: health.last_error,
            previous_secret_until: endpoint.secrets.previous.map(|(_, until)| until),
        }
    }
}

/// A webhook that was just made, with its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = NewWebhook)]
pub(crate) struct NewWebhookView {
    #[serde(flatten)]
    pub(super) webhook: WebhookView,
    /// What requests are signed with. It is not shown again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwzVkKbGl1yXE=")]
    pub(super) secret: String,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WebhooksQuery {
    /// Items on a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<String>,
    /// `nextCursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// A new webhook.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"url": "https://hooks.example.com/kraiter",
    "types": ["email.clicked", "email.bounced"], "verdicts": ["human"]}))]
pub(crate) struct WebhookRequest {
    /// Begins with https://, without user name, password and fragment, and leads to the public internet.
    url: String,
    /// For people: up to 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    description: Option<String>,
    /// Event types to send; all if not given.
    #[schema(value_type = Option<Vec<EventType>>)]
    types: Option<Vec<String>>,
    /// Verdicts of opens and clicks to send; all if not given.
    #[schema(value_type = Option<Vec<Verdict>>)]
    verdicts: Option<Vec<String>>,
    /// Events in one request at most, 1 to 500; 100 if not given.
    #[schema(minimum = 1, maximum = 500)]
    batch_size: Option<i64>,
}

/// What a tenant decides about a webhook.
pub(super) struct Wanted {
    pub(super) url: EndpointUrl,
    pub(super) description: Option<String>,
    pub(super) filter: Filter,
    pub(super) batch_size: u16,
}

impl WebhookRequest {
    pub(super) fn parse(self) -> Result<Wanted, Problem> {
        let description = self.description.map(description);
        Ok(Wanted {
            url: url(&self.url)?,
            description: description.transpose()?,
            filter: Filter {
                types: self.types.map(types).transpose()?,
                verdicts: self.verdicts.map(verdicts).transpose()?,
            },
            batch_size: self.batch_size.map_or(Ok(DEFAULT_BATCH), batch_size)?,
        })
    }
}

fn url(text: &str) -> Result<EndpointUrl, Problem> {
    text.parse().map_err(|error: String| {
        Problem::invalid("url", format!("The URL cannot be used: {error}."))
    })
}

fn description(text: String) -> Result<String, Problem> {
    match text.chars().count() {
        1..=MAX_DESCRIPTION_CHARS if !text.contains('\0') => Ok(text),
        _ => Err(Problem::invalid(
            "description",
            format!(
                "A description has 1 to {MAX_DESCRIPTION_CHARS} characters; leave it out if there is none."
            ),
        )),
    }
}

fn types(names: Vec<String>) -> Result<Vec<EventType>, Problem> {
    let parsed: Result<Vec<EventType>, String> = names.iter().map(|name| name.parse()).collect();
    let mut types = parsed.map_err(|error| Problem::invalid("types", format!("{error}.")))?;
    types.sort_unstable_by_key(|kind| kind.number());
    types.dedup();
    not_empty("types", types)
}

fn verdicts(names: Vec<String>) -> Result<Vec<Verdict>, Problem> {
    let parsed: Result<Vec<Verdict>, _> = names.iter().map(|name| name.parse()).collect();
    let mut verdicts = parsed.map_err(|error| Problem::invalid("verdicts", format!("{error}.")))?;
    verdicts.sort_unstable_by_key(|verdict| verdict.number());
    verdicts.dedup();
    not_empty("verdicts", verdicts)
}

fn not_empty<T>(field: &str, list: Vec<T>) -> Result<Vec<T>, Problem> {
    match list.is_empty() {
        true => Err(Problem::invalid(
            field,
            format!("{field} names none, so nothing would be sent; leave it out for all."),
        )),
        false => Ok(list),
    }
}

fn batch_size(size: i64) -> Result<u16, Problem> {
    match u16::try_from(size) {
        Ok(size @ 1..=MAX_BATCH) => Ok(size),
        _ => Err(Problem::invalid(
            "batchSize",
            format!("batchSize is {size}; it is a number from 1 to {MAX_BATCH}."),
        )),
    }
}

/// The fields to change; those left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"types": null, "batchSize": 250}))]
pub(crate) struct WebhookChange {
    url: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// `null`: all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<EventType>>)]
    types: Option<Option<Vec<String>>>,
    /// `null`: all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<Verdict>>)]
    verdicts: Option<Option<Vec<String>>>,
    #[schema(minimum = 1, maximum = 500)]
    batch_size: Option<i64>,
}

pub(super) struct Change {
    pub(super) url: Option<EndpointUrl>,
    description: Option<Option<String>>,
    types: Option<Option<Vec<EventType>>>,
    verdicts: Option<Option<Vec<Verdict>>>,
    batch_size: Option<u16>,
}

impl WebhookChange {
    pub(super) fn parse(self) -> Result<Change, Problem> {
        fn inner<T, U>(
            field: Option<Option<T>>,
            parse: impl FnOnce(T) -> Result<U, Problem>,
        ) -> Result<Option<Option<U>>, Problem> {
            field.map(|value| value.map(parse).transpose()).transpose()
        }
        Ok(Change {
            url: self.url.as_deref().map(url).transpose()?,
            description: inner(self.description, description)?,
            types: inner(self.types, types)?,
            verdicts: inner(self.verdicts, verdicts)?,
            batch_size: self.batch_size.map(batch_size).transpose()?,
        })
    }
}

impl Change {
    /// The names of the fields that are others now.
    pub(super) fn apply(self, endpoint: &mut Endpoint) -> Vec<&'static str> {
        let mut changed = Vec::new();
        fn set<T: PartialEq>(
            slot: &mut T,
            value: Option<T>,
            name: &'static str,
            changed: &mut Vec<&'static str>,
        ) {
            if let Some(value) = value
                && *slot != value
            {
                *slot = value;
                changed.push(name);
            }
        }
        set(&mut endpoint.url, self.url, "url", &mut changed);
        let description = &mut endpoint.description;
        set(description, self.description, "description", &mut changed);
        let filter = &mut endpoint.filter;
        set(&mut filter.types, self.types, "types", &mut changed);
        set(
            &mut filter.verdicts,
            self.verdicts,
            "verdicts",
            &mut changed,
        );
        let batch_size = &mut endpoint.batch_size;
        set(batch_size, self.batch_size, "batchSize", &mut changed);
        changed
    }
}

/// How to change over to a new secret.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"overlapSeconds": 3600}))]
pub(crate) struct RotationRequest {
    /// How long the old secret signs beside the new one: 0 to 604800, a day if not given. 0 for one that
    /// others have seen.
    #[schema(minimum = 0, maximum = 604_800)]
    overlap_seconds: Option<i64>,
}

impl RotationRequest {
    pub(super) fn overlap(&self) -> Result<Duration, Problem> {
        let seconds = self.overlap_seconds.unwrap_or(OVERLAP.into());
        match u32::try_from(seconds) {
            Ok(seconds @ 0..=MAX_OVERLAP) => Ok(Duration::from_secs(seconds.into())),
            _ => Err(Problem::invalid(
                "overlapSeconds",
                format!("overlapSeconds is {seconds}; it is a number from 0 to {MAX_OVERLAP}."),
            )),
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookSecret)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RotationView {
    /// It is not shown again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwzVkKbGl1yXE=")]
    pub(super) secret: String,
    #[schema(required = true)]
    pub(super) previous_secret_until: Option<Timestamp>,
}
