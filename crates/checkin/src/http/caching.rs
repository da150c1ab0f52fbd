//! Responses that clients may cache and revalidate.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Problem;

/// The number of bytes of the body's hash in an entity tag.
const TAG_BYTES: usize = 16;

/// The time that a response may be cached.
#[derive(Clone, Copy, Debug)]
pub struct Cached(Duration);

impl Cached {
    /// Creates a time in seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Creates a time in minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// Returns the value as JSON, or 304 if the client has it already.
    pub fn answer(self, headers: &HeaderMap, value: &impl Serialize) -> Response {
        match Cacheable::of(value) {
            Ok(value) => value.answer(self, headers),
            Err(_) => Problem::internal().into_response(),
        }
    }
}

/// A value as JSON with its entity tag, which is computed once.
#[derive(Debug)]
pub(super) struct Cacheable {
    body: Bytes,
    tag: String,
}

impl Cacheable {
    pub(super) fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(Self { tag: tag(&body), body: body.into() })
    }

    /// Returns the value, or 304 if the client has it already. It may be cached for the given time.
    pub(super) fn answer(&self, time: Cached, headers: &HeaderMap) -> Response {
        let mut response = match matches(headers, &self.tag) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => ([(CONTENT_TYPE, "application/json")], self.body.clone()).into_response(),
        };
        let control = format!("public, max-age={}", time.0.as_secs());
        for (name, value) in [(CACHE_CONTROL, &control), (ETAG, &self.tag)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn tag(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..TAG_BYTES]))
}

/// Returns whether `If-None-Match` contains the tag. Our tags contain no commas, and a weak tag
/// matches, too (RFC 9110, 13.1.2).
fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_has_the_value_gets_304() {
        let ask = |condition: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, condition.parse().unwrap());
            Cached::seconds(9).answer(&headers, &[1, 2])
        };
        let first = ask("\"other\"");
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CACHE_CONTROL], "public, max-age=9");
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [&tag, &format!("W/{tag}"), &format!("\"a\", {tag}"), "*"] {
            let again = ask(known);
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[ETAG].to_str().unwrap(), tag);
        }
        for other in ["", &tag[1..], "\"\"", "W/\"x\""] {
            assert_eq!(ask(other).status(), StatusCode::OK, "{other}");
        }
    }
}
