//! `POST /sends/status`: reports of a whole campaign, taken in groups while they arrive.

use actix_web::dev::Payload;
use actix_web::web::Data;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use kraiter_wire::{SendId, TenantId};
use serde::{Deserialize, Serialize};

use super::Status;
use super::http::{check_time, unknown};
use super::registration::{Report, report_all};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::http::problem::ProblemDocument;
use crate::http::{Problem, body, ndjson::Lines};

/// Reports in one transaction: large enough that its cost is shared, small enough that its locks
/// are soon given back.
const GROUP: usize = 500;
const MAX_LINE_BYTES: usize = 64 << 10;

/// What a mail server reports of one send, a line.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = StatusReport)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Line {
    #[schema(example = "snd_AaIJwhlqfVKlWImkRFn1qg")]
    send_id: String,
    status: Status,
    /// When it happened, if not now.
    timestamp: Option<Timestamp>,
}

/// The answer to one report, a line: `status` or `error`.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = StatusReportAnswer)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LineAnswer<'a> {
    /// Not there if the line could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    send_id: Option<&'a str>,
    /// What the send has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<ProblemDocument>,
}

/// One answer line for each line of the body, in order. A bad line fails by itself.
pub(crate) fn answer(
    backend: Data<Backend>,
    tenant: TenantId,
    payload: Payload,
) -> impl Stream<Item = Result<Bytes, Problem>> {
    async_stream::stream! {
        let mut lines = Lines::new(payload, MAX_LINE_BYTES);
        let mut group = Vec::new();
        while let Some(line) = lines.next().await {
            let now = clock::now();
            group.push(line.and_then(|line| parse(&line, now)));
            // A group ends when it is full or when the next line has not arrived yet.
            if group.len() >= GROUP || !lines.has_buffered() {
                yield Ok(answer_group(&backend, tenant, std::mem::take(&mut group)).await);
            }
        }
    }
}

fn parse(line: &[u8], now: Timestamp) -> Result<Report, Problem> {
    let line: Line = body::parse(line)?;
    let at = line
        .timestamp
        .map(|at| check_time("timestamp", at, now))
        .transpose()?
        .unwrap_or(now);
    let send = SendId::parse(line.send_id)
        .map_err(|error| Problem::invalid("sendId", format!("{error}.")))?;
    Ok(Report {
        send: send.as_str().to_owned(),
        status: line.status,
        at,
    })
}

async fn answer_group(
    backend: &Backend,
    tenant: TenantId,
    group: Vec<Result<Report, Problem>>,
) -> Bytes {
    let reports: Vec<Report> = group.iter().flatten().cloned().collect();
    let outcome = store_group(backend, tenant, &reports).await;
    let mut out = BytesMut::new();
    for line in &group {
        let missing;
        let (send_id, result) = match (line, &outcome) {
            (Err(problem), _) => (None, Err(problem)),
            (Ok(report), Err(problem)) => (Some(report.send.as_str()), Err(problem)),
            (Ok(report), Ok(sends)) => {
                let found = sends.get(&report.send).map(|send| send.progress.status);
                missing = unknown(&report.send);
                (Some(report.send.as_str()), found.ok_or(&missing))
            }
        };
        let answer = LineAnswer {
            send_id,
            status: result.ok(),
            error: result.err().map(Problem::document),
        };
        // Plain structs of text and numbers always serialise.
        let _ = serde_json::to_writer((&mut out).writer(), &answer);
        out.put_u8(b'\n');
    }
    out.freeze()
}

pub(super) async fn store_group(
    backend: &Backend,
    tenant: TenantId,
    reports: &[Report],
) -> Result<std::collections::BTreeMap<String, super::Send>, Problem> {
    let times = reports.iter().map(|report| report.at);
    let store = async || {
        let mut client = connect(&backend.pool).await?;
        let tx = client.transaction().await?;
        let sends = report_all(&tx, tenant, reports).await?;
        tx.commit().await?;
        Ok(sends)
    };
    Ok(backend.partitions.with(&backend.pool, times, store).await?)
}
