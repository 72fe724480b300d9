//! One file, from where it was left to its end; following, on through its rotations.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::line::{Found, Reader};
use super::lines::{Lines, MAX_LINE_BYTES, Next, Offset};
use super::position::{self, Position};
use super::sender::{Sender, SenderError};
use super::source::{FileId, Source};
use super::{FileReport, Place, Replay, ReplayError, Stop};
use crate::progress::Progress;

/// What is posted at once: enough that a commit is not what costs, little enough for any proxy.
const MAX_BATCH_BYTES: usize = 512 << 10;
const MAX_BATCH_EVENTS: usize = 2000;

/// Damaged lines whose place is told.
const MAX_PLACES: usize = 5;

/// How often a file that is followed is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Gives a report for the file, and for a rotated one that was finished first.
pub(super) fn replay(
    path: &Path,
    replay: &Replay,
    sender: &Sender,
    stop: &Stop,
    progress: &Progress,
) -> (Vec<FileReport>, Result<(), ReplayError>) {
    let mut run = Run {
        replay,
        sender,
        stop,
        progress,
        reports: Vec::new(),
    };
    let outcome = match run.replay(path) {
        Err(ReplayError::Stopped | ReplayError::Send(SenderError::Stopped)) => {
            match replay.follow {
                // It ends no other way.
                true => Ok(()),
                false => Err(ReplayError::Stopped),
            }
        }
        outcome => outcome,
    };
    (run.reports, outcome)
}

struct Run<'a> {
    replay: &'a Replay,
    sender: &'a Sender,
    stop: &'a Stop,
    progress: &'a Progress,
    reports: Vec<FileReport>,
}

impl Run<'_> {
    fn replay(&mut self, path: &Path) -> Result<(), ReplayError> {
        let failed = |error| unreadable(path, error);
        let (mut source, mut offset) = (self.open(path)?, Offset::default());
        let position = match self.replay.from_start || !source.can_resume() {
            true => None,
            false => Position::load(path),
        };
        if let Some(position) = position {
            match position.open(path).map_err(failed)? {
                Some(there) => (source, offset) = (there, position.offset()),
                None => self.finish_rotated(path, &position)?,
            }
        }
        loop {
            let follow = self.replay.follow && source.can_grow();
            self.read(path, source, offset, follow)?;
            if !follow || self.stop.is_set() {
                return Ok(());
            }
            (source, offset) = (self.open(path)?, Offset::default());
        }
    }

    /// Following, a file may come yet.
    fn open(&self, path: &Path) -> Result<Source, ReplayError> {
        loop {
            match Source::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.replay.follow => {
                    if !self.stop.sleep(POLL) {
                        return Err(ReplayError::Stopped);
                    }
                }
                outcome => return outcome.map_err(|error| unreadable(path, error)),
            }
        }
    }

    /// The file was rotated while nobody followed it: what stood in it then is finished first.
    fn finish_rotated(&mut self, path: &Path, position: &Position) -> Result<(), ReplayError> {
        for candidate in position::rotated(path) {
            if let Ok(Some(source)) = position.open(&candidate) {
                let names = (path.display(), candidate.display());
                self.progress.note(&format!(
                    "{} was rotated to {}, which is finished first",
                    names.0, names.1
                ));
                return self.read(&candidate, source, position.offset(), false);
            }
        }
        self.progress.note(&format!(
            "{} is not the file that was replayed before, and that one is not beside it; if it was \
             rotated, replay it by its name",
            path.display()
        ));
        Ok(())
    }

    /// Reads a file from `offset` to its end; following, until another has its name.
    fn read(
        &mut self,
        path: &Path,
        source: Source,
        offset: Offset,
        follow: bool,
    ) -> Result<(), ReplayError> {
        let mut reading = Reading {
            path,
            saved: offset,
            progress: 0,
            can_save: source.can_resume(),
            can_grow: source.can_grow(),
            id: source.id().map_err(|error| unreadable(path, error))?,
            lines: Lines::new(source, offset),
            reader: Reader::default(),
            batch: Vec::with_capacity(MAX_BATCH_BYTES + MAX_LINE_BYTES),
            events: 0,
            report: FileReport {
                file: path.to_owned(),
                ..FileReport::default()
            },
        };
        let outcome = reading.read_on(self, follow);
        let report = reading.report;
        match self.reports.iter_mut().find(|known| known.file == path) {
            Some(known) => {
                known.posted.add(&report.posted);
                known.damaged += report.damaged;
                known.damaged_at.extend(report.damaged_at);
                known.damaged_at.truncate(MAX_PLACES);
            }
            None => self.reports.push(report),
        }
        outcome
    }
}

fn unreadable(path: &Path, error: io::Error) -> ReplayError {
    ReplayError::Read {
        file: path.to_owned(),
        error,
    }
}

/// A file that is being read.
struct Reading<'a> {
    path: &'a Path,
    lines: Lines<Source>,
    reader: Reader,
    /// Event lines that were read and not posted yet.
    batch: Vec<u8>,
    events: usize,
    /// The position that was written down last.
    saved: Offset,
    can_save: bool,
    can_grow: bool,
    id: Option<FileId>,
    /// What the progress bar was told.
    progress: u64,
    report: FileReport,
}

/// Whether more may come after what was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    MayCome,
    WillNot,
}

impl Reading<'_> {
    fn read_on(&mut self, run: &Run<'_>, follow: bool) -> Result<(), ReplayError> {
        let mut quiet_since = None;
        while !run.stop.is_set() {
            let start = self.lines.offset();
            match self.lines.next() {
                Ok(Next::Line(line)) => {
                    quiet_since = None;
                    let found = self.reader.read(self.lines.get(line));
                    take(
                        found,
                        start,
                        &mut self.batch,
                        &mut self.events,
                        &mut self.report,
                    );
                }
                Ok(Next::TooLong(bytes)) => self.report.damaged_line(start, too_long(bytes)),
                Ok(Next::End) if !follow => {
                    self.take_rest(match self.can_grow {
                        true => Rest::MayCome,
                        false => Rest::WillNot,
                    });
                    return self.post(run);
                }
                Ok(Next::End) => {
                    self.post(run)?;
                    let quiet = quiet_since.get_or_insert_with(Instant::now).elapsed();
                    if self.is_replaced(run, quiet)? {
                        self.take_rest(Rest::WillNot);
                        return self.post(run);
                    }
                    run.stop.sleep(POLL);
                }
                Err(error) if !self.can_grow && self.can_save => {
                    let problem = format!("the compressed data breaks off here: {error}");
                    self.report.damaged_line(start, problem);
                    return self.post(run);
                }
                Err(error) => {
                    self.post(run)?;
                    return Err(unreadable(self.path, error));
                }
            }
            if self.batch.len() >= MAX_BATCH_BYTES || self.events >= MAX_BATCH_EVENTS {
                self.post(run)?;
            }
        }
        Err(ReplayError::Stopped)
    }

    /// What stands behind the last line break.
    fn take_rest(&mut self, rest: Rest) {
        let start = self.lines.offset();
        let Some(line) = self.lines.begun() else {
            if self.lines.begun_bytes() > 0 {
                let problem = too_long(self.lines.begun_bytes());
                self.report.damaged_line(start, problem);
            }
            return;
        };
        let found = self.reader.read(self.lines.get(line));
        let whole = matches!(found, Found::Event(_) | Found::Torn(_));
        take(
            found,
            start,
            &mut self.batch,
            &mut self.events,
            &mut self.report,
        );
        // A line that may be finished later is read again then.
        if whole || rest == Rest::WillNot {
            self.lines.take_begun();
        }
    }

    /// Posts what was read and writes down how far that is.
    fn post(&mut self, run: &Run<'_>) -> Result<(), ReplayError> {
        if !self.batch.is_empty() {
            let tell = |text: &str| run.progress.note(text);
            let posted = run.sender.post(&self.batch, run.stop, &tell)?;
            self.report.posted.add(&posted);
            self.batch.clear();
            self.events = 0;
        }
        let offset = self.lines.offset();
        if offset != self.saved && self.can_save {
            let position = Position::of(self.lines.source(), offset);
            if let Err(error) = position.and_then(|position| position.save(self.path)) {
                let file = position::beside(self.path);
                let text = format!(
                    "cannot write {}: {error}; another run would start from an earlier place, \
                     which costs time and counts nothing twice",
                    file.display()
                );
                run.progress.note(&text);
                self.can_save = false;
            }
            self.saved = offset;
        }
        let read = self
            .lines
            .source()
            .compressed_bytes_read()
            .unwrap_or(offset.byte);
        run.progress.inc(read.saturating_sub(self.progress));
        self.progress = read;
        let posted = &self.report.posted;
        run.progress.set_message(format!(
            "{} accepted, {} known, {} rejected",
            posted.accepted, posted.duplicates, posted.rejected
        ));
        Ok(())
    }

    /// Whether the name stands for another file now and this one has been quiet for long enough
    /// that its writer has gone over to the other, or whether it was emptied.
    fn is_replaced(&self, run: &Run<'_>, quiet: Duration) -> Result<bool, ReplayError> {
        let failed = |error| unreadable(self.path, error);
        if FileId::at(self.path).map_err(failed)? != self.id {
            return Ok(quiet >= run.replay.rotation_wait);
        }
        let bytes = self.lines.source().file_bytes().map_err(failed)?;
        Ok(bytes < self.lines.offset().byte)
    }
}

fn too_long(bytes: u64) -> String {
    format!("it has {bytes} bytes, more than {MAX_LINE_BYTES}")
}

fn take(
    found: Found<'_>,
    start: Offset,
    batch: &mut Vec<u8>,
    events: &mut usize,
    report: &mut FileReport,
) {
    let event = match found {
        Found::Nothing => return,
        Found::Damaged(problem) => return report.damaged_line(start, problem),
        Found::Torn(event) => {
            let problem = "it breaks off before another event, which was taken".to_owned();
            report.damaged_line(start, problem);
            event
        }
        Found::Event(event) => event,
    };
    batch.extend_from_slice(event);
    batch.push(b'\n');
    *events += 1;
}

impl FileReport {
    fn damaged_line(&mut self, at: Offset, problem: String) {
        self.damaged += 1;
        if self.damaged_at.len() < MAX_PLACES {
            self.damaged_at.push(Place {
                line: at.line + 1,
                byte: at.byte,
                problem,
            });
        }
    }
}
