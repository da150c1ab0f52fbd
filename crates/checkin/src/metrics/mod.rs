//! The metrics of a process: those that belong to no single port.

mod process;
pub mod reading;
mod registries;
mod security_events;
mod session_cache;
mod sqlite_log;
mod store;
mod throttled;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::traces::SpanCounts;

pub use registries::Registries;
pub use security_events::SecurityEventCounts;
pub use session_cache::SessionCache;
pub use sqlite_log::SqliteLog;
pub use store::StoreMetrics;
pub use throttled::Throttled;

/// The bounds of the buckets of latencies in seconds: from a response of a cache to the patience of a
/// person.
pub(crate) const LATENCY_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The metrics of a process that its parts share; clones share the values.
#[derive(Clone, Debug, Default)]
pub struct ProcessMetrics {
    /// What the store was asked.
    pub store: StoreMetrics,
    /// What was refused because there was too much of it.
    pub throttled: Throttled,
    /// The event streams that are open.
    pub event_streams: Gauge,
    /// The security events of the process.
    pub security_events: SecurityEventCounts,
    /// Security events that could not be recorded in the store.
    pub unrecorded_events: Counter,
    /// The spans of traces.
    pub spans: SpanCounts,
    /// The cache of sessions.
    pub session_cache: SessionCache,
    /// The write-ahead log of an embedded store.
    pub sqlite_log: SqliteLog,
}

impl ProcessMetrics {
    /// Returns a registry of these metrics and of those that the system keeps about the process, all
    /// with the name of the process's `service`.
    #[must_use]
    pub fn registry(&self, service: &'static str) -> Registry {
        let mut registry = Registry::with_labels([("service".into(), service.into())].into_iter());
        let Self {
            store,
            throttled,
            event_streams,
            security_events,
            unrecorded_events,
            spans,
            session_cache,
            sqlite_log,
        } = self;
        process::register(&mut registry);
        store.register(&mut registry);
        session_cache.register(&mut registry);
        sqlite_log.register(&mut registry);
        throttled.register(&mut registry);
        security_events.register(&mut registry);
        spans.register(&mut registry);
        registry.register(
            "checkin_event_streams",
            "Event streams of the read API that are open",
            event_streams.clone(),
        );
        registry.register(
            "checkin_security_events_unrecorded",
            "Security events that could not be recorded in the store",
            unrecorded_events.clone(),
        );
        registry
    }
}
