//! Where webhooks may go: which URLs, and which network addresses behind them. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Longer ones are refused by common servers.
const MAX_URL_BYTES: usize = 2048;

/// IPv4 that is not of the public internet, by the IANA registry of special purposes (RFC 6890 and
/// later): this network, private, shared (CGNAT), loopback, link-local, protocol assignments,
/// documentation, 6to4 relays, benchmarks, multicast, reserved and broadcast.
const SPECIAL_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All that is routed in public (RFC 4291). Loopback, mapped IPv4, NAT64, unique local, link-local and
/// multicast addresses lie outside.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Protocol assignments with Teredo, documentation, 6to4, which wraps IPv4, and documentation.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Networks that the operator lets webhooks reach although they are not public.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedNetworks(pub(crate) Vec<IpNet>);

/// How a request would travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// An address that webhooks do not go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} is not an address of the public internet")]
    NotPublic(IpAddr),
    #[error("{0} is not reached without TLS; use https")]
    Plain(IpAddr),
}

impl AllowedNetworks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Public addresses are reached by https; those that the operator allows by http as well.
    pub(crate) fn check(&self, scheme: Scheme, address: IpAddr) -> Result<(), Refusal> {
        match (
            self.0.iter().any(|network| network.contains(&address)),
            scheme,
        ) {
            (true, _) => Ok(()),
            (false, _) if !is_public(address) => Err(Refusal::NotPublic(address)),
            (false, Scheme::Http) => Err(Refusal::Plain(address)),
            (false, Scheme::Https) => Ok(()),
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4
            .iter()
            .any(|(network, bits)| Ipv4Net::new_assert(*network, *bits).contains(&v4)),
        IpAddr::V6(v6) => {
            let within =
                |(network, bits): (Ipv6Addr, u8)| Ipv6Net::new_assert(network, bits).contains(&v6);
            within(GLOBAL_V6) && !SPECIAL_V6.into_iter().any(within)
        }
    }
}

/// A URL that requests can be sent to, as far as it says by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointUrl(Url);

impl EndpointUrl {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn scheme(&self) -> Scheme {
        match self.0.scheme() {
            "http" => Scheme::Http,
            _ => Scheme::Https,
        }
    }

    /// The host to look up, or the address that stands in its place.
    pub(crate) fn host(&self) -> Result<IpAddr, &str> {
        match self.0.host() {
            Some(Host::Ipv4(v4)) => Ok(v4.into()),
            Some(Host::Ipv6(v6)) => Ok(v6.into()),
            Some(Host::Domain(name)) => Err(name),
            None => Err(""),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EndpointUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_URL_BYTES {
            return Err(format!("it has more than {MAX_URL_BYTES} bytes"));
        }
        let url = Url::parse(text).map_err(|error| format!("it is not a URL: {error}"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err("it has to begin with https://".to_owned());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user name or password; go by the signature instead".to_owned());
        }
        if url.fragment().is_some() {
            return Err("it has a fragment (#…), which is never sent".to_owned());
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], scheme: Scheme, address: &str) -> bool {
        let networks = allowed.iter().map(|network| network.parse().unwrap());
        let networks = AllowedNetworks(networks.collect());
        networks.check(scheme, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_the_public_internet_is_reached_and_only_with_tls() {
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(check(&[], Scheme::Https, public), "{public}");
            assert!(!check(&[], Scheme::Http, public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!check(&[], Scheme::Https, special), "{special}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_reached_and_nothing_beside_it() {
        let allowed = ["127.0.0.1/32", "fd00::/8"];
        assert!(check(&allowed, Scheme::Http, "127.0.0.1"));
        assert!(check(&allowed, Scheme::Https, "fd00::1"));
        assert!(!check(&allowed, Scheme::Http, "127.0.0.2"));
        assert!(!check(&allowed, Scheme::Https, "::ffff:127.0.0.1"));
        assert!(!check(&allowed, Scheme::Https, "10.0.0.1"));
    }

    #[test]
    fn a_url_names_a_host_and_holds_no_password() {
        let url: EndpointUrl = "https://hooks.example/in?x=1".parse().unwrap();
        assert_eq!((url.host(), url.port()), (Err("hooks.example"), 443));
        // However an address is written, it is seen as one.
        for loopback in [
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
        ] {
            let url: EndpointUrl = loopback.parse().unwrap();
            assert_eq!(url.host(), Ok(IpAddr::from([127, 0, 0, 1])), "{loopback}");
        }
        for wrong in [
            "hooks.example",
            "ftp://hooks.example/",
            "https://",
            "https://user@hooks.example/",
            "https://:secret@hooks.example/",
            "https://hooks.example/#part",
        ] {
            assert!(wrong.parse::<EndpointUrl>().is_err(), "{wrong}");
        }
        let long = format!("https://hooks.example/{}", "x".repeat(MAX_URL_BYTES));
        assert!(long.parse::<EndpointUrl>().is_err());
    }
}
