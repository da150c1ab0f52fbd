//! Metrics for Prometheus.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
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
    durations: Family<Route, Histogram, fn() -> Histogram>,
    session_events: Family<SessionEvent, Counter>,
    session_merges: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SessionEvent {
    event: &'static str,
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
        let mut inner = Inner {
            registry: Registry::with_labels([("service".into(), service.into())].into_iter()),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS)),
            session_events: Family::default(),
            session_merges: Counter::default(),
        };
        // All counters exist from the start: otherwise the first failure would not be visible as a
        // change.
        for event in SESSION_EVENTS {
            drop(inner.session_events.get_or_create(&SessionEvent { event }));
        }
        inner.register();
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
        self.0.session_events.get_or_create(&SessionEvent { event: name }).inc();
        if let Event::Updated { merges } = event {
            self.0.session_merges.inc_by(merges.into());
        }
    }

    /// Notes the beginning of a request and the route that it matched. A path that matches none is not
    /// used as a label, because clients could create any number of labels.
    pub(super) fn arrived(&self, request: &Request) -> Arrived<'_> {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        let method = match *request.method() {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        Arrived { metrics: self, at: Instant::now(), method, route: route.to_owned() }
    }

    pub(super) fn routes(&self) -> OpenApiRouter {
        OpenApiRouter::new().routes(routes!(show)).with_state(self.clone())
    }
}

impl Inner {
    fn register(&mut self) {
        let Self { registry, requests, durations, session_events, session_merges } = self;
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time until the answer",
            durations.clone(),
        );
        registry.register(
            "checkin_session_events",
            "What happened to sessions",
            session_events.clone(),
        );
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
pub(super) struct Arrived<'a> {
    metrics: &'a Metrics,
    at: Instant,
    method: &'static str,
    route: String,
}

impl Arrived<'_> {
    /// Counts the request and its duration.
    pub(super) fn answered(self, status: StatusCode) {
        let Self { metrics, at, method, route } = self;
        let metrics = &metrics.0;
        let answered = Answered { method, route: route.clone(), status: status.as_u16() };
        metrics.requests.get_or_create(&answered).inc();
        let duration = metrics.durations.get_or_create(&Route { route });
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
