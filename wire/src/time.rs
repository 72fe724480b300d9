//! Points in time as they travel: milliseconds and days since 1970-01-01 UTC.

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The UTC day this moment lies in. Saturates in the year 2149, where a day leaves 16 bits.
    pub fn day(self) -> Day {
        Day(u16::try_from(self.0 / Day::MILLIS).unwrap_or(u16::MAX))
    }
}

/// Days since 1970-01-01, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u16);

impl Day {
    /// Milliseconds in one day; UTC without leap seconds, as Unix time has it.
    pub const MILLIS: u64 = 86_400_000;

    /// The first millisecond of the day.
    pub fn start(self) -> UnixMillis {
        UnixMillis(u64::from(self.0) * Self::MILLIS)
    }
}
