//! The client's address as it leaves the edge: whole, shortened to its network, or not at all.
//! Where it comes from (trusted hops) is the host's business.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of the client's address an event line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressMode {
    Full,
    /// The first 24 bits of IPv4, the first 48 of IPv6; the rest is zero.
    Truncated,
    None,
}

/// Longest text of an IPv6 address with an embedded IPv4 one.
const MAX_TEXT: usize = 45;

/// An address as text, without allocating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressText {
    text: [u8; MAX_TEXT],
    len: usize,
}

impl AddressText {
    pub(crate) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.text.get(..self.len)?).ok()
    }
}

impl Write for AddressText {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        let end = self.len.saturating_add(part.len());
        let free = self.text.get_mut(self.len..end).ok_or(std::fmt::Error)?;
        free.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Reads `203.0.113.7:4711` or `[2001:db8::1]:443`. `None` for anything else (a Unix socket has no
/// address) and where the mode keeps none.
pub(crate) fn kept_address(source: &[u8], mode: AddressMode) -> Option<AddressText> {
    let text = std::str::from_utf8(source).ok()?;
    let (host, _port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?,
        None => host,
    };
    let mut kept = AddressText {
        text: [0; MAX_TEXT],
        len: 0,
    };
    match mode {
        AddressMode::None => return None,
        // The host wrote it from an address: reading it as one again would only cost.
        AddressMode::Full if looks_like_address(host) => kept.write_str(host).ok()?,
        AddressMode::Full => return None,
        AddressMode::Truncated => write!(kept, "{}", network(host.parse().ok()?)).ok()?,
    }
    Some(kept)
}

fn looks_like_address(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    host.starts_with(|first: char| first.is_ascii_hexdigit() || first == ':')
        && host.bytes().all(allowed)
}

fn network(address: IpAddr) -> IpAddr {
    // An IPv4 client of a dual-stack listener: /48 of the mapped form would be ::, all of IPv4.
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(source: &str, mode: AddressMode) -> Option<String> {
        let text = kept_address(source.as_bytes(), mode)?;
        Some(text.as_str().unwrap().to_owned())
    }

    #[test]
    fn the_port_never_leaves_the_edge() {
        let full = |source| kept(source, AddressMode::Full);
        assert_eq!(full("203.0.113.7:4711").unwrap(), "203.0.113.7");
        assert_eq!(full("[2001:db8::1]:443").unwrap(), "2001:db8::1");
        let longest = "[2001:0db8:1111:2222:3333:4444:255.255.255.255]:65535";
        assert_eq!(
            full(longest).unwrap(),
            "2001:0db8:1111:2222:3333:4444:255.255.255.255"
        );
    }

    #[test]
    fn truncated_keeps_the_network_only() {
        let truncated = |source| kept(source, AddressMode::Truncated);
        assert_eq!(truncated("203.0.113.7:1").unwrap(), "203.0.113.0");
        assert_eq!(
            truncated("[2001:db8:aaaa:bbbb::1]:1").unwrap(),
            "2001:db8:aaaa::"
        );
        assert_eq!(truncated("[::ffff:203.0.113.7]:1").unwrap(), "203.0.113.0");
    }

    #[test]
    fn none_keeps_nothing() {
        assert_eq!(kept("203.0.113.7:4711", AddressMode::None), None);
    }

    #[test]
    fn what_is_no_ip_address_is_not_kept() {
        for source in [
            "",
            "/run/socket",
            "203.0.113.7",
            "[::1",
            "a.example:80",
            "[::1%eth0]:1",
        ] {
            assert_eq!(kept(source, AddressMode::Full), None, "{source}");
        }
        assert!(kept_address(b"\xFF:1", AddressMode::Full).is_none());
    }
}
