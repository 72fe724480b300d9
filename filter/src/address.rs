//! The client's address as it leaves the edge: whole, shortened to its network, or not at all.
//! Where it comes from (trusted hops) is the host's business.

use std::cell::Cell;
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

impl AddressText {
    fn push(&mut self, part: &[u8]) -> Option<()> {
        let end = self.len.saturating_add(part.len());
        self.text.get_mut(self.len..end)?.copy_from_slice(part);
        self.len = end;
        Some(())
    }
}

impl Write for AddressText {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.push(part.as_bytes()).ok_or(std::fmt::Error)
    }
}

/// Where the client's address is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressFrom {
    /// From the proxy's own property of the connection, which nobody can forge.
    Connection,
    /// From the header that a proxy with `use_remote_address` writes over on every request: it
    /// comes with the others, where the property is a call of its own.
    Header,
}

/// One request in this many is checked against the connection, the first one included.
const CHECK_EVERY: u32 = 256;

/// Which of the two to believe. A header that once differs from what the proxy says is the client's
/// own invention, and none is believed any more.
#[derive(Debug)]
pub(crate) struct AddressSource {
    from: Cell<AddressFrom>,
    until_check: Cell<u32>,
}

/// How to come by one client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    Believe(&'a [u8]),
    Connection,
    /// Ask for the connection's and tell [`AddressSource::differs`] if this is another.
    Compare(&'a [u8]),
}

impl AddressSource {
    pub(crate) fn new(from: AddressFrom) -> Self {
        Self {
            from: Cell::new(from),
            until_check: Cell::new(0),
        }
    }

    pub(crate) fn ask<'a>(&self, header: Option<&'a [u8]>) -> Ask<'a> {
        match (self.from.get(), header) {
            (AddressFrom::Header, Some(header)) => match self.until_check.get().checked_sub(1) {
                Some(left) => {
                    self.until_check.set(left);
                    Ask::Believe(header)
                }
                None => {
                    self.until_check.set(CHECK_EVERY - 1);
                    Ask::Compare(header)
                }
            },
            // A proxy that considers the client one of its own network leaves the header out.
            (AddressFrom::Header, None) | (AddressFrom::Connection, _) => Ask::Connection,
        }
    }

    pub(crate) fn differs(&self) {
        self.from.set(AddressFrom::Connection);
    }
}

/// The host in `203.0.113.7:4711` or `[2001:db8::1]:443`; `None` for what has no port, such as a
/// Unix socket.
pub(crate) fn host_of(source: &[u8]) -> Option<&[u8]> {
    let colon = source.iter().rposition(|byte| *byte == b':')?;
    let host = source.get(..colon)?;
    match host.strip_prefix(b"[") {
        Some(v6) => v6.strip_suffix(b"]"),
        None => Some(host),
    }
}

/// What is kept of an address. `None` for anything that is no IP address, and where the mode keeps
/// none.
pub(crate) fn kept_address(host: &[u8], mode: AddressMode) -> Option<AddressText> {
    let mut kept = AddressText {
        text: [0; MAX_TEXT],
        len: 0,
    };
    match mode {
        AddressMode::None => return None,
        // The host wrote it from an address: reading it as one again would only cost.
        AddressMode::Full if looks_like_address(host) => kept.push(host)?,
        AddressMode::Full => return None,
        AddressMode::Truncated => {
            let host = std::str::from_utf8(host).ok()?;
            write!(kept, "{}", network(host.parse().ok()?)).ok()?;
        }
    }
    Some(kept)
}

fn looks_like_address(host: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    host.iter().any(|byte| matches!(byte, b'.' | b':')) && host.iter().all(allowed)
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
        let text = kept_address(host_of(source.as_bytes())?, mode)?;
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
        assert!(kept_address(b"\xFF", AddressMode::Full).is_none());
    }

    #[test]
    fn a_header_is_checked_first_and_now_and_then() {
        let source = AddressSource::new(AddressFrom::Header);
        let header = Some(b"203.0.113.7".as_slice());
        let compared = |source: &AddressSource| matches!(source.ask(header), Ask::Compare(_));
        assert!(compared(&source));
        let checks = (1..=4 * CHECK_EVERY).filter(|_| compared(&source)).count();
        assert_eq!(checks, 4);
        assert_eq!(source.ask(None), Ask::Connection);
    }

    #[test]
    fn after_one_lie_no_header_is_believed() {
        let source = AddressSource::new(AddressFrom::Header);
        source.differs();
        for _ in 0..2 * CHECK_EVERY {
            assert_eq!(source.ask(Some(b"203.0.113.7")), Ask::Connection);
        }
    }
}
