//! Metrics for Prometheus.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tower_express_session::Event;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Problem;
use super::document::Problems;
use super::exposition::Format;

/// The bounds of the latency buckets in seconds: from a response of a cache to the patience of a
/// person.
const BUCKETS_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// The events of a session, as the label `event` names them.
const SESSION_EVENTS: [&str; 9] = [
    "loaded",
    "unknown",
    "corrupt",
    "created",
    "updated",
    "touched",
    "destroyed",
    "gone",
    "failed",
];

/// The metrics of one service.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Timed, Histogram, fn() -> Histogram>,
    /// The counters of [`SESSION_EVENTS`].
    session_events: [Counter; SESSION_EVENTS.len()],
    session_merges: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Route,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    route: Route,
}

/// The route that a request matched. A path that matches none is not used as a label, because clients
/// could create any number of labels.
#[derive(Clone, Debug)]
struct Route(Option<MatchedPath>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SessionEvent {
    event: &'static str,
}

impl Route {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.as_str())
    }
}

impl Metrics {
    /// Creates the metrics of a service that has none of its own.
    #[must_use]
    pub fn new(service: &'static str) -> Self {
        Self::with(service, |_| {})
    }

    /// Creates the metrics of a service with further metrics of its own.
    #[must_use]
    pub fn with(service: &'static str, register: impl FnOnce(&mut Registry)) -> Self {
        let session_events = Family::<SessionEvent, Counter>::default();
        let mut inner = Inner {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS)),
            // All counters exist from the start: otherwise the first failure would not be visible as
            // a change.
            session_events: SESSION_EVENTS
                .map(|event| session_events.get_or_create_owned(&SessionEvent { event })),
            session_merges: Counter::default(),
            registry: Registry::with_labels([("service".into(), service.into())].into_iter()),
        };
        inner.register(session_events);
        register(&mut inner.registry);
        Self(Arc::new(inner))
    }

    /// Counts an event of a session.
    pub fn count_session_event(&self, event: Event) {
        let name = match event {
            Event::Loaded => "loaded",
            Event::Unknown => "unknown",
            Event::Corrupt => "corrupt",
            Event::Created => "created",
            Event::Updated { .. } => "updated",
            Event::Touched => "touched",
            Event::Destroyed => "destroyed",
            Event::Gone => "gone",
            Event::Failed(_) => "failed",
            _ => return,
        };
        if let Some(at) = SESSION_EVENTS.iter().position(|event| *event == name) {
            self.0.session_events[at].inc();
        }
        if let Event::Updated { merges } = event {
            self.0.session_merges.inc_by(merges.into());
        }
    }

    /// Notes the beginning of a request and the route that it matched.
    pub(super) fn arrived(&self, request: &Request) -> Arrived {
        let route = Route(request.extensions().get().cloned());
        let method = match *request.method() {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        Arrived { metrics: self.clone(), at: Instant::now(), method, route }
    }

    pub(super) fn routes(&self) -> OpenApiRouter {
        OpenApiRouter::new().routes(routes!(show)).with_state(self.clone())
    }
}

impl Inner {
    fn register(&mut self, session_events: Family<SessionEvent, Counter>) {
        let Self { registry, requests, durations, session_merges, .. } = self;
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time until the answer",
            durations.clone(),
        );
        registry.register("checkin_session_events", "What happened to sessions", session_events);
        registry.register(
            "checkin_session_merges",
            "How often a session was merged with what others wrote at the same time",
            session_merges.clone(),
        );
    }
}

/// Returns metrics for Prometheus: text 0.0.4, or OpenMetrics 1.0.0 if `Accept` names it.
#[utoipa::path(
    get, operation_id = "getMetrics", path = "/metrics", tag = "operation", security(()),
    responses(
        (status = 200, content((String = "text/plain"), (String = "application/openmetrics-text"))),
        Problems,
    ),
)]
async fn show(State(metrics): State<Metrics>, headers: HeaderMap) -> Result<Response, Problem> {
    let format = Format::of(&headers);
    let text = format.write(&metrics.0.registry).map_err(|_| Problem::internal())?;
    let headers = [(CONTENT_TYPE, format.content_type()), (VARY, ACCEPT.as_str())];
    Ok((headers, text).into_response())
}

/// A request that is not answered yet.
pub(super) struct Arrived {
    metrics: Metrics,
    at: Instant,
    method: &'static str,
    route: Route,
}

impl Arrived {
    /// Counts the request and its duration.
    pub(super) fn answered(self, status: StatusCode) {
        let Self { metrics: Metrics(metrics), at, method, route } = self;
        let answered = Answered { method, route, status: status.as_u16() };
        metrics.requests.get_or_create(&answered).inc();
        let duration = metrics.durations.get_or_create(&Timed { route: answered.route });
        duration.observe(at.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use tower_express_session::ErrorKind;

    use super::*;

    #[test]
    fn each_session_event_has_its_counter() {
        let metrics = Metrics::new("auth");
        for event in [
            Event::Loaded,
            Event::Unknown,
            Event::Corrupt,
            Event::Created,
            Event::Updated { merges: 2 },
            Event::Touched,
            Event::Destroyed,
            Event::Gone,
            Event::Failed(ErrorKind::Unavailable),
        ] {
            metrics.count_session_event(event);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.0.registry).unwrap();
        for event in SESSION_EVENTS {
            let counter =
                format!("checkin_session_events_total{{service=\"auth\",event=\"{event}\"}} 1");
            assert!(text.contains(&counter), "{counter}:\n{text}");
        }
        let merges = "checkin_session_merges_total{service=\"auth\"} 2";
        assert!(text.contains(merges), "{text}");
    }
}
