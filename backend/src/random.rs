//! Randomness from the operating system, and the ids made with it.

use std::fmt::Write;

use uuid::Uuid;

use crate::clock::Timestamp;

/// `N` random bytes. A system that gives none cannot make secrets, so the process ends.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the operating system gives no randomness");
        std::process::abort();
    }
    bytes
}

/// `N` random bytes in hexadecimal.
pub(crate) fn hex<const N: usize>() -> String {
    bytes::<N>()
        .iter()
        .fold(String::with_capacity(2 * N), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A UUID of version 7 for something that happened at `time`.
pub(crate) fn uuid_v7(time: Timestamp) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(time.millis(), &bytes()).into_uuid()
}
