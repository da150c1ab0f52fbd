//! What the two engines report, as metrics and as spans.

use std::sync::{Arc, OnceLock};

use redis_link::{Client, Failure, Observed};
use sqlite_writer::{Database, ErrorKind};
use tokio::sync::Notify;

use crate::metrics::StoreMetrics;
use crate::slow_store::SlowStore;
use crate::traces::Traces;

/// The traces, which are there when the process has a name.
pub(super) type TracesCell = Arc<OnceLock<Traces>>;

pub(super) fn redis(
    client: &Client,
    metrics: StoreMetrics,
    traces: TracesCell,
    denied: Arc<Notify>,
    slow: SlowStore,
) {
    client.observe(move |observed| {
        metrics.redis(&observed);
        if let Observed::Request { failure: Some(failure), .. } = observed {
            match failure {
                Failure::Denied => denied.notify_one(),
                Failure::TimedOut => slow.command_timed_out(),
                _ => {}
            }
        }
        if let Some(traces) = traces.get()
            && let Observed::Request { operation, took, failure, .. } = observed
        {
            let failure = failure.map(|failure| match failure {
                Failure::TimedOut => "timeout",
                Failure::Unavailable => "unavailable",
                _ => "refused",
            });
            traces.stored("redis", operation, took, failure);
        }
    });
}

pub(super) fn sqlite(database: &Database, metrics: StoreMetrics, traces: TracesCell) {
    database.observe(move |completed| {
        metrics.sqlite(completed);
        if let Some(traces) = traces.get() {
            let failure = completed.failure.map(|kind| match kind {
                ErrorKind::Unavailable => "unavailable",
                _ => "refused",
            });
            traces.stored("sqlite", completed.operation, completed.took, failure);
        }
    });
}
