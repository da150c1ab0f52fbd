//! Limits the requests of a client, and tells clients how much of a limit is left.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use prometheus_client::metrics::counter::Counter;
use tower_express_session::{LazySession, SessionId};

use super::{Problem, RequestOrigin};
use crate::usecases::throttle::{Quota, RateLimit};

// draft-ietf-httpapi-ratelimit-headers: lists of structured fields (RFC 9651).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// A limit of the requests to some routes.
#[derive(Clone, Debug)]
pub struct RequestLimit {
    /// Requests with a session. `None` if they are counted by their network, too.
    sessions: Option<RateLimit<SessionId>>,
    networks: RateLimit<IpAddr>,
    refused: Counter,
}

impl RequestLimit {
    /// Allows each session `per_second` requests, and each network, which many people may share, ten times
    /// as many without a session; in a burst ten times as many again. 0 means unlimited. Refused requests
    /// are counted in `refused`.
    #[must_use]
    pub fn of_sessions(name: &'static str, per_second: u32, refused: Counter) -> Self {
        let sessions = Some(RateLimit::per_second(name, per_second));
        let networks = RateLimit::per_second(name, per_second.saturating_mul(10));
        Self { sessions, networks, refused }
    }

    /// Allows each network `per_hour` requests. 0 means unlimited.
    #[must_use]
    pub fn of_networks(name: &'static str, per_hour: u32, refused: Counter) -> Self {
        Self { sessions: None, networks: RateLimit::per_hour(name, per_hour), refused }
    }

    /// Takes one from the share of the client. Nothing is known of a client without a session whose proxy
    /// names no address.
    fn take(&self, request: &Request) -> Result<Option<Quota>, Quota> {
        let extensions = request.extensions();
        let session = extensions.get::<LazySession>().and_then(LazySession::requested_id);
        if let (Some(sessions), Some(id)) = (&self.sessions, session) {
            return sessions.take(id);
        }
        let address = extensions.get::<RequestOrigin>().and_then(|origin| origin.address);
        address.map_or(Ok(None), |address| self.networks.take(&address.ip()))
    }
}

/// The middleware of limited routes.
pub async fn limited(State(limit): State<RequestLimit>, request: Request, next: Next) -> Response {
    match limit.take(&request) {
        Ok(quota) => (quota, next.run(request).await).into_response(),
        Err(quota) => {
            limit.refused.inc();
            Problem::too_many(quota).into_response()
        }
    }
}

impl Quota {
    /// Adds the policy, and what is left of it. Several limits may apply to a response.
    pub(super) fn append_to(&self, headers: &mut HeaderMap) {
        let Self { name, limit, window, remaining, wait } = *self;
        let is_waiting = remaining == 0 && !wait.is_zero();
        let seconds = is_waiting.then(|| wait.as_millis().div_ceil(1000).to_string());
        let window = window.map(|window| window.as_secs().to_string());
        // Joined and not formatted: most responses have them, and formatting costs more.
        let item = |parameter, number: u32, optional, value: Option<&str>| {
            let number = number.to_string();
            let optional = value.map_or(["", ""], |value| [optional, value]);
            ["\"", name, "\"", parameter, &number, optional[0], optional[1]].concat()
        };
        let policy = item(";q=", limit, ";w=", window.as_deref());
        let left = item(";r=", remaining, ";t=", seconds.as_deref());
        for (header, value) in [(POLICY, policy), (LEFT, left)] {
            // A name is printable ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(header, value);
            }
        }
    }
}

impl IntoResponseParts for Quota {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        self.append_to(parts.headers_mut());
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_headers_are_structured_fields() {
        let quota = |remaining, wait_ms, window| Quota {
            name: "requests",
            limit: 100,
            window,
            remaining,
            wait: Duration::from_millis(wait_ms),
        };
        let window = Some(Duration::from_secs(10));
        for (quota, policy, left) in [
            (quota(99, 0, window), "\"requests\";q=100;w=10", "\"requests\";r=99"),
            (quota(0, 0, window), "\"requests\";q=100;w=10", "\"requests\";r=0"),
            (quota(0, 1_001, None), "\"requests\";q=100", "\"requests\";r=0;t=2"),
        ] {
            let mut headers = HeaderMap::new();
            quota.append_to(&mut headers);
            assert_eq!(
                (&headers[POLICY], &headers[LEFT]),
                (&policy.parse().unwrap(), &left.parse().unwrap())
            );
        }
    }
}
