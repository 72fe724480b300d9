//! Replay: event lines out of journals and Envoy's logs, posted to `/ingest` again. Event ids make
//! that safe at any time and any number of times.
//!
//! `line` says what a line is, `lines` cuts a stream into lines, `source` opens files, `position`
//! remembers how far a file was replayed, `sender` posts, `file` puts them together for one file.
//! Nothing here knows the database: a replay is a client like any edge.

mod file;
mod line;
mod lines;
mod position;
mod sender;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::progress::{Progress, Unit};

pub(crate) use sender::{Sender, SenderError};

/// What is replayed, and how.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) files: Vec<PathBuf>,
    /// Goes on with what is written to the files, through rotations, until told to stop.
    pub(crate) follow: bool,
    pub(crate) from_start: bool,
    /// How long a file that was rotated away is still read once it is quiet.
    pub(crate) rotation_wait: Duration,
}

/// What became of one file's lines in this run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileReport {
    pub(crate) file: PathBuf,
    #[serde(flatten)]
    pub(crate) posted: Posted,
    /// Lines that hold no event, or one that is not whole.
    pub(crate) damaged: u64,
    /// The first of them.
    pub(crate) damaged_at: Vec<Place>,
}

/// What the backend said of the events it was given.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Posted {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Posted {
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
    }
}

/// Where a damaged line stands: counted from 1 and from 0.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) byte: u64,
    pub(crate) problem: String,
}

/// Why a file was not replayed to its end. What was posted until then is remembered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("cannot read {}: {error}", file.display())]
    Read {
        file: PathBuf,
        error: std::io::Error,
    },
    #[error(transparent)]
    Send(#[from] SenderError),
    #[error("stopped; run the same again to go on from here")]
    Stopped,
}

/// Told to stop: by a signal, or because another file cannot be replayed.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits, or less if it is told to stop. False: it was.
    fn sleep(&self, duration: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(50);
        let mut left = duration;
        while !self.is_set() && !left.is_zero() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
        !self.is_set()
    }
}

/// Replays the files, one after the other; following, all at once. Gives what became of each as
/// far as it came, and why it did not come further.
pub(crate) fn run(
    replay: &Replay,
    sender: &Sender,
    stop: &Stop,
) -> (Vec<FileReport>, Option<ReplayError>) {
    let progress = progress(replay);
    let mut reports: Vec<FileReport> = Vec::new();
    let mut failure = None;
    let mut take = |(report, outcome): (Vec<FileReport>, Result<(), ReplayError>)| {
        reports.extend(report);
        if let Err(error) = outcome {
            // Of several, the first is the cause of the others.
            failure.get_or_insert(error);
            stop.set();
        }
    };
    if replay.follow {
        std::thread::scope(|scope| {
            let progress = &progress;
            let tasks: Vec<_> = replay
                .files
                .iter()
                .map(|path| scope.spawn(move || file::replay(path, replay, sender, stop, progress)))
                .collect();
            for task in tasks {
                match task.join() {
                    Ok(outcome) => take(outcome),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    } else {
        for path in &replay.files {
            if !stop.is_set() {
                take(file::replay(path, replay, sender, stop, &progress));
            }
        }
        if stop.is_set() {
            failure.get_or_insert(ReplayError::Stopped);
        }
    }
    progress.finish();
    (reports, failure)
}

fn progress(replay: &Replay) -> Progress {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (total, template) = match replay.follow {
        // What is written meanwhile has no total.
        true => (0, "{spinner} {bytes} {msg}"),
        false => (
            replay.files.iter().map(size).sum(),
            "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
        ),
    };
    let progress = Progress::new(total, Unit::Bytes, template);
    match replay.follow {
        true => progress.without_lines(),
        false => progress,
    }
}
