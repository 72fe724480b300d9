//! Draws: everything random in a campaign comes from here, and from its seed alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};

use super::parameters::{Duration, Network};

/// A stream of draws of its own for each recipient, so that one recipient's luck does not depend on
/// another's.
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    pub(super) fn happens(&mut self, share: f64) -> bool {
        self.0.random_bool(share.clamp(0.0, 1.0))
    }

    pub(super) fn below(&mut self, limit: u32) -> u32 {
        self.0.random_range(0..limit.max(1))
    }

    pub(super) fn seconds_between(&mut self, [least, most]: [f64; 2]) -> u64 {
        to_millis(self.0.random_range(least..=most))
    }

    /// Milliseconds.
    pub(super) fn time(&mut self, duration: Duration) -> u64 {
        let median = duration.median_s.max(1e-3).ln();
        LogNormal::new(median, duration.sigma)
            .map_or(0, |times| to_millis(times.sample(&mut self.0)))
    }

    pub(super) fn draw<D: Distribution<f64>>(&mut self, distribution: &D) -> f64 {
        distribution.sample(&mut self.0)
    }

    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.below(u32::try_from(all.len()).unwrap_or(u32::MAX));
        all.get(at as usize)
    }

    /// Each with the probability of its share of all weights.
    pub(super) fn weighted<T>(&mut self, all: impl Iterator<Item = (T, f64)> + Clone) -> Option<T> {
        let total: f64 = all.clone().map(|(_, weight)| weight).sum();
        let mut rest = self.0.random_range(0.0..total.max(f64::MIN_POSITIVE));
        all.filter(|(_, weight)| *weight > 0.0)
            .find(|(_, weight)| {
                rest -= weight;
                rest < 0.0
            })
            .map(|(item, _)| item)
    }

    /// An order of all numbers below `count`.
    pub(super) fn order(&mut self, count: u32) -> Vec<u32> {
        use rand::seq::SliceRandom;
        let mut numbers: Vec<u32> = (0..count).collect();
        numbers.shuffle(&mut self.0);
        numbers
    }
}

/// The `number`th address of a pool: always the same, anywhere in the networks.
pub(super) fn address(networks: &[Network], number: u32) -> Option<IpAddr> {
    let count = u32::try_from(networks.len()).ok()?;
    let network = networks.get(number.checked_rem(count)? as usize)?;
    let low = scatter(u64::from(number));
    Some(match network.address {
        IpAddr::V4(base) => {
            let host = u32::MAX.checked_shr(u32::from(network.bits)).unwrap_or(0);
            Ipv4Addr::from_bits((base.to_bits() & !host) | (low as u32 & host)).into()
        }
        IpAddr::V6(base) => {
            let host = u128::MAX.checked_shr(u32::from(network.bits)).unwrap_or(0);
            let low = u128::from(low) << 64 | u128::from(scatter(low));
            Ipv6Addr::from_bits((base.to_bits() & !host) | (low & host)).into()
        }
    })
}

/// Neighbouring numbers, far apart: the finaliser of SplitMix64.
pub(super) fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn to_millis(seconds: f64) -> u64 {
    // A year at most: the tails of some distributions are long.
    (seconds.clamp(0.0, 31_536_000.0) * 1000.0) as u64
}
