//! `kraiter verify`.

use serde::Serialize;

use super::exit::Exit;
use super::output::{Output, table};
use super::tenant;
use crate::clock::Timestamp;
use crate::database::connect;
use crate::progress::{Progress, Unit};
use crate::store::Store;
use crate::verify::{CHECKS, Checked, Snapshot};

#[derive(Serialize)]
struct Report {
    differences: i64,
    checks: Vec<Checked>,
}

pub(super) async fn run(
    tenant: Option<&str>,
    store: &Store,
    output: Output,
) -> anyhow::Result<Exit> {
    let tenant = match tenant {
        Some(name) => Some(tenant::find(store, name).await?.id),
        None => None,
    };
    let mut client = connect(&store.pool).await?;
    let snapshot = Snapshot::take(&mut client).await?;
    let progress = Progress::new(
        CHECKS.len() as u64,
        Unit::Of("checks"),
        "{bar:30} {pos}/{len} {msg} {elapsed}",
    );
    let mut checks = Vec::new();
    for check in CHECKS {
        progress.set_message(format!("recounting {}", check.0));
        checks.push(snapshot.check(check, tenant).await?);
        progress.inc(1);
    }
    progress.finish();
    let differences = checks.iter().map(|checked| checked.differences).sum();
    let report = Report {
        differences,
        checks,
    };
    output.show(&report, || text(&report))?;
    Ok(match differences {
        0 => Exit::Done,
        _ => Exit::Findings,
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
