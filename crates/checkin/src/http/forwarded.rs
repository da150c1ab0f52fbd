//! Reads the header `Forwarded` (RFC 7239).

use std::net::IpAddr;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderValue};

use super::address::parse;

/// What a proxy says of the connection on which it got the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hop {
    /// The other end, if the proxy names a readable address.
    pub(super) address: Option<IpAddr>,
    /// The scheme.
    pub(super) proto: Option<HeaderValue>,
    /// The `Host`.
    pub(super) host: Option<HeaderValue>,
}

/// Returns the hops in their order, the nearest proxy's last. One that cannot be read has no address.
pub(super) fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let lines = headers.get_all(FORWARDED).iter().map(|line| line.to_str().unwrap_or("?"));
    let elements = lines.flat_map(|line| split(line, ','));
    elements.filter(|element| !element.trim().is_empty()).map(hop).collect()
}

fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(element, ';') {
        let Some((name, value)) = pair.split_once('=') else { return Hop::default() };
        let value = unquoted(value.trim());
        let text = || HeaderValue::from_str(&value).ok();
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.address = parse(value.as_bytes()),
            "proto" => hop.proto = text(),
            "host" => hop.host = text(),
            _ => {}
        }
    }
    hop
}

/// Splits at a character outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        let is_end = c == separator && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        is_end
    })
}

/// Returns the text of a quoted string, or a token as it is.
fn unquoted(value: &str) -> String {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let Some(quoted) = quoted else { return value.to_owned() };
    let mut characters = quoted.chars();
    let next = || match characters.next()? {
        '\\' => characters.next(),
        other => Some(other),
    };
    std::iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let text = |value: &Option<HeaderValue>| {
            value.as_ref().map_or("-", |value| value.to_str().unwrap()).to_owned()
        };
        let said = |hop: &Hop| {
            let address = hop.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
            format!("{address} {} {}", text(&hop.proto), text(&hop.host))
        };
        hops(&headers).iter().map(said).collect()
    }

    #[test]
    fn every_form_of_the_standard_is_read() {
        for (lines, expected) in [
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"][..], &["192.0.2.60 http -"][..]),
            (&["For=\"[2001:db8:cafe::17]:4711\""], &["2001:db8:cafe::17 - -"]),
            (&["for=192.0.2.43, for=198.51.100.17"], &["192.0.2.43 - -", "198.51.100.17 - -"]),
            (
                &["for=192.0.2.43", "for=198.51.100.17;host=a:1"],
                &["192.0.2.43 - -", "198.51.100.17 - a:1"],
            ),
            (&["for=\"192.0.2.43:47011\" ; PROTO = https"], &["192.0.2.43 https -"]),
            (&["for=\"_gazonk\""], &["- - -"]),
            (&["for=unknown;proto=https"], &["- https -"]),
            (&["for=\"192.0.2.43:_port\""], &["- - -"]),
            (&["for=\"[2001:db8::1]:_port\""], &["2001:db8::1 - -"]),
            (&["host=\"a,b;c\";for=192.0.2.1"], &["192.0.2.1 - a,b;c"]),
            (&["host=\"a\\\",for=9.9.9.9\";for=192.0.2.1"], &["192.0.2.1 - a\",for=9.9.9.9"]),
            (&["for=192.0.2.1, ,"], &["192.0.2.1 - -"]),
            (&["nonsense", "for=192.0.2.1"], &["- - -", "192.0.2.1 - -"]),
            (&["caf\u{e9}"], &["- - -"]),
            (&[], &[]),
        ] {
            assert_eq!(read(lines), expected, "{lines:?}");
        }
    }
}
