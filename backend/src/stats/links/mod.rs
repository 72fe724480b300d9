//! Clicks by link: of a campaign out of rollups, of a send out of its events. Knows neither HTTP
//! nor SQL.

pub(crate) mod http;
mod store;

use jiff::civil::Date;

use super::buckets::Zone;
use crate::clock::Timestamp;

/// Days of UTC, from the one until before the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Days {
    pub(crate) from: Option<Date>,
    pub(crate) to: Option<Date>,
}

/// When a day of UTC begins. Time is known from 1970 on.
fn start(day: Date) -> Option<Timestamp> {
    Zone::utc().start(day)
}

/// One link and how often it was clicked.
#[derive(Clone, Debug)]
pub(crate) struct LinkClicks {
    pub(crate) url: String,
    pub(crate) place: Place,
    pub(crate) human: i64,
    pub(crate) machine: i64,
}

/// Where a link stands in the list: most clicks first, then in the order of the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) clicks: i64,
    /// Among the tracked links of the mail, from 0.
    pub(crate) index: i64,
    /// SHA-256 of the URL: recipients may have different URLs at the same place.
    pub(crate) digest: [u8; 32],
}

impl Place {
    const BYTES: usize = 8 + 8 + 32;

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend(self.clicks.to_be_bytes());
        bytes.extend(self.index.to_be_bytes());
        bytes.extend(self.digest);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (clicks, rest) = bytes.split_first_chunk()?;
        let (index, digest) = rest.split_first_chunk()?;
        Some(Self {
            clicks: i64::from_be_bytes(*clicks),
            index: i64::from_be_bytes(*index),
            digest: digest.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_bytes() {
        let place = Place {
            clicks: 12,
            index: 3,
            digest: [7; 32],
        };
        let bytes = place.to_bytes();
        assert_eq!(Place::from_bytes(&bytes), Some(place));
        assert_eq!(Place::from_bytes(&bytes[1..]), None);
        assert_eq!(Place::from_bytes(&[bytes, vec![0]].concat()), None);
    }
}
