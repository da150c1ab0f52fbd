//! `Strict-Transport-Security`: makes browsers that used TLS once use only TLS.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::middleware::Next;
use axum::response::Response;

use super::{Proxy, origin};

/// The settings of the header (RFC 6797).
#[derive(Clone, Copy, Debug)]
pub struct StrictTransport {
    /// `--hsts-max-age`, in whole seconds. 0 makes browsers drop the rule.
    pub max_age: Duration,
    /// `--hsts-include-subdomains`: the rule includes all hosts below this one.
    pub include_subdomains: bool,
}

impl StrictTransport {
    fn value(self) -> Option<HeaderValue> {
        let and_below = if self.include_subdomains { "; includeSubDomains" } else { "" };
        HeaderValue::try_from(format!("max-age={}{and_below}", self.max_age.as_secs())).ok()
    }
}

/// Adds the header to responses over TLS. Over plain HTTP anybody could write it, and browsers
/// ignore it there.
pub(super) async fn add_header(
    State(proxy): State<Proxy>,
    request: Request,
    next: Next,
) -> Response {
    let over_tls = origin::came_over_tls(request.headers(), proxy.is_trusted);
    let mut response = next.run(request).await;
    if let Some(value) = proxy.strict_transport.value().filter(|_| over_tls) {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    response
}
