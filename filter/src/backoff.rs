//! How long to wait after a failure: exponential with full jitter, so that edges that failed
//! together do not come back together.

use std::time::Duration;

/// A point on the VM's steady clock, which no clock change moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) Duration);

impl Moment {
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// Longest wait after the first failure; doubles with each further one.
const FIRST: Duration = Duration::from_millis(500);
/// Never longer: a collector that is back is found within this.
const LONGEST: Duration = Duration::from_secs(10);
/// Where somebody has to change a secret or a route first, there is no hurry.
const SLOW: Duration = Duration::from_secs(30);

/// A small generator of waits; no secret depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.next() % millis.saturating_add(1))
    }

    /// The wait after that many failures in a row, from 1.
    pub(crate) fn wait(&mut self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
        let longest = FIRST
            .saturating_mul(doubled.unwrap_or(u32::MAX))
            .min(LONGEST);
        self.up_to(longest)
    }

    /// The wait where a passing failure is unlikely: between once and twice [`SLOW`].
    pub(crate) fn slow_wait(&mut self) -> Duration {
        SLOW.saturating_add(self.up_to(SLOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_spread_over_all_of_it() {
        let mut jitter = Jitter::new(1);
        let mut longest = |failures| {
            let waits = (0..200).map(|_| jitter.wait(failures));
            waits.max().unwrap()
        };
        assert!(longest(1) <= FIRST && longest(1) > FIRST / 2);
        assert!(longest(3) <= FIRST * 4 && longest(3) > FIRST * 2);
        assert!(longest(40) <= LONGEST && longest(40) > LONGEST / 2);
    }

    #[test]
    fn slow_waits_are_never_quick() {
        let mut jitter = Jitter::new(2);
        for _ in 0..200 {
            let wait = jitter.slow_wait();
            assert!((SLOW..=SLOW * 2).contains(&wait), "{wait:?}");
        }
    }
}
