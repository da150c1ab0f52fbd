//! The network that a request came from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;

/// The network that a request came from, as throttles count it: an IPv4 address, or the /64 network
/// of an IPv6 address, because a household usually has a whole /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Returns the network of the connection's other end or, with `trust_proxy`, of the client that
    /// the proxy names.
    ///
    /// Returns `None` if the proxy names no readable address. The proxy's own address is not used
    /// instead: throttles would count all clients as one, and one of them could lock out the
    /// others.
    pub(super) fn of(request: &Request, trust_proxy: bool) -> Option<Self> {
        let peer = || request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let address = if trust_proxy { forwarded_for(request.headers()) } else { peer() };
        address.map(|address| Self(network(address)))
    }

    /// Returns the address, or the first address of the network.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

/// Returns the last item of `X-Forwarded-For`, the only one that the proxy wrote itself.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let lines = headers.get_all("x-forwarded-for").iter();
    let mut items = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    // RFC 9110, 5.6.1: a recipient ignores empty items of a list.
    let last = items.rfind(|item| !item.trim_ascii().is_empty())?;
    str::from_utf8(last).ok().and_then(parse)
}

/// Parses an address in one of the forms that proxies write: bare, with a port, in brackets, with a
/// zone, in quotes. Returns `None` for `unknown` and for `_hidden` (RFC 7239).
fn parse(item: &str) -> Option<IpAddr> {
    let item = item.trim();
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

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: [u8; 4] = [10, 0, 0, 1];

    fn of(lines: &[&str], trust_proxy: bool) -> Option<IpAddr> {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((PROXY, 1))));
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            request.headers_mut().append("x-forwarded-for", line);
        }
        ClientAddress::of(&request, trust_proxy).map(ClientAddress::ip)
    }

    #[test]
    fn every_form_that_proxies_write_is_parsed() {
        for (line, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51234", "203.0.113.7"),
            ("\t 203.0.113.7 ", "203.0.113.7"),
            ("\"203.0.113.7:51234\"", "203.0.113.7"),
            ("9.9.9.9, 203.0.113.7", "203.0.113.7"),
            ("9.9.9.9,203.0.113.7:443, ,", "203.0.113.7"),
            ("unknown, 203.0.113.7", "203.0.113.7"),
            ("caf\u{e9}, 203.0.113.7", "203.0.113.7"),
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
            assert_eq!(of(&[line], true), Some(expected.parse().unwrap()), "{line}");
        }
        let lines = ["9.9.9.9", "203.0.113.7", ", "];
        assert_eq!(of(&lines, true), Some([203, 0, 113, 7].into()), "several lines are one list");
    }

    #[test]
    fn an_address_that_the_proxy_does_not_name_is_unknown() {
        let nothing = [
            "",
            " , ,",
            "unknown",
            "_hidden",
            "_hidden:443",
            "9.9.9.9, unknown",
            "9.9.9.9, caf\u{e9}",
            "203.0.113.7:http",
            "203.0.113.7:99999",
            "203.0.113.256",
            "[203.0.113.7]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "for=203.0.113.7",
            ":443",
        ];
        for line in nothing {
            assert_eq!(of(&[line], true), None, "{line:?}");
        }
        assert_eq!(of(&[], true), None);
    }

    #[test]
    fn without_a_trusted_proxy_the_header_is_ignored() {
        for line in ["203.0.113.7", "nonsense", ""] {
            assert_eq!(of(&[line], false), Some(PROXY.into()), "{line}");
        }
    }
}
