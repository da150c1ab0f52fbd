//! The details of a location.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::hours::OpeningHours;
use crate::id::LocationId;

/// The details of a location. They are stored separately, because lists of locations do not need them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationDetails {
    pub id: LocationId,
    pub description: String,
    pub website: Option<Website>,
    pub phone: Option<String>,
    pub socials: Vec<Social>,
    /// In the local time of the location.
    pub hours: OpeningHours,
}

/// A part of a location's details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailsSection {
    Description,
    Website,
    Phone,
    Socials,
    Hours,
}

impl DetailsSection {
    pub const ALL: [Self; 5] =
        [Self::Description, Self::Website, Self::Phone, Self::Socials, Self::Hours];
}

/// An account of the location on a social network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Social {
    pub network: String,
    pub handle: String,
}

/// A web address to which a page can link safely: `http`, `https`, or a host name with no scheme.
///
/// All other addresses are refused, because a link to `javascript:…` would run in the reader's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Website(String);

impl Website {
    /// Maximum length. Browsers and proxies handle longer addresses differently.
    pub const MAX_BYTES: usize = 2000;

    /// Returns the address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the address as a link, with `https://` if it has no scheme.
    pub fn href(&self) -> String {
        match without_scheme(&self.0) {
            Some(_) => self.0.clone(),
            None => format!("https://{}", self.0),
        }
    }
}

impl FromStr for Website {
    type Err = WebsiteError;

    fn from_str(text: &str) -> Result<Self, WebsiteError> {
        let rest = without_scheme(text).unwrap_or(text);
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
        if text.len() <= Self::MAX_BYTES && clean && is_host(host) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WebsiteError)
        }
    }
}

fn without_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))
}

/// Returns whether the text is a host name with an optional port, and without a user:
/// `https://bank.example@evil.example` would be a misleading link.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "80"));
    name.starts_with(char::is_alphanumeric)
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.'))
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Display for Website {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of a text that is not a safe web address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebsiteError;

impl fmt::Display for WebsiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a web address, like https://www.example.com")
    }
}

impl Error for WebsiteError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        for (text, href) in [
            ("https://a.example.com", "https://a.example.com"),
            ("http://a.example.com:8080/x?y#z", "http://a.example.com:8080/x?y#z"),
            ("www.example.com/menu", "https://www.example.com/menu"),
            ("bücher.example.com", "https://bücher.example.com"),
        ] {
            assert_eq!(text.parse::<Website>().unwrap().href(), href);
        }
        for text in [
            "",
            "/",
            "https://",
            "javascript:alert(1)",
            "JavaScript://example.com/%0aalert(1)",
            "data:text/html,x",
            "ftp://example.com",
            "//example.com",
            "https://a@b.example.com",
            "https://a.example.com:port",
            "a b.example.com",
            "\u{1}https://example.com",
            "https:\\\\example.com",
        ] {
            assert_eq!(text.parse::<Website>(), Err(WebsiteError), "{text:?}");
        }
    }
}
