//! Tenants and their settings: the rules. Knows neither HTTP nor SQL.

mod directory;
pub(crate) mod http;
mod lines;
pub(crate) mod store;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use kraiter_wire::TenantId;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::rewriting::TrackingBase;

pub(crate) use crate::rewriting::{PathPrefix, TrackingOrigin};
pub(crate) use directory::TenantDirectory;
pub(crate) use lines::OwnLines;

#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) name: TenantName,
    pub(crate) created_at: Timestamp,
    pub(crate) settings: Settings,
    /// Events and sends before this moment were removed by retention.
    pub(crate) kept_since: Option<Timestamp>,
}

/// What a tenant decides for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    /// Scheme, host and port of tracked URLs, as recipients reach the edge.
    #[schema(value_type = String, example = "https://click.example.com")]
    pub(crate) tracking_origin: TrackingOrigin,
    /// What stands before `/o/`, `/c/` and `/u/`; empty or like `/t`.
    #[schema(value_type = String, example = "")]
    pub(crate) tracking_path_prefix: PathPrefix,
    /// Off: mail is returned untracked and nothing is recorded. Links already sent still lead on.
    pub(crate) tracking_enabled: bool,
    pub(crate) address_mode: AddressMode,
    /// Days that events and sends are kept, 1 to 3650.
    #[schema(value_type = u16, minimum = 1, maximum = 3650)]
    pub(crate) retention_days: Days,
    /// Events on mail older than this many days are not recorded; its links work all the same.
    #[schema(required = true, value_type = Option<u16>, minimum = 1, maximum = 3650)]
    pub(crate) recording_max_age_days: Option<Days>,
    /// Where verdicts draw their lines.
    #[schema(value_type = lines::LinesView)]
    pub(crate) verdicts: OwnLines,
}

impl Settings {
    /// Where the tenant's tracked URLs stand.
    pub(crate) fn tracking_base(&self) -> TrackingBase {
        TrackingBase::new(&self.tracking_origin, &self.tracking_path_prefix)
    }
}

/// How much of a recipient's network address is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AddressMode {
    Full,
    /// The first 24 bits of IPv4, the first 48 of IPv6.
    Truncated,
    None,
}

impl AddressMode {
    /// The edge may have truncated already; truncating again changes nothing, so the stricter of
    /// edge and tenant holds.
    pub(crate) fn apply(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::Full, address) => Some(address),
            (Self::Truncated, IpAddr::V4(v4)) => {
                Some(IpAddr::from((v4.to_bits() & !0xFF).to_be_bytes()))
            }
            (Self::Truncated, IpAddr::V6(v6)) => Some(IpAddr::from(
                (v6.to_bits() & (u128::MAX << 80)).to_be_bytes(),
            )),
            (Self::None, _) => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Truncated => "truncated",
            Self::None => "none",
        }
    }
}

impl FromStr for AddressMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "truncated" => Ok(Self::Truncated),
            "none" => Ok(Self::None),
            other => Err(format!("{other:?} is not full, truncated or none")),
        }
    }
}

/// A number of days from 1 to 3650.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Days(u16);

impl Days {
    pub(crate) fn get(self) -> u16 {
        self.0
    }

    pub(crate) fn millis(self) -> u64 {
        u64::from(self.0) * kraiter_wire::Day::MILLIS
    }
}

impl TryFrom<i64> for Days {
    type Error = String;

    fn try_from(days: i64) -> Result<Self, String> {
        match u16::try_from(days) {
            Ok(days @ 1..=3650) => Ok(Self(days)),
            _ => Err(format!("{days} is not a number of days from 1 to 3650")),
        }
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

/// An operator's name for a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TenantName(String);

impl TenantName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // All digits would read as an id.
        if text.is_empty()
            || text.len() > 64
            || !text.chars().all(allowed)
            || text.parse::<u64>().is_ok()
        {
            return Err(format!(
                "{text:?} cannot be a tenant's name; use 1 to 64 letters, digits and - _ . with at \
                 least one letter"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_as_the_tenant_says() {
        let v4: IpAddr = "203.0.113.77".parse().unwrap();
        let v6: IpAddr = "2001:db8:1:2:3::4".parse().unwrap();
        assert_eq!(AddressMode::Full.apply(v4), Some(v4));
        assert_eq!(
            AddressMode::Truncated.apply(v4),
            Some("203.0.113.0".parse().unwrap())
        );
        assert_eq!(
            AddressMode::Truncated.apply(v6),
            Some("2001:db8:1::".parse().unwrap())
        );
        assert_eq!(AddressMode::None.apply(v6), None);
    }
}
