//! How far a long command has come, on standard error: a bar where a person looks at a terminal, else
//! a plain line now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// Seconds between two plain lines. A command that is done sooner writes none.
const PLAIN_SECONDS: u64 = 10;

/// How often a bar moves by itself.
const TICK: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Of(&'static str),
}

pub(crate) struct Progress {
    bar: ProgressBar,
    unit: Unit,
    /// Intervals at whose end a line was due.
    told: AtomicU64,
}

impl Progress {
    pub(crate) fn new(total: u64, unit: Unit, template: &str) -> Self {
        // It hides itself where standard error is no terminal, and counts all the same.
        let bar = ProgressBar::new(total);
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            unit,
            told: AtomicU64::new(0),
        }
    }

    /// For what goes on for days: its log is not for that.
    pub(crate) fn without_lines(self) -> Self {
        Self {
            told: AtomicU64::new(u64::MAX),
            ..self
        }
    }

    pub(crate) fn has_bar(&self) -> bool {
        !self.bar.is_hidden()
    }

    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    pub(crate) fn inc(&self, more: u64) {
        self.bar.inc(more);
        self.tell();
    }

    pub(crate) fn set_message(&self, text: String) {
        self.bar.set_message(text);
        self.tell();
    }

    /// Tells a person what happens meanwhile.
    pub(crate) fn note(&self, text: &str) {
        match self.has_bar() {
            true => self.bar.println(text),
            false => eprintln!("{text}"),
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn tell(&self) {
        if !self.has_bar() && due(&self.told, self.bar.elapsed()) {
            let total = self.bar.length().unwrap_or(0);
            eprintln!(
                "{}",
                line(self.unit, self.bar.position(), total, &self.bar.message())
            );
        }
    }
}

/// Once an interval, whichever thread asks.
fn due(told: &AtomicU64, elapsed: Duration) -> bool {
    let intervals = elapsed.as_secs() / PLAIN_SECONDS;
    told.fetch_max(intervals, Ordering::Relaxed) < intervals
}

/// A total of 0 is not known.
fn line(unit: Unit, done: u64, total: u64, message: &str) -> String {
    let mut line = match (unit, total) {
        (Unit::Bytes, 0) => HumanBytes(done).to_string(),
        (Unit::Bytes, _) => format!("{} of {}", HumanBytes(done), HumanBytes(total)),
        (Unit::Of(things), 0) => format!("{} {things}", HumanCount(done)),
        (Unit::Of(things), _) => format!("{} of {} {things}", HumanCount(done), HumanCount(total)),
    };
    if !message.is_empty() {
        line += ": ";
        line += message;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_is_due_once_an_interval() {
        let told = AtomicU64::new(0);
        let seconds = [0, 9, 10, 11, 19, 45, 46, 50];
        let due = seconds.map(|seconds| due(&told, Duration::from_secs(seconds)));
        assert_eq!(due, [false, false, true, false, false, true, false, true]);
    }

    #[test]
    fn a_plain_line_says_how_far_it_is() {
        let sends = line(Unit::Of("sends"), 12_000, 1_000_000, "");
        assert_eq!(sends, "12,000 of 1,000,000 sends");
        assert_eq!(line(Unit::Of("events"), 12, 0, "old"), "12 events: old");
        let bytes = line(Unit::Bytes, 2 << 20, 8 << 30, "3 known");
        assert_eq!(bytes, "2.00 MiB of 8.00 GiB: 3 known");
    }
}
