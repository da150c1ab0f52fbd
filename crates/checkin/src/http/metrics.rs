//! The metrics of one port.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tower_express_session::Event;

use crate::metrics::LATENCY_SECONDS;

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

/// The metrics of one port.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: &'static str,
    registry: Arc<Registry>,
    requests: Family<Answered, Counter>,
    durations: Family<Timed, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    /// The metrics of the answers so far, each found with one look. Locked for a few instructions.
    known: RwLock<HashMap<Answered, Measures>>,
    /// The counters of [`SESSION_EVENTS`].
    session_events: [Counter; SESSION_EVENTS.len()],
    session_merges: Counter,
}

/// The metrics of an answer.
#[derive(Clone, Debug)]
struct Measures {
    count: Counter,
    duration: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Route,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    method: &'static str,
    route: Route,
    /// The first digit of the status and `xx`.
    status_class: &'static str,
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
    /// Creates the metrics of the port of a service.
    #[must_use]
    pub fn new(service: &'static str) -> Self {
        let session_events = Family::<SessionEvent, Counter>::default();
        let mut registry = Registry::with_labels([("service".into(), service.into())].into_iter());
        let mut inner = Inner {
            service,
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
            in_flight: Gauge::default(),
            known: RwLock::default(),
            // All counters exist from the start: otherwise the first failure would not be visible as
            // a change.
            session_events: SESSION_EVENTS
                .map(|event| session_events.get_or_create_owned(&SessionEvent { event })),
            session_merges: Counter::default(),
            registry: Arc::default(),
        };
        inner.register(&mut registry, session_events);
        inner.registry = Arc::new(registry);
        Self(Arc::new(inner))
    }

    /// Returns the service of the port.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// Returns all metrics of the port.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.0.registry)
    }

    /// Returns the number of answered requests, and of those that failed with 500 or above.
    #[must_use]
    pub fn answered(&self) -> (u64, u64) {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold((0, 0), |(all, failed), (answered, measures)| {
            let count = measures.count.get();
            (all + count, failed + if answered.status >= 500 { count } else { 0 })
        })
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
        self.0.in_flight.inc();
        let answered = Answered { method, route, status: 0 };
        Arrived { metrics: self.clone(), at: Instant::now(), answered }
    }
}

impl Metrics {
    /// Returns the metrics of an answer that was not counted before.
    fn measures(&self, answered: &Answered) -> Measures {
        let status_class = match answered.status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let Answered { method, route, .. } = answered.clone();
        let measures = Measures {
            count: self.0.requests.get_or_create_owned(answered),
            duration: self.0.durations.get_or_create_owned(&Timed { method, route, status_class }),
        };
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(answered.clone(), measures.clone());
        measures
    }
}

impl Inner {
    fn register(&self, registry: &mut Registry, session_events: Family<SessionEvent, Counter>) {
        let Self { requests, durations, in_flight, session_merges, .. } = self;
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time until the answer",
            durations.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests that are not answered yet",
            in_flight.clone(),
        );
        registry.register("checkin_session_events", "What happened to sessions", session_events);
        registry.register(
            "checkin_session_merges",
            "How often a session was merged with what others wrote at the same time",
            session_merges.clone(),
        );
    }
}

/// A request that is not answered yet, until it is dropped.
pub(super) struct Arrived {
    metrics: Metrics,
    at: Instant,
    /// What it will be counted as, with the status to come.
    answered: Answered,
}

impl Arrived {
    /// Counts the request and its duration.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.answered.status = status.as_u16();
        let took = self.at.elapsed().as_secs_f64();
        let count = |Measures { count, duration }: &Measures| {
            count.inc();
            duration.observe(took);
        };
        let known = self.metrics.0.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&self.answered) {
            Some(measures) => count(measures),
            None => {
                drop(known);
                count(&self.metrics.measures(&self.answered));
            }
        }
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        self.metrics.0.in_flight.dec();
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
