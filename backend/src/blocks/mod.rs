//! Blocks: tenants, sends and destination hosts that the edge answers with 410 Gone. Knows neither
//! HTTP nor SQL.

pub(crate) mod feed;
pub(crate) mod http;
pub(crate) mod store;

use std::fmt;
use std::str::FromStr;

use kraiter_wire::{SendId, TenantId};
use serde::{Deserialize, Serialize};

use crate::audit::{Action, Actor, Entry};
use crate::clock::Timestamp;

/// What is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// All mail of the tenant.
    Tenant,
    Send(SendId<'static>),
    /// Links to this host and its subdomains.
    Host(HostName),
}

impl Target {
    pub(crate) fn value(&self) -> &str {
        match self {
            Self::Tenant => "",
            Self::Send(id) => id.as_str(),
            Self::Host(host) => host.as_str(),
        }
    }

    /// What the audit log says of a change; the reason stays out of it, it is free text.
    pub(crate) fn audited(&self, tenant: Option<TenantId>, actor: Actor, set: bool) -> Entry {
        let action = match set {
            true => Action::BlockSet,
            false => Action::BlockLifted,
        };
        let entry = Entry::new(tenant, actor, action);
        match self {
            Self::Tenant => entry.about("tenant"),
            Self::Send(_) | Self::Host(_) => {
                entry.about(format_args!("{}:{}", self.kind(), self.value()))
            }
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Send(_) => "send",
            Self::Host(_) => "host",
        }
    }
}

/// Whoever set a block is the one who can lift it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SetBy {
    Tenant,
    Operator,
}

impl SetBy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Operator => "operator",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) target: Target,
    pub(crate) set_by: SetBy,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: Timestamp,
}

/// RFC 1035 allows 253 characters in a name.
const MAX_HOST_BYTES: usize = 253;

/// A host as URLs name it: lower case, punycode, IPv6 in brackets, no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName(String);

impl HostName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || {
            format!(
                "{text:?} is not a host; write it like evil.example, without scheme, port and path"
            )
        };
        if text.contains(['%', '/', '@', '*']) {
            return Err(invalid());
        }
        let bare = text.strip_suffix('.').unwrap_or(text);
        let host = match url::Host::parse(bare).map_err(|_| invalid())? {
            url::Host::Domain(name) => {
                let plain =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
                let labels_hold = name.split('.').all(|label| !label.is_empty());
                if !name.bytes().all(plain) || !labels_hold || name.len() > MAX_HOST_BYTES {
                    return Err(invalid());
                }
                if !name.contains('.') {
                    return Err(format!(
                        "{text:?} stands for everything below it; block a name with a dot in it"
                    ));
                }
                name
            }
            address => address.to_string(),
        };
        Ok(Self(host))
    }
}

/// Longest reason that is kept.
const MAX_REASON_CHARS: usize = 500;

/// Why something is blocked, in words.
#[derive(Clone, Debug)]
pub(crate) struct Reason(String);

impl Reason {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let chars = text.chars().count();
        if (1..=MAX_REASON_CHARS).contains(&chars) && !text.contains(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "a reason has 1 to {MAX_REASON_CHARS} characters on one line, this one {chars}"
        ))
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// How many blocks there are, or may be, and what they take in the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) count: i64,
    pub(crate) bytes: i64,
}

/// What one tenant may block. The bytes keep one tenant from filling the feed of all.
const MAX_OF_TENANT: Size = Size {
    count: 10_000,
    bytes: 512 << 10,
};

/// What all may block together: edges refuse a feed above 4 MiB and keep the one they have.
const MAX_OF_ALL: Size = Size {
    count: 100_000,
    bytes: 4_000_000,
};

/// What only the operator can use of it: tenants cannot keep the operator from blocking.
const RESERVED: Size = Size {
    count: 10_000,
    bytes: 400_000,
};

/// Besides its value, what a block takes in the feed: `[2147483647,""],`.
pub(crate) const FRAME_BYTES: i64 = 16;

impl Target {
    /// Whether this may be added to what the tenant has set itself and to what all have set.
    pub(crate) fn fits(&self, set_by: SetBy, of_tenant: Size, of_all: Size) -> Result<(), TooMany> {
        let bytes = i64::try_from(self.value().len()).unwrap_or(i64::MAX - FRAME_BYTES);
        let fits = |used: Size, max: Size| {
            used.count < max.count && used.bytes.saturating_add(bytes + FRAME_BYTES) <= max.bytes
        };
        let for_all = match set_by {
            SetBy::Operator => MAX_OF_ALL,
            SetBy::Tenant => Size {
                count: MAX_OF_ALL.count - RESERVED.count,
                bytes: MAX_OF_ALL.bytes - RESERVED.bytes,
            },
        };
        if set_by == SetBy::Tenant && !fits(of_tenant, MAX_OF_TENANT) {
            return Err(TooMany::OfTenant);
        }
        match fits(of_all, for_all) {
            true => Ok(()),
            false => Err(TooMany::OfAll),
        }
    }
}

/// Why there is no room for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error(
        "a tenant can block {} sends and hosts, with {} bytes of names; lift some first",
        MAX_OF_TENANT.count,
        MAX_OF_TENANT.bytes
    )]
    OfTenant,
    #[error(
        "all tenants together can block {} sends and hosts, with {} bytes of names; some have to \
         be lifted first",
        MAX_OF_ALL.count,
        MAX_OF_ALL.bytes
    )]
    OfAll,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_taken_as_urls_name_them() {
        let host = |text: &str| text.parse::<HostName>().map(|host| host.0);
        assert_eq!(host("Evil.Example").unwrap(), "evil.example");
        assert_eq!(host("evil.example.").unwrap(), "evil.example");
        assert_eq!(host("bücher.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(host("203.0.113.9").unwrap(), "203.0.113.9");
        assert_eq!(host("0xCB007109").unwrap(), "203.0.113.9");
        assert_eq!(host("[2001:DB8::1]").unwrap(), "[2001:db8::1]");
        for wrong in [
            "",
            ".",
            "https://evil.example",
            "evil.example:8080",
            "evil.example/x",
            "*.evil.example",
            "user@evil.example",
            "evil%2eexample",
            "a..example",
            "a b.example",
            "a\"b.example",
            "com",
        ] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert!(host(&format!("{}.example", "a.".repeat(130))).is_err());
    }

    #[test]
    fn no_tenant_fills_the_feed_of_all() {
        let host = Target::Host("evil.example".parse().unwrap());
        let size = |count, bytes| Size { count, bytes };
        let none = Size::default();
        let tenant = |of_tenant, of_all| host.fits(SetBy::Tenant, of_tenant, of_all);
        assert_eq!(tenant(none, none), Ok(()));
        assert_eq!(
            tenant(size(10_000, 1), size(10_000, 1)),
            Err(TooMany::OfTenant)
        );
        assert_eq!(tenant(size(1, 512 << 10), none), Err(TooMany::OfTenant));
        assert_eq!(tenant(none, size(90_000, 1)), Err(TooMany::OfAll));
        assert_eq!(tenant(none, size(1, 3_600_000)), Err(TooMany::OfAll));
        let operator = |of_all| host.fits(SetBy::Operator, size(20_000, 0), of_all);
        assert_eq!(operator(size(90_000, 3_600_000)), Ok(()));
        assert_eq!(operator(size(100_000, 1)), Err(TooMany::OfAll));
    }
}
