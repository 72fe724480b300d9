//! `kraiter replay`.

use std::sync::Arc;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::output::{Output, table};
use crate::config::{ReplayArgs, StoreArgs};
use crate::replay::{self, FileReport, Posted, Sender, Stop};

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    posted: &'a Posted,
    damaged: u64,
    files: &'a [FileReport],
}

pub(super) async fn run(
    args: &ReplayArgs,
    store: &StoreArgs,
    output: Output,
) -> anyhow::Result<Exit> {
    let config = args.read(store)?;
    let sender = Sender::new(&config.backend, config.ingest_secret, config.patience)?;
    let stop = Arc::new(Stop::default());
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = Arc::clone(&stop);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
        stopped.set();
    });
    let replay = config.replay;
    let work = tokio::task::spawn_blocking(move || replay::run(&replay, &sender, &stop));
    let (files, failure) = work.await?;

    let mut posted = Posted::default();
    for file in &files {
        posted.add(&file.posted);
    }
    let damaged = files.iter().map(|file| file.damaged).sum();
    let report = Report {
        posted: &posted,
        damaged,
        files: &files,
    };
    output.show(&report, || text(&report))?;
    match failure {
        Some(error) => Err(error.into()),
        None if posted.rejected > 0 || damaged > 0 => Ok(Exit::Findings),
        None => Ok(Exit::Done),
    }
}

fn text(report: &Report<'_>) -> String {
    let row = |name: String, posted: &Posted, damaged: u64| {
        let numbers = [posted.accepted, posted.duplicates, posted.rejected, damaged];
        let [accepted, duplicates, rejected, damaged] = numbers.map(|number| number.to_string());
        [name, accepted, duplicates, rejected, damaged]
    };
    let of_file =
        |file: &FileReport| row(file.file.display().to_string(), &file.posted, file.damaged);
    let mut rows: Vec<_> = report.files.iter().map(of_file).collect();
    if rows.len() > 1 {
        rows.push(row("total".to_owned(), report.posted, report.damaged));
    }
    let header = ["FILE", "ACCEPTED", "KNOWN", "REJECTED", "DAMAGED"];
    let mut text = table(header, rows);
    for (reason, count) in &report.posted.reasons {
        text += &format!("\nrejected as {reason}: {count}");
    }
    for file in report.files {
        for place in &file.damaged_at {
            let (name, line) = (file.file.display(), place.line);
            text += &format!("\n{name}:{line} (byte {}): {}", place.byte, place.problem);
        }
    }
    text
}
