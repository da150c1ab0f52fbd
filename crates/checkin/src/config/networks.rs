//! Lists of networks and of origins.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use reqwest::Url;

/// A list of networks, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Returns whether the list contains the address. An IPv4 address may be written as IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |item: &str| item.parse::<IpAddr>().map(|address| address.to_canonical().into());
        let network = |item: &str| item.parse::<IpNet>().or_else(|_| one(item));
        items(text).map(network).collect::<Result<_, _>>().map(Self).map_err(|_| {
            "must be networks separated by commas, such as 10.0.0.0/8,2001:db8::/32".to_owned()
        })
    }
}

/// A list of origins, separated by commas, as browsers write them in `Origin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Returns the origins.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = |item: &str| {
            let url = Url::parse(item).ok()?;
            let is_web = matches!(url.scheme(), "http" | "https");
            // Another spelling would match no browser's.
            (is_web && !item.contains('*') && url.origin().ascii_serialization() == item)
                .then(|| item.to_owned())
        };
        items(text).map(origin).collect::<Option<_>>().map(Self).ok_or_else(|| {
            "must be origins separated by commas, as browsers write them: https://app.example, \
             without a path, a default port or capital letters"
                .to_owned()
        })
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let networks: Networks =
            "10.0.0.0/8, 2001:db8::/32,192.0.2.1,::ffff:192.0.2.2".parse().unwrap();
        for (address, is_in) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", true),
            ("192.0.2.3", false),
        ] {
            assert_eq!(networks.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert_eq!("".parse(), Ok(Networks::default()));
        for wrong in ["x", "10.0.0.0/33", "10.0.0.0/8;x", "*", "10.0.0.1:80"] {
            assert!(wrong.parse::<Networks>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_are_spelled_as_browsers_do() {
        for right in ["", "https://app.example", "http://localhost:3000,https://[::1]:8443"] {
            assert!(right.parse::<Origins>().is_ok(), "{right}");
        }
        for wrong in [
            "*",
            "null",
            "app.example",
            "https://app.example/",
            "https://APP.example",
            "https://app.example:443",
            "https://*.example",
            "https://a@app.example",
            "file://",
            "ws://app.example",
        ] {
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }
}
