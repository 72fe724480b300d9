//! When a failed delivery is tried again. Pure.

use std::str::FromStr;
use std::time::Duration;

/// More attempts than anyone needs.
const MAX_RETRIES: usize = 50;
const MAX_WAIT_SECONDS: u64 = 7 * 86_400;

/// Waits are moved by up to this much to either side, so that what failed together does not come back
/// together.
const JITTER_PER_CENT: u64 = 10;

/// The longest `retry-after` of a receiver that is heeded.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Seconds between attempts. After the last one a delivery is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetrySchedule(Vec<u32>);

impl RetrySchedule {
    /// The wait after that many attempts; `None` when no further one is made.
    pub(crate) fn wait(
        &self,
        attempts: i32,
        retry_after: Option<Duration>,
        random: u64,
    ) -> Option<Duration> {
        let number = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let millis = u64::from(*self.0.get(number)?) * 1000;
        let spread = millis * JITTER_PER_CENT / 100;
        let millis = millis - spread + random % (2 * spread + 1);
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        Some(Duration::from_millis(millis).max(asked))
    }

    /// From the first attempt to the last.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_secs(self.0.iter().map(|wait| u64::from(*wait)).sum())
    }
}

impl FromStr for RetrySchedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let waits: Result<Vec<u32>, _> = text.split(',').map(|wait| wait.trim().parse()).collect();
        match waits {
            Ok(waits) if waits.len() > MAX_RETRIES => {
                Err(format!("more than {MAX_RETRIES} retries"))
            }
            Ok(waits) if waits.iter().any(|wait| u64::from(*wait) > MAX_WAIT_SECONDS) => {
                Err("a wait of more than a week".to_owned())
            }
            Ok(waits) => Ok(Self(waits)),
            Err(_) => Err("not a list of seconds like 5,30,120".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_vary_a_little_and_end() {
        let schedule: RetrySchedule = "10, 100".parse().unwrap();
        let millis = |attempts, random| {
            let wait = schedule.wait(attempts, None, random);
            wait.map(|wait| wait.as_millis())
        };
        assert_eq!(millis(1, 0), Some(9000));
        assert_eq!(millis(1, 2000), Some(11_000));
        assert_eq!(millis(2, 10_000), Some(100_000));
        assert_eq!(millis(3, 0), None);
        assert_eq!(schedule.total(), Duration::from_secs(110));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_within_reason() {
        let schedule: RetrySchedule = "10".parse().unwrap();
        let wait = |seconds| schedule.wait(1, Some(Duration::from_secs(seconds)), 0);
        assert_eq!(wait(60), Some(Duration::from_secs(60)));
        assert_eq!(wait(1), Some(Duration::from_secs(9)));
        assert_eq!(wait(1_000_000), Some(MAX_RETRY_AFTER));
        assert_eq!(schedule.wait(2, Some(MAX_RETRY_AFTER), 0), None);
    }

    #[test]
    fn a_schedule_is_a_list_of_seconds() {
        assert!("5,x".parse::<RetrySchedule>().is_err());
        assert!("".parse::<RetrySchedule>().is_err());
        assert!("700000".parse::<RetrySchedule>().is_err());
        assert!(vec!["1"; 51].join(",").parse::<RetrySchedule>().is_err());
    }
}
