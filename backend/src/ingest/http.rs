//! `POST /ingest`: where edges deliver their batches.

use std::collections::BTreeMap;

use actix_web::dev::{Decompress, Payload};
use actix_web::http::header;
use actix_web::web::{Data, Json as Answer};
use actix_web::{HttpRequest, post};
use serde::Serialize;

use super::queue::SubmitError;
use super::{EdgeEvent, Rejection, batch, judging, policy};
use crate::backend::Backend;
use crate::clock;
use crate::http::{Body, ErrorCode, Problem, body};
use crate::verdicts::Lines;

/// Largest batch, decompressed. Edges send 256 kB at a time; replays may send more.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// What became of a batch's lines.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IngestAnswer {
    /// Stored now.
    accepted: usize,
    /// Stored before; nothing was counted twice.
    duplicates: usize,
    /// Not stored; sending them again will not help.
    rejected: usize,
    /// How many lines were rejected for each reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"bad_token": 1}))]
    reasons: BTreeMap<&'static str, usize>,
}

/// Takes a batch of event lines and answers once what is new of it is committed.
#[utoipa::path(
    operation_id = "ingestEvents",
    tag = "ingest",
    security(("ingestSecret" = [])),
    extensions(("x-error-codes" = json!(["invalid_encoding", "body_too_large", "saturated"]))),
    request_body(content = String, content_type = "application/x-ndjson", description = "Event lines, one JSON object each, as edges write them; `content-encoding: gzip` and `deflate` are taken"),
    responses(
        (status = 200, body = IngestAnswer),
    )
)]
#[post("/ingest")]
pub(crate) async fn post_ingest(
    backend: Data<Backend>,
    request: HttpRequest,
    payload: Body,
) -> Result<Answer<IngestAnswer>, Problem> {
    backend.require_edge(&request)?;
    let payload = decompressed(&request, payload.encoded_ndjson()?)?;
    let bytes = body::read(payload, MAX_BATCH_BYTES).await?;
    let (events, mut rejections) = backend
        .keyring
        .with_verifier(|verifier| batch::verify(&bytes, verifier));
    let events = apply_policies(&backend, events, &mut rejections).await?;
    let outcome = match events.is_empty() {
        true => super::queue::Outcome::default(),
        false => backend
            .ingest
            .submit(events)
            .await
            .map_err(|error| match error {
                SubmitError::Saturated => Problem::new(
                    ErrorCode::Saturated,
                    "More events are waiting than can be written right now. Send the batch again.",
                )
                .retry_after(1),
                SubmitError::Unavailable => Problem::new(
                    ErrorCode::DatabaseUnavailable,
                    "The events were not stored. Send the batch again.",
                )
                .retry_after(1),
            })?,
    };
    rejections.extend(std::iter::repeat_n(
        Rejection::NoConsent,
        outcome.without_consent,
    ));
    rejections.extend(std::iter::repeat_n(Rejection::Erased, outcome.erased));
    let mut reasons = BTreeMap::new();
    for rejection in &rejections {
        *reasons.entry(rejection.as_str()).or_insert(0) += 1;
    }
    let answer = IngestAnswer {
        accepted: outcome.accepted,
        duplicates: outcome.duplicates,
        rejected: rejections.len(),
        reasons,
    };
    record(&answer);
    Ok(Answer(answer))
}

fn decompressed(request: &HttpRequest, payload: Payload) -> Result<Payload, Problem> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    match encoding
        .map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase())
        .as_deref()
    {
        None | Some("identity") => Ok(payload),
        Some("gzip" | "deflate") => Ok(Payload::Stream {
            payload: Box::pin(Decompress::from_headers(payload, request.headers())),
        }),
        Some(other) => Err(Problem::new(
            ErrorCode::UnsupportedMediaType,
            format!("content-encoding {other} is not supported; use gzip, deflate or none."),
        )),
    }
}

/// Keeps what the tenants want kept.
async fn apply_policies(
    backend: &Backend,
    events: Vec<EdgeEvent>,
    rejections: &mut Vec<Rejection>,
) -> Result<Vec<EdgeEvent>, Problem> {
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.tenant).collect();
    let tenants = backend.tenants.find(&backend.pool, ids).await?;
    let now = clock::now();
    let mut kept = Vec::with_capacity(events.len());
    for mut event in events {
        let kept_or_not = tenants
            .get(&event.tenant)
            .ok_or(Rejection::UnknownTenant)
            .and_then(|tenant| policy::apply(&mut event, &tenant.settings, tenant.kept_since, now));
        match kept_or_not {
            Ok(()) => {
                judging::judge(&mut event, backend.rules.as_deref(), &Lines::default());
                kept.push(event);
            }
            Err(rejection) => rejections.push(rejection),
        }
    }
    Ok(kept)
}

fn record(answer: &IngestAnswer) {
    let counter = |outcome| metrics::counter!("kraiter_ingest_events_total", "outcome" => outcome);
    counter("accepted").increment(answer.accepted as u64);
    counter("duplicate").increment(answer.duplicates as u64);
    for (reason, count) in &answer.reasons {
        metrics::counter!("kraiter_ingest_rejected_total", "reason" => *reason)
            .increment(*count as u64);
    }
}
