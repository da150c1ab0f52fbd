//! The state of the deployment at a glance.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;

use super::operator::Operator;
use super::state::Operations;
use super::views::{
    CacheView, LogView, Overview, ProcessView, ProcessorView, SessionsView, StoreView, milliseconds,
};
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::http::{Metrics, Problem};
use crate::storage::EventKind;

/// Returns the state of the log, the processors, the sessions and the store, and the figures of the process that
/// answers. Its counters begin with 0 when it starts; the difference of two responses is what happened between
/// them.
#[utoipa::path(
    get, operation_id = "getOverview", path = "/operations/overview", tag = "operators",
    security(("session" = [])),
    responses((status = 200, body = Overview), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn show(
    State(operations): State<Arc<Operations>>,
    _operator: Operator,
) -> Result<Json<Overview>, Problem> {
    let storage = &operations.storage;
    let (states, processors, sessions, store) = tokio::join!(
        storage.part_states(),
        storage.processors(),
        operations.census.latest(),
        operations.store(),
    );
    let processors = processors?;
    Ok(Json(Overview {
        at: now_ms(),
        log: LogView::new(&states?, &processors),
        processors: processors.into_iter().map(ProcessorView::from).collect(),
        sessions: sessions.as_ref().map(SessionsView::from),
        store,
        process: operations.process(),
    }))
}

impl Operations {
    /// Measures how long the store takes to answer.
    async fn store(&self) -> StoreView {
        let asked = Instant::now();
        let fault = self.storage.ping().await.err();
        let ping_ms = asked.elapsed().as_secs_f64() * 1000.0;
        let (commands, failures) = self.metrics.store.asked();
        StoreView {
            available: fault.is_none(),
            fault: fault.map(|fault| fault.what().to_owned()),
            ping_ms: (ping_ms * 1000.0).round() / 1000.0,
            commands,
            failures,
        }
    }

    fn process(&self) -> ProcessView {
        let answered = (self.ports)()
            .iter()
            .map(Metrics::answered)
            .fold((0, 0), |(requests, errors), (of_port, failed)| {
                (requests + of_port, errors + failed)
            });
        let events = &self.metrics.security_events;
        ProcessView {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: milliseconds(self.started.elapsed()),
            requests: answered.0,
            server_errors: answered.1,
            logins: events.of(EventKind::Login),
            failed_logins: events.of(EventKind::FailedLogin)
                + events.of(EventKind::FailedSecondFactor),
            logouts: events.of(EventKind::Logout),
            event_streams: self.metrics.event_streams.get().max(0).unsigned_abs(),
            session_cache: self
                .metrics
                .session_cache
                .hits_and_misses()
                .map(|(hits, misses)| CacheView { hits, misses }),
        }
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    milliseconds(since.unwrap_or_default())
}
