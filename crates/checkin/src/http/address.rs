//! Who is asking.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};

/// The network that a request came from, as throttles count it: an IPv4 address, or the /64 of an
/// IPv6 address, of which one household has all the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The other end of the connection, or what a trusted proxy says: the last entry of
    /// `X-Forwarded-For`, the only one that the proxy wrote itself.
    pub(super) fn of(request: &Request, trust_proxy: bool) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let forwarded = || {
            let header = request.headers().get_all("x-forwarded-for").iter().next_back()?;
            header.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let address = trust_proxy.then(forwarded).flatten().or(peer);
        Self(network(address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))))
    }

    /// The address, or the first one of the network.
    pub(super) fn ip(self) -> IpAddr {
        self.0
    }
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

    use super::*;

    fn of(forwarded: &str, trust_proxy: bool) -> ClientAddress {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        ClientAddress::of(&request, trust_proxy)
    }

    #[test]
    fn one_household_is_one_address() {
        assert_eq!(of("2001:db8::1", true), of("2001:0DB8:0:0:ffff::2", true));
        assert_ne!(of("2001:db8::1", true), of("2001:db8:0:1::1", true));
        assert_eq!(of("::ffff:1.2.3.4", true), of("1.2.3.4", true));
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_own_entry() {
        assert_eq!(of("1.2.3.4", false), of("5.6.7.8", false));
        assert_eq!(of("9.9.9.9, 1.2.3.4", true), of("1.2.3.4", true));
        assert_eq!(of("nonsense", true), of("", false));
    }
}
