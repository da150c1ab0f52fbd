//! `Strict-Transport-Security`: a browser that came over TLS comes over TLS only.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::middleware::Next;
use axum::response::Response;

use super::{Proxy, origin};

/// For how long a browser asks over TLS only (RFC 6797).
#[derive(Clone, Copy, Debug)]
pub struct StrictTransport {
    /// `--hsts-max-age`, in whole seconds. 0 takes back what was said before.
    pub max_age: Duration,
    /// `--hsts-include-subdomains`: all hosts below this one are meant, too.
    pub include_subdomains: bool,
}

impl StrictTransport {
    fn value(self) -> Option<HeaderValue> {
        let and_below = if self.include_subdomains { "; includeSubDomains" } else { "" };
        HeaderValue::try_from(format!("max-age={}{and_below}", self.max_age.as_secs())).ok()
    }
}

/// Adds the header to answers that go out over TLS: over plain HTTP anybody could write it, and
/// browsers ignore it there.
pub(super) async fn tell(State(proxy): State<Proxy>, request: Request, next: Next) -> Response {
    let over_tls = origin::came_over_tls(request.headers(), proxy.is_trusted);
    let mut response = next.run(request).await;
    if let Some(value) = proxy.strict_transport.value().filter(|_| over_tls) {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    response
}
