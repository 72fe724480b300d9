//! Event ids: UUID version 7 (RFC 9562), made without randomness per event.

use std::fmt;

use uuid::Uuid;

use crate::UnixMillis;

/// Why a text is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventIdError {
    #[error("not a UUID")]
    NotUuid,
    #[error("a UUID, but not of version 7, so it holds no time")]
    NotVersion7,
}

/// One recorded open, click or unsubscribe. Its time is inside, so no other time travels with it,
/// and storing it twice is noticed however often a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    pub fn parse(text: &str) -> Result<Self, EventIdError> {
        let uuid = Uuid::try_parse(text).map_err(|_| EventIdError::NotUuid)?;
        Self::from_uuid(uuid)
    }

    pub fn from_uuid(uuid: Uuid) -> Result<Self, EventIdError> {
        match uuid.get_version_num() {
            7 => Ok(Self(uuid)),
            _ => Err(EventIdError::NotVersion7),
        }
    }

    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// When the event happened, by the clock of the edge that saw it.
    pub fn time(self) -> UnixMillis {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        UnixMillis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Makes event ids from one random seed per process and a counter.
///
/// Two ids of one generator differ in the counter, two of different generators in some 40 random
/// bits, and a random call for each event would cost more than verifying its token does.
#[derive(Clone, Debug)]
pub struct EventIdGenerator {
    seed: [u8; 16],
    counter: u32,
}

impl EventIdGenerator {
    /// `seed`: 16 bytes from a cryptographic source, drawn once.
    pub fn new(seed: [u8; 16]) -> Self {
        let [.., a, b] = seed;
        Self {
            seed,
            counter: u32::from(u16::from_be_bytes([a, b])),
        }
    }

    /// Ids of one generator repeat only after 2^32 of them within one millisecond.
    pub fn next(&mut self, now: UnixMillis) -> EventId {
        self.counter = self.counter.wrapping_add(1);
        let [_, _, t0, t1, t2, t3, t4, t5] = now.0.to_be_bytes();
        let [c0, c1, c2, c3] = self.counter.to_be_bytes();
        let [s0, s1, s2, s3, s4, s5, ..] = self.seed;
        let bytes = [
            t0, t1, t2, t3, t4, t5, s0, s1, s2, s3, s4, s5, c0, c1, c2, c3,
        ];
        EventId(
            uuid::Builder::from_custom_bytes(bytes)
                .with_version(uuid::Version::SortRand)
                .into_uuid(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_time_and_never_repeat() {
        let mut generator = EventIdGenerator::new([0xA5; 16]);
        let now = UnixMillis(1_790_000_000_123);
        let ids: std::collections::HashSet<_> = (0..100_000).map(|_| generator.next(now)).collect();
        assert_eq!(ids.len(), 100_000);
        assert!(ids.iter().all(|id| id.time() == now));
        assert!(
            ids.iter()
                .all(|id| EventId::parse(&id.to_string()) == Ok(*id))
        );
    }

    #[test]
    fn other_uuid_versions_are_refused() {
        let v4 = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(EventId::parse(v4), Err(EventIdError::NotVersion7));
        assert_eq!(EventId::parse("yesterday"), Err(EventIdError::NotUuid));
    }
}
