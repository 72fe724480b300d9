//! Where the requests of large services come from.

use std::net::IpAddr;

use super::chance::address;
use super::parameters::Network;

/// A service that loads on behalf of its users.
#[derive(Clone, Copy)]
pub(super) enum Service {
    AppleRelay,
    GoogleProxy,
    YahooProxy,
    OutlookWeb,
    Chats,
}

/// The `number`th of a service's addresses.
pub(super) fn of_service(service: Service, number: u32) -> Option<IpAddr> {
    let networks: &[&str] = match service {
        Service::AppleRelay => &["172.224.224.0/20", "104.28.32.0/19", "146.75.128.0/17"],
        Service::GoogleProxy => &["66.249.80.0/20", "74.125.208.0/20"],
        Service::YahooProxy => &["98.137.64.0/20", "87.248.116.0/22"],
        Service::OutlookWeb => &["20.110.0.0/16", "40.74.0.0/16"],
        Service::Chats => &["157.240.0.0/17", "149.154.160.0/20", "3.80.0.0/16"],
    };
    let parse = |text: &&str| Network::try_from((*text).to_owned()).ok();
    let networks: Option<Vec<Network>> = networks.iter().map(parse).collect();
    address(&networks?, number)
}
