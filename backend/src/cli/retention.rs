//! `kraiter retention`.

use clap::Args;

use super::output::{Output, table};
use super::tenant;
use crate::audit::Actor;
use crate::clock;
use crate::database::Partitions;
use crate::progress::{Progress, Unit};
use crate::retention::{Report, Run, Steps};
use crate::store::Store;

#[derive(Args)]
pub(super) struct RetentionArgs {
    /// Only this tenant, by name or id. Partitions are then left alone.
    #[arg(long)]
    tenant: Option<String>,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

impl Steps for Progress {
    fn total(&mut self, events: u64) {
        self.set_total(events);
    }

    fn removed(&mut self, events: u64) {
        self.inc(events);
    }

    fn doing(&mut self, what: &str) {
        self.set_message(what.to_owned());
    }

    fn wants_total(&self) -> bool {
        self.has_bar()
    }
}

pub(super) async fn run(args: &RetentionArgs, store: &Store, output: Output) -> anyhow::Result<()> {
    let only = match &args.tenant {
        Some(name_or_id) => Some(tenant::find(store, name_or_id).await?.id),
        None => None,
    };
    let mut progress = Progress::new(
        0,
        Unit::Of("events"),
        "{bar:30} {pos}/{len} events, {per_sec}, {eta} left; {msg}",
    );
    let run = Run {
        pool: &store.pool,
        partitions: &Partitions::default(),
        now: clock::now(),
        actor: Actor::Operator,
        only,
        with_sends: true,
        dry_run: args.dry_run,
    };
    let report = run.apply(&mut progress).await;
    progress.finish();
    let report = report?;
    output.show(&report, || text(&report))
}

fn text(report: &Report) -> String {
    let rows = report.tenants.iter().map(|tenant| {
        [
            tenant.name.to_string(),
            tenant.kept_since.to_string(),
            tenant.events.to_string(),
            tenant.sends.to_string(),
            tenant.previews.to_string(),
        ]
    });
    let header = match report.dry_run {
        true => [
            "TENANT",
            "KEPT SINCE",
            "EVENTS TO REMOVE",
            "SENDS TO REMOVE",
            "PREVIEWS TO REMOVE",
        ],
        false => [
            "TENANT",
            "KEPT SINCE",
            "EVENTS REMOVED",
            "SENDS REMOVED",
            "PREVIEWS REMOVED",
        ],
    };
    let mut text = table(header, rows);
    let verb = match report.dry_run {
        true => "would be dropped",
        false => "dropped",
    };
    for name in &report.partitions {
        text += &format!("\npartition {name}: {verb}");
    }
    for name in &report.busy_partitions {
        text += &format!("\npartition {name}: in use, a later run drops it");
    }
    text
}
