//! Waiting by asking again, never by sleeping for as long as something usually takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::trouble::{Outcome, Trouble};

/// Far above what any step takes, even on a machine that does three other things. Reaching it means
/// that the awaited thing does not happen; it is never a statement about speed.
pub const PATIENCE: Duration = Duration::from_secs(120);

const STEP: Duration = Duration::from_millis(20);

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Ends every wait of this process with [`Trouble::Cancelled`]: someone pressed Ctrl-C.
pub fn cancel() {
    CANCELLED.store(true, Ordering::Relaxed);
}

/// Calls `ask` until it gives `Ok`. An `Err` says what was seen instead, for the failure's message.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> Outcome<T> {
    until_or(what, || Ok(ask()))
}

/// As [`until`], with a way to give up early: an outer `Err` ends the wait.
pub fn until_or<T>(what: &str, mut ask: impl FnMut() -> Outcome<Result<T, String>>) -> Outcome<T> {
    let start = Instant::now();
    loop {
        match ask()? {
            Ok(value) => return Ok(value),
            Err(_) if CANCELLED.load(Ordering::Relaxed) => return Err(Trouble::Cancelled),
            Err(last) if start.elapsed() >= PATIENCE => {
                return Err(Trouble::TimedOut {
                    what: what.to_owned(),
                    seconds: PATIENCE.as_secs(),
                    last,
                });
            }
            Err(_) => std::thread::sleep(STEP),
        }
    }
}
