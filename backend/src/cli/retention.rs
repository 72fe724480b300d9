//! `kraiter retention`.

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Output, table};
use super::tenant;
use crate::audit::Actor;
use crate::clock;
use crate::database::Partitions;
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

struct Bar(ProgressBar);

impl Steps for Bar {
    fn total(&mut self, events: u64) {
        self.0.set_length(events);
    }

    fn removed(&mut self, events: u64) {
        self.0.inc(events);
    }

    fn doing(&mut self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    fn wants_total(&self) -> bool {
        !self.0.is_hidden()
    }
}

pub(super) async fn run(args: &RetentionArgs, store: &Store, output: Output) -> anyhow::Result<()> {
    let only = match &args.tenant {
        Some(name_or_id) => Some(tenant::find(store, name_or_id).await?.id),
        None => None,
    };
    // On standard error, and hidden where that is no terminal.
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} events, {per_sec}, {eta} left; {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut bar = Bar(bar);
    let run = Run {
        pool: &store.pool,
        partitions: &Partitions::default(),
        now: clock::now(),
        actor: Actor::Operator,
        only,
        with_sends: true,
        dry_run: args.dry_run,
    };
    let report = run.apply(&mut bar).await;
    bar.0.finish_and_clear();
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
