//! The network that a request came from.

use std::net::{IpAddr, Ipv6Addr};

/// The network that a request came from, as throttles count it: an IPv4 address, or the /64 network
/// of an IPv6 address, because a household usually has a whole /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Returns the network of an address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    /// Returns the address, or the first address of the network.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

/// Parses an address in one of the forms that proxies write: bare, with a port, in brackets, with a
/// zone, in quotes. Returns `None` for `unknown` and for `_hidden` (RFC 7239).
pub(super) fn parse(item: &[u8]) -> Option<IpAddr> {
    let item = str::from_utf8(item).ok()?.trim();
    let item = item.strip_prefix('"').and_then(|item| item.strip_suffix('"')).unwrap_or(item);
    if let Some(bracketed) = item.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let is_end = rest.is_empty() || rest.starts_with(':');
        return without_zone(address).parse().ok().map(IpAddr::V6).filter(|_| is_end);
    }
    let item = without_zone(item);
    item.parse().ok().or_else(|| {
        let (address, port) = item.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        address.parse().ok()
    })
}

fn without_zone(address: &str) -> &str {
    address.split_once('%').map_or(address, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(item: &str) -> Option<IpAddr> {
        parse(item.as_bytes()).map(|address| ClientAddress::new(address).ip())
    }

    #[test]
    fn every_form_that_proxies_write_is_parsed() {
        for (item, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51234", "203.0.113.7"),
            ("\t 203.0.113.7 ", "203.0.113.7"),
            ("\"203.0.113.7:51234\"", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:DB8:0:0:ffff::2", "2001:db8::"),
            ("[2001:db8::1]", "2001:db8::"),
            ("[2001:db8::1]:443", "2001:db8::"),
            ("\"[2001:db8::1]:443\"", "2001:db8::"),
            ("[2001:db8::1]:_port", "2001:db8::"),
            ("2001:db8:0:0:1:2:3:4:51234", "2001:db8::"),
            ("fe80::1%eth0", "fe80::"),
            ("[fe80::1%25eth0]:443", "fe80::"),
        ] {
            assert_eq!(of(item), Some(expected.parse().unwrap()), "{item}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_unknown() {
        for item in [
            "",
            "unknown",
            "_hidden",
            "_hidden:443",
            "203.0.113.7:http",
            "203.0.113.7:99999",
            "203.0.113.256",
            "[203.0.113.7]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "for=203.0.113.7",
            ":443",
        ] {
            assert_eq!(of(item), None, "{item:?}");
        }
    }
}
