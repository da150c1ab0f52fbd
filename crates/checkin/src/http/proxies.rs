//! The proxies in front of a service, and what they say about the client.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::ClientAddress;
use super::address::parse;
use super::forwarded::{self, Hop};
use crate::config::{Networks, ProxyHeaders};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Which peers are proxies, and in which headers they describe the client.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// `--trust-proxy`: every peer is a proxy, unless `networks` names them.
    pub is_any: bool,
    /// `--trusted-proxies`.
    pub networks: Networks,
    /// `--proxy-headers`.
    pub headers: ProxyHeaders,
}

impl Proxies {
    /// Returns whether headers of proxies are trusted at all.
    #[must_use]
    pub fn are_trusted(&self) -> bool {
        self.is_any || !self.networks.is_empty()
    }

    /// Returns whether a peer is a trusted proxy.
    #[must_use]
    pub fn contain(&self, peer: IpAddr) -> bool {
        if self.networks.is_empty() { self.is_any } else { self.networks.contains(peer) }
    }

    /// Returns the address of the client, and leaves in the request only those headers about it that
    /// a trusted proxy wrote. Whatever reads `X-Forwarded-Proto` or `X-Forwarded-Host` later finds
    /// the values of the client's own connection, or nothing.
    ///
    /// Returns `None` if the proxy names no readable address. The proxy's own address is not used
    /// instead: throttles would count all clients as one, and one of them could lock out the
    /// others.
    pub(crate) fn receive(&self, request: &mut Request) -> Option<ClientAddress> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        if !self.are_trusted() {
            return peer.map(ClientAddress::new);
        }
        let headers = request.headers_mut();
        if !peer.is_none_or(|peer| self.contain(peer)) {
            replace(headers, &Hop::default());
            return peer.map(ClientAddress::new);
        }
        let client = match self.headers {
            // Express takes the first item of the other two headers, and so do we.
            ProxyHeaders::XForwarded if self.networks.is_empty() => {
                return last(headers, &FORWARDED_FOR).and_then(parse).map(ClientAddress::new);
            }
            ProxyHeaders::XForwarded => self.nearest(&x_forwarded(headers)),
            ProxyHeaders::Forwarded => self.nearest(&forwarded::hops(headers)),
        };
        replace(headers, &client);
        client.address.map(ClientAddress::new)
    }

    /// Returns the hop of the client: the first one from the right that is not a trusted proxy. If all
    /// are, the client is one of them, the leftmost.
    fn nearest(&self, hops: &[Hop]) -> Hop {
        let is_proxy = |hop: &&Hop| hop.address.is_some_and(|at| self.networks.contains(at));
        let client = hops.iter().rev().find(|hop| !is_proxy(hop));
        client.or(hops.first()).cloned().unwrap_or_default()
    }
}

/// Returns the hops of `X-Forwarded-For`. A proxy that appends to the other two headers writes as many
/// items; of a shorter list, whose proxy replaces it, the first item is used.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let addresses = items(headers, &FORWARDED_FOR);
    let (protos, hosts) = (items(headers, &FORWARDED_PROTO), items(headers, &FORWARDED_HOST));
    let behind = |list: &[&[u8]], at: usize| {
        let from_right = addresses.len() - at;
        let item = list.len().checked_sub(from_right).and_then(|at| list.get(at));
        item.or(list.first()).and_then(|item| HeaderValue::from_bytes(item).ok())
    };
    let hop = |(at, address): (usize, &&[u8])| Hop {
        address: parse(address),
        proto: behind(&protos, at),
        host: behind(&hosts, at),
    };
    addresses.iter().enumerate().map(hop).collect()
}

/// Writes what is known of the client's connection.
fn replace(headers: &mut HeaderMap, client: &Hop) {
    headers.remove(FORWARDED_FOR);
    for (name, value) in [(FORWARDED_PROTO, &client.proto), (FORWARDED_HOST, &client.host)] {
        match value {
            Some(value) => drop(headers.insert(name, value.clone())),
            None => drop(headers.remove(name)),
        }
    }
}

/// Returns the items of a list that proxies write.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().flat_map(items_of).collect()
}

/// Returns the last item of such a list.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers.get_all(name).iter().flat_map(items_of).next_back()
}

/// Returns the items of a line. A recipient ignores empty ones (RFC 9110, 5.6.1).
fn items_of(line: &HeaderValue) -> impl DoubleEndedIterator<Item = &[u8]> {
    let items = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    items.filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const PROXY: [u8; 4] = [10, 0, 0, 1];

    fn request(peer: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Body::empty());
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value);
        }
        request
    }

    /// The address, the scheme and the host that are left of the request.
    fn received(proxies: &Proxies, mut request: Request) -> [String; 3] {
        let address = proxies.receive(&mut request).map(ClientAddress::ip);
        let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        [address, header(&FORWARDED_PROTO).to_owned(), header(&FORWARDED_HOST).to_owned()]
    }

    fn any() -> Proxies {
        Proxies { is_any: true, ..Proxies::default() }
    }

    fn chain(headers: ProxyHeaders) -> Proxies {
        let networks = "10.0.0.0/8,2001:db8:1::/48".parse().unwrap();
        Proxies { is_any: false, networks, headers }
    }

    #[test]
    fn of_any_proxy_the_last_address_counts() {
        for (lines, address) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["9.9.9.9, 203.0.113.7"], "203.0.113.7"),
            (&["9.9.9.9,203.0.113.7:443, ,"], "203.0.113.7"),
            (&["unknown, 203.0.113.7"], "203.0.113.7"),
            (&["caf\u{e9}, 203.0.113.7"], "203.0.113.7"),
            (&["9.9.9.9", "203.0.113.7", ", "], "203.0.113.7"),
            (&["9.9.9.9, unknown"], "unknown"),
            (&["9.9.9.9, caf\u{e9}"], "unknown"),
            (&["", " , ,"], "unknown"),
            (&[], "unknown"),
        ] {
            let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let request = request("10.0.0.1", &headers);
            assert_eq!(received(&any(), request)[0], address, "{lines:?}");
        }
    }

    #[test]
    fn without_a_trusted_proxy_the_headers_are_ignored() {
        for line in ["203.0.113.7", "nonsense", ""] {
            let request = request("10.0.0.1", &[("x-forwarded-for", line)]);
            assert_eq!(received(&Proxies::default(), request)[0], "10.0.0.1", "{line}");
        }
    }

    #[test]
    fn the_client_is_the_first_hop_that_is_no_proxy() {
        let proxies = chain(ProxyHeaders::XForwarded);
        for (peer, addresses, proto, host, expected) in [
            ("10.0.0.1", "203.0.113.7", "https", "a", ["203.0.113.7", "https", "a"]),
            ("10.0.0.1", "203.0.113.7, 10.0.0.2", "https", "a", ["203.0.113.7", "https", "a"]),
            (
                "10.0.0.1",
                "203.0.113.7, 10.0.0.2",
                "https, http",
                "a, b",
                ["203.0.113.7", "https", "a"],
            ),
            (
                "10.0.0.1",
                "9.9.9.9, 203.0.113.7, 10.0.0.2",
                "https, http, http",
                "",
                ["203.0.113.7", "http", ""],
            ),
            (
                "10.0.0.1",
                "9.9.9.9, 203.0.113.7",
                "https, http",
                "x, y",
                ["203.0.113.7", "http", "y"],
            ),
            (
                "::ffff:10.0.0.1",
                "[2001:db8::7]:443, [2001:db8:1::2]:80",
                "https",
                "",
                ["2001:db8::", "https", ""],
            ),
            // All are proxies: one of them asks for itself.
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "http", "", ["10.0.0.3", "http", ""]),
            // What is not an address may be anybody.
            ("10.0.0.1", "203.0.113.7, unknown, 10.0.0.2", "https", "", ["unknown", "https", ""]),
            ("10.0.0.1", "203.0.113.7, _hidden", "https", "", ["unknown", "https", ""]),
            ("10.0.0.1", "", "https", "a", ["unknown", "", ""]),
            // A peer that is no proxy may write what it wants.
            ("203.0.113.9", "9.9.9.9", "https", "a", ["203.0.113.9", "", ""]),
            ("2001:db8:2::1", "9.9.9.9", "https", "a", ["2001:db8:2::", "", ""]),
        ] {
            let headers = [
                ("x-forwarded-for", addresses),
                ("x-forwarded-proto", proto),
                ("x-forwarded-host", host),
                ("forwarded", "for=8.8.8.8;proto=ftp;host=evil"),
            ];
            let left = received(&proxies, request(peer, &headers));
            assert_eq!(left, expected, "{peer} {addresses} {proto} {host}");
        }
    }

    #[test]
    fn forwarded_is_read_instead_if_the_proxies_write_it() {
        let one = Proxies { headers: ProxyHeaders::Forwarded, ..any() };
        let many = chain(ProxyHeaders::Forwarded);
        for (lines, of_one, of_many) in [
            (
                "for=203.0.113.7;proto=https;host=a",
                ["203.0.113.7", "https", "a"],
                ["203.0.113.7", "https", "a"],
            ),
            (
                "for=9.9.9.9;proto=http, for=\"203.0.113.7:80\";proto=https;host=a, for=10.0.0.2;proto=http;host=b",
                ["10.0.0.2", "http", "b"],
                ["203.0.113.7", "https", "a"],
            ),
            ("for=_hidden;proto=https", ["unknown", "https", ""], ["unknown", "https", ""]),
            ("nonsense", ["unknown", "", ""], ["unknown", "", ""]),
            ("", ["unknown", "", ""], ["unknown", "", ""]),
        ] {
            let headers = [
                ("forwarded", lines),
                ("x-forwarded-for", "8.8.8.8"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil"),
            ];
            assert_eq!(received(&one, request("10.0.0.1", &headers)), of_one, "{lines}");
            assert_eq!(received(&many, request("10.0.0.1", &headers)), of_many, "{lines}");
            let stranger = request("203.0.113.9", &headers);
            assert_eq!(received(&many, stranger), ["203.0.113.9", "", ""], "{lines}");
        }
    }

    #[test]
    fn the_connection_limit_knows_the_proxies() {
        assert!(any().contain(PROXY.into()) && !Proxies::default().contain(PROXY.into()));
        let proxies = Proxies { is_any: true, ..chain(ProxyHeaders::XForwarded) };
        assert!(proxies.contain(PROXY.into()) && !proxies.contain([11, 0, 0, 1].into()));
    }
}
