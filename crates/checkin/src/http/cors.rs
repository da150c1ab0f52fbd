//! Lets pages of other origins use the services: exactly those that the settings name, none by default.

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, LINK, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::CorsLayer;

use crate::config::Origins;

/// The headers of requests that a page may set.
const REQUEST_HEADERS: [HeaderName; 4] = [
    CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-request-id"),
];

/// The headers of responses that a page may read.
const RESPONSE_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("checkin-id"),
    ETAG,
    LINK,
    RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
];

/// The origins of other sites whose pages may use the services, with the sessions of their users.
#[derive(Clone, Debug, Default)]
pub struct Cors(Vec<HeaderValue>);

impl Cors {
    /// Creates the rule for these origins.
    #[must_use]
    pub fn new(origins: &Origins) -> Self {
        let value = |origin: &String| HeaderValue::from_str(origin).ok();
        Self(origins.as_slice().iter().filter_map(value).collect())
    }

    /// Returns whether a page of one of the origins sent the request. Browsers do not let a page choose
    /// the header.
    pub(super) fn allows(&self, request: &Request) -> bool {
        let mut lines = request.headers().get_all(ORIGIN).iter();
        match (lines.next(), lines.next()) {
            (Some(origin), None) => self.0.contains(origin),
            _ => false,
        }
    }

    /// Returns the layer that answers preflight requests and adds the headers, if there are origins.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        let layer = CorsLayer::new()
            .allow_origin(self.0.clone())
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(RESPONSE_HEADERS);
        (!self.0.is_empty()).then_some(layer)
    }
}
