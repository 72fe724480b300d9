//! `kraiter verify`.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::output::{Output, table};
use super::tenant;
use crate::clock::Timestamp;
use crate::database::connect;
use crate::store::Store;
use crate::verify::{CHECKS, Checked, Snapshot};

#[derive(Serialize)]
struct Report {
    differences: i64,
    checks: Vec<Checked>,
}

/// Exits with 1 if anything differs.
pub(super) async fn run(
    tenant: Option<&str>,
    store: &Store,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let tenant = match tenant {
        Some(name) => Some(tenant::find(store, name).await?.id),
        None => None,
    };
    let mut client = connect(&store.pool).await?;
    let snapshot = Snapshot::take(&mut client).await?;
    // Drawn on standard error, and only where a person looks at it.
    let progress = ProgressBar::new(CHECKS.len() as u64);
    progress.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} {msg} {elapsed}",
    )?);
    progress.enable_steady_tick(std::time::Duration::from_millis(200));
    let mut checks = Vec::new();
    for check in CHECKS {
        progress.set_message(format!("recounting {}", check.0));
        checks.push(snapshot.check(check, tenant).await?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let differences = checks.iter().map(|checked| checked.differences).sum();
    let report = Report {
        differences,
        checks,
    };
    output.show(&report, || text(&report))?;
    Ok(match differences {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn text(report: &Report) -> String {
    let mut text = match report.differences {
        0 => "0 differences: counters, first times and rollups are what the events say.".to_owned(),
        many => format!("{many} differences between what is stored and what the events say."),
    };
    for checked in report.checks.iter().filter(|check| check.differences > 0) {
        let rows = checked.examples.iter().map(|difference| {
            let value = |value: Option<i64>| match value {
                None => "-".to_owned(),
                Some(millis) if difference.field.ends_with("At") => {
                    let millis = millis.try_into().unwrap_or(0);
                    Timestamp(kraiter_wire::UnixMillis(millis)).to_string()
                }
                Some(number) => number.to_string(),
            };
            [
                difference.tenant.to_string(),
                difference.of.clone(),
                difference.field.clone(),
                value(difference.stored),
                value(difference.found),
            ]
        });
        let rows = table(["TENANT", "OF", "FIELD", "STORED", "EVENTS SAY"], rows);
        let (check, differences) = (checked.check, checked.differences);
        text += &format!("\n\n{check}: {differences}\n{rows}");
    }
    text
}
