//! `kraiter reclassify`.

use std::time::Duration;

use serde::Serialize;

use super::output::{Output, table};
use super::tenant;
use crate::clock::Timestamp;
use crate::config::RulesArgs;
use crate::database::{DatabaseError, Pool, connect};
use crate::progress::{Progress, Unit};
use crate::settling::{self, Corrected, Extent, MAX_SENDS, SendKey};
use crate::store::Store;
use crate::tenants::store::key;
use crate::verdicts::{Rules, Verdict};

/// How often a group of sends is tried while the database is away or others hold its rows.
const ATTEMPTS: u32 = 5;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReclassifyArgs {
    /// Only events on mail that was registered at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,

    /// Only this tenant, by name or id.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// Say what would change and change nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    rules: RulesArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    sends: u64,
    events: u64,
    verdicts_changed: u64,
    reasons_changed: u64,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    /// `null`: not judged.
    before: Option<&'static str>,
    after: &'static str,
    events: u64,
}

pub(super) async fn run(
    args: &ReclassifyArgs,
    store: &Store,
    output: Output,
) -> anyhow::Result<()> {
    let rules = args.rules.read()?;
    let tenant = match &args.tenant {
        Some(name) => Some(key(tenant::find(store, name).await?.id)),
        None => None,
    };
    let client = connect(&store.pool).await?;
    let total = settling::count_sends(&client, tenant, args.since).await?;
    let progress = Progress::new(
        total,
        Unit::Of("sends"),
        "{bar:30} {human_pos}/{human_len} sends, {per_sec}, {eta} left",
    );
    let mut corrected = Corrected::default();
    let mut after: Option<SendKey> = None;
    loop {
        let sends =
            settling::sends_after(&client, tenant, args.since, after.as_ref(), MAX_SENDS).await?;
        let Some(last) = sends.last() else { break };
        after = Some(last.clone());
        corrected.add(&judge(&store.pool, &sends, &rules, args.dry_run).await?);
        progress.inc(sends.len() as u64);
    }
    progress.finish();
    let report = Report::of(&corrected, args.dry_run);
    output.show(&report, || text(&report))
}

async fn judge(
    pool: &Pool,
    sends: &[SendKey],
    rules: &Rules,
    dry_run: bool,
) -> Result<Corrected, DatabaseError> {
    let mut attempt = 1;
    loop {
        match judge_once(pool, sends, rules, dry_run).await {
            Err(error) if attempt < ATTEMPTS && error.is_transient() => {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn judge_once(
    pool: &Pool,
    sends: &[SendKey],
    rules: &Rules,
    dry_run: bool,
) -> Result<Corrected, DatabaseError> {
    let mut client = connect(pool).await?;
    let tx = client.transaction().await?;
    let corrected = match dry_run {
        true => settling::would_correct(&tx, sends, rules).await?,
        false => settling::correct(&tx, sends, Vec::new(), rules, Extent::All).await?,
    };
    tx.commit().await?;
    Ok(corrected)
}

impl Report {
    fn of(corrected: &Corrected, dry_run: bool) -> Self {
        let changes = corrected.verdicts_changed.iter();
        Self {
            dry_run,
            sends: corrected.sends,
            events: corrected.events,
            verdicts_changed: corrected.verdicts_changed.values().sum(),
            reasons_changed: corrected.reasons_changed,
            changes: changes
                .map(|((before, after), events)| Change {
                    before: before.map(Verdict::as_str),
                    after: after.as_str(),
                    events: *events,
                })
                .collect(),
        }
    }
}

fn text(report: &Report) -> String {
    let changed = match report.dry_run {
        true => "would change",
        false => "changed",
    };
    let mut text = format!(
        "{} opens and clicks of {} sends were judged: {} verdicts {changed}, reasons of {}.",
        report.events, report.sends, report.verdicts_changed, report.reasons_changed
    );
    if !report.changes.is_empty() {
        let rows = report.changes.iter().map(|change| {
            [
                change.before.unwrap_or("not judged").to_owned(),
                change.after.to_owned(),
                change.events.to_string(),
            ]
        });
        text += &format!("\n\n{}", table(["BEFORE", "AFTER", "EVENTS"], rows));
    }
    text
}
