//! Sets of networks, asked for addresses of which only the beginning may be known.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixSet;

#[derive(Clone, Default)]
pub(super) struct Networks {
    v4: PrefixSet<Ipv4Net>,
    v6: PrefixSet<Ipv6Net>,
}

impl Networks {
    /// Whether the address lies in one of the networks for certain: of a truncated address only
    /// the network it stands for is known, and that whole network must lie inside.
    pub(super) fn hold(&self, address: IpAddr) -> bool {
        match known_part(address) {
            IpNet::V4(net) => self.v4.get_lpm(&net).is_some(),
            IpNet::V6(net) => self.v6.get_lpm(&net).is_some(),
        }
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let mut all = Self::default();
        for network in networks {
            match network.trunc() {
                IpNet::V4(net) => {
                    all.v4.insert(net);
                }
                IpNet::V6(net) => {
                    all.v6.insert(net);
                }
            }
        }
        all
    }
}

/// The network around an address that is compared between events: a /24 or /48, as much as a
/// truncated address has, so that truncating changes no comparison.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::from((v4.to_bits() & !0xFF).to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() & (u128::MAX << 80)).to_be_bytes()),
    }
}

/// Whether an address stands for its whole network. That a machine really has the first address of
/// its network is rare, and then it is only known less well.
pub(super) fn is_truncated(address: IpAddr) -> bool {
    neighbourhood(address) == address
}

fn known_part(address: IpAddr) -> IpNet {
    let truncated = is_truncated(address);
    match address {
        IpAddr::V4(v4) => Ipv4Net::new_assert(v4, if truncated { 24 } else { 32 }).into(),
        IpAddr::V6(v6) => Ipv6Net::new_assert(v6, if truncated { 48 } else { 128 }).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(networks: &[&str], address: &str) -> bool {
        let networks: Networks = networks
            .iter()
            .map(|text| text.parse::<IpNet>().unwrap())
            .collect();
        networks.hold(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_found_in_their_networks() {
        let networks = ["40.92.0.0/15", "2a01:111:f400::/48"];
        assert!(holds(&networks, "40.93.255.255"));
        assert!(!holds(&networks, "40.94.0.1"));
        assert!(holds(&networks, "2a01:111:f400::1"));
        assert!(!holds(&networks, "2a01:111:f401::1"));
    }

    #[test]
    fn a_truncated_address_is_found_where_its_prefix_decides() {
        assert!(holds(&["40.92.0.0/15"], "40.92.7.0"));
        assert!(holds(&["2a01:111:f400::/48"], "2a01:111:f400::"));
        assert!(!holds(&["192.0.2.0/28"], "192.0.2.0"));
        assert!(!holds(&["192.0.2.7/32"], "192.0.2.0"));
        assert!(holds(&["192.0.2.7/32"], "192.0.2.7"));
    }
}
