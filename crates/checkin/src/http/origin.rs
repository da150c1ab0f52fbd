//! Finds out where a request came from: over TLS or not, from our own page or from another site,
//! from a user or from a prefetching browser.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Url;

use super::{ClientAddress, Problem};

/// The headers with which browsers mark requests that the user did not make (prefetch), the newest
/// first.
const PREFETCH_HEADERS: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// Where a request came from, as the middleware stack found out. It is one extension of the request,
/// because each takes a block of memory.
#[derive(Clone, Copy, Debug)]
pub struct RequestOrigin {
    /// The client's address, if it is known.
    pub address: Option<ClientAddress>,
    /// Whether a page of another site sent the request.
    pub(super) is_cross_site: bool,
    /// Whether a trusted proxy reports TLS for the client's connection.
    pub over_tls: bool,
}

/// The extractor of the network address that a request came from, if it is known.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub Option<IpAddr>);

impl ClientIp {
    /// Returns the address of a request.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let origin = parts.extensions.get::<RequestOrigin>();
        Self(origin.and_then(|origin| origin.address).map(ClientAddress::ip))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The extractor of a GET route that changes something. It refuses requests from pages of other
/// sites, which the cross-site guard lets pass for safe methods, and requests that a browser
/// prefetches.
#[derive(Clone, Copy, Debug)]
pub struct Deliberate;

impl<S: Sync> FromRequestParts<S> for Deliberate {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if is_prefetch(&parts.headers) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "a browser must not prefetch this"));
        }
        match parts.extensions.get() {
            Some(RequestOrigin { is_cross_site: false, .. }) => Ok(Self),
            _ => Err(Problem::cross_site()),
        }
    }
}

/// Returns whether a method changes nothing (RFC 9110, 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Returns whether a page of another site sent this request. A client that sends neither of the two
/// headers is not a page.
pub(super) fn is_cross_site(request: &Request, trust_proxy: bool) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    match site.filter(|site| !site.is_empty()) {
        Some(site) => site != b"same-origin" && site != b"none",
        None => {
            request.headers().contains_key(ORIGIN)
                && is_other_origin(request, trust_proxy).unwrap_or(true)
        }
    }
}

/// Returns whether a trusted proxy reports TLS for the client's connection. The first item counts,
/// as in Express, because it is about the first connection.
pub(super) fn came_over_tls(headers: &HeaderMap, trust_proxy: bool) -> bool {
    trust_proxy && forwarded(headers, "x-forwarded-proto").is_some_and(is("https"))
}

/// Returns whether the `Origin` differs from the address that the request was sent to, or `None` if
/// one of them cannot be read.
///
/// Unless a trusted proxy reports it, it is unknown whether TLS ended at a proxy. The scheme of the
/// `Origin` is used then.
fn is_other_origin(request: &Request, trust_proxy: bool) -> Option<bool> {
    let headers = request.headers();
    let origin = http_url(only(headers, ORIGIN.as_str())?)?;
    let forwarded = |name| trust_proxy.then(|| forwarded(headers, name)).flatten();
    let scheme = forwarded("x-forwarded-proto").unwrap_or(origin.scheme());
    let host = request.uri().authority().map(Authority::as_str);
    let host = forwarded("x-forwarded-host").or(host).or_else(|| only(headers, HOST.as_str()))?;
    let own = http_url(&format!("{}://{host}", scheme.to_ascii_lowercase()))?;
    Some(origin.origin() != own.origin())
}

/// Parses the URL of an origin, which has no path and no user.
fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_http = matches!(url.scheme(), "http" | "https");
    let is_bare = text.matches('/').count() == 2 && !text.contains(['@', '?', '#', '\\']);
    (is_http && is_bare).then_some(url)
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let lines = PREFETCH_HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let mut words = lines.filter_map(|line| line.to_str().ok()).flat_map(|l| l.split([';', ',']));
    words.any(|word| ["prefetch", "prerender", "preview"].iter().any(|ahead| is(ahead)(word)))
}

/// Returns the first item of a list that proxies write.
fn forwarded<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.next()?.split(',').next().map(str::trim).filter(|item| !item.is_empty())
}

/// Returns the value of a header that appears once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().filter(|_| lines.next().is_none());
    line?.to_str().ok()
}

fn is(word: &str) -> impl Fn(&str) -> bool {
    move |item| item.trim().eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri("/logout");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn sec_fetch_site_is_used_before_the_origin() {
        for (site, origin, expected) in [
            (None, None, false),
            (Some("same-origin"), None, false),
            (Some("none"), None, false),
            (Some("cross-site"), None, true),
            (Some("same-site"), None, true),
            (Some("cross-site"), Some("http://here:1"), true),
            (Some("same-origin"), Some("null"), false),
            (Some(""), Some("http://there"), true),
            (None, Some("http://here:1"), false),
            (None, Some("http://there"), true),
            (None, Some("null"), true),
            (None, Some(""), true),
        ] {
            let mut headers = vec![("host", "here:1")];
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(is_cross_site(&request(&headers), false), expected, "{headers:?}");
        }
    }

    #[test]
    fn origins_are_compared_as_origins() {
        for (origin, host, is_own) in [
            ("http://shop.example", "shop.example", true),
            ("http://shop.example", "shop.example:80", true),
            ("http://shop.example:80", "shop.example", true),
            ("https://shop.example", "shop.example:443", true),
            ("https://shop.example:443", "shop.example", true),
            ("https://shop.example", "shop.example", true),
            ("http://shop.example", "SHOP.Example", true),
            ("http://SHOP.example", "shop.example:80", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]", "[0:0:0:0:0:0:0:1]:80", true),
            ("http://xn--bcher-kva.example", "xn--bcher-kva.example", true),
            ("http://shop.example:8080", "shop.example", false),
            ("http://shop.example", "shop.example:8080", false),
            ("http://shop.example", "shop.example:443", false),
            ("https://shop.example", "shop.example:80", false),
            ("http://www.shop.example", "shop.example", false),
            ("http://shop.example", "www.shop.example", false),
            ("http://shop.example.evil.example", "shop.example", false),
            ("http://shop.example.", "shop.example", false),
            ("http://shop.example@evil.example", "shop.example", false),
            ("http://evil.example/shop.example", "evil.example", false),
            ("http://shop.example http://shop.example", "shop.example", false),
            ("ftp://shop.example", "shop.example", false),
            ("chrome-extension://shop.example", "shop.example", false),
            ("file://", "shop.example", false),
            ("shop.example", "shop.example", false),
            ("null", "null", false),
            ("http://shop.example", "", false),
        ] {
            let request = request(&[("origin", origin), ("host", host)]);
            assert_eq!(is_cross_site(&request, false), !is_own, "{origin} {host}");
            assert_eq!(is_cross_site(&request, true), !is_own, "{origin} {host}");
        }
        let twice = [("origin", "http://a"), ("origin", "http://a"), ("host", "a")];
        assert!(is_cross_site(&request(&twice), false));
    }

    #[test]
    fn a_trusted_proxy_names_scheme_and_host() {
        let of_proxy = [
            ("https://shop.example", "https", "", true),
            ("https://shop.example", " HTTPS , http", "", true),
            ("http://shop.example", "https", "", false),
            ("https://shop.example", "http", "", false),
            ("https://out.example", "https", "out.example", true),
            ("https://out.example", "https", "out.example:443, 10.0.0.1", true),
            ("https://shop.example", "https", "out.example", false),
        ];
        for (origin, scheme, host, is_own) in of_proxy {
            let mut headers =
                vec![("origin", origin), ("host", "shop.example"), ("x-forwarded-proto", scheme)];
            if !host.is_empty() {
                headers.push(("x-forwarded-host", host));
            }
            assert_eq!(is_cross_site(&request(&headers), true), !is_own, "{headers:?}");
            let is_host = origin.ends_with("shop.example");
            assert_eq!(is_cross_site(&request(&headers), false), !is_host, "{headers:?}");
        }
    }

    #[test]
    fn the_address_of_the_request_line_wins_over_the_host() {
        let mut request = request(&[("origin", "http://shop.example"), ("host", "other.example")]);
        *request.uri_mut() = "http://shop.example:80/logout".parse().unwrap();
        assert!(!is_cross_site(&request, false));
    }

    #[test]
    fn tls_is_reported_by_a_trusted_proxy() {
        for (value, expected) in
            [("https", true), (" HTTPS ", true), ("https, http", true), ("http, https", false)]
        {
            let headers = request(&[("x-forwarded-proto", value)]).headers().clone();
            assert_eq!(came_over_tls(&headers, true), expected, "{value}");
            assert!(!came_over_tls(&headers, false), "{value}");
        }
        assert!(!came_over_tls(&HeaderMap::new(), true));
    }

    #[test]
    fn prefetches_are_recognised() {
        for (name, value, expected) in [
            ("sec-purpose", "prefetch", true),
            ("sec-purpose", "prefetch;prerender", true),
            ("sec-purpose", "prefetch; anonymous-client-ip", true),
            ("purpose", "Prefetch", true),
            ("x-moz", "prefetch", true),
            ("x-purpose", "preview", true),
            ("sec-purpose", "", false),
            ("purpose", "none", false),
            ("accept", "prefetch", false),
        ] {
            assert_eq!(is_prefetch(request(&[(name, value)]).headers()), expected, "{name}");
        }
    }
}
