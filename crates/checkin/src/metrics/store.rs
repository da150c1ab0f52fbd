//! The requests to the store, by operation.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use redis_link::Observed;
use sqlite_writer::Completed;

use super::LATENCY_SECONDS;

/// Counts what the store was asked, and how long it took; clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct StoreMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    durations: Family<Operation, Histogram, fn() -> Histogram>,
    commands: Family<Operation, Counter>,
    /// The metrics of the operations so far, which are found without a new label. Locked for a few
    /// instructions. The names are those of our own code, so their number is limited.
    operations: RwLock<HashMap<Box<str>, Measures>>,
    failures: Family<Reason, Counter>,
    timeouts: Counter,
    unavailable: Counter,
    refused: Counter,
    connections: Counter,
}

#[derive(Clone, Debug)]
struct Measures {
    duration: Histogram,
    commands: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl StoreMetrics {
    /// Counts what a client of Redis did.
    pub fn redis(&self, observed: &Observed<'_>) {
        match *observed {
            Observed::Connected => {
                self.0.connections.inc();
            }
            Observed::Request { operation, commands, took, failure, .. } => {
                self.count(operation, commands as u64, took);
                match failure {
                    None => {}
                    Some(redis_link::Failure::TimedOut) => drop(self.0.timeouts.inc()),
                    Some(redis_link::Failure::Unavailable) => drop(self.0.unavailable.inc()),
                    Some(_) => drop(self.0.refused.inc()),
                }
            }
            _ => {}
        }
    }

    /// Counts an operation on an SQLite file.
    pub fn sqlite(&self, completed: Completed) {
        self.count(completed.operation, 1, completed.took);
        match completed.failure {
            None => {}
            Some(sqlite_writer::ErrorKind::Unavailable) => drop(self.0.unavailable.inc()),
            Some(_) => drop(self.0.refused.inc()),
        }
    }

    /// Returns the number of commands that were sent so far, and of the requests that the store did not answer. It
    /// refuses some in normal operation, such as a script that it does not know yet.
    pub(crate) fn asked(&self) -> (u64, u64) {
        let operations = self.0.operations.read().unwrap_or_else(PoisonError::into_inner);
        let commands = operations.values().map(|measures| measures.commands.get()).sum();
        let failures = [&self.0.timeouts, &self.0.unavailable];
        (commands, failures.into_iter().map(Counter::get).sum())
    }

    fn count(&self, operation: &str, commands: u64, took: Duration) {
        let count = |Measures { duration, commands: counter }: &Measures| {
            duration.observe(took.as_secs_f64());
            counter.inc_by(commands);
        };
        let known = self.0.operations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(measures) = known.get(operation) {
            return count(measures);
        }
        drop(known);
        let label = Operation { operation: operation.to_owned() };
        let measures = Measures {
            duration: self.0.durations.get_or_create_owned(&label),
            commands: self.0.commands.get_or_create_owned(&label),
        };
        count(&measures);
        let mut operations = self.0.operations.write().unwrap_or_else(PoisonError::into_inner);
        operations.insert(operation.into(), measures);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Inner { durations, commands, failures, connections, .. } = &*self.0;
        registry.register(
            "checkin_store_request_duration_seconds",
            "Time until the store has answered a request: a command, a script or a pipeline",
            durations.clone(),
        );
        registry.register(
            "checkin_store_commands",
            "Commands that were sent to the store; a pipeline has several",
            commands.clone(),
        );
        registry.register(
            "checkin_store_failures",
            "Requests to the store that failed",
            failures.clone(),
        );
        registry.register(
            "checkin_store_connections_opened",
            "Connections to Redis that were opened: the first ones, and those after a loss",
            connections.clone(),
        );
    }
}

impl Default for Inner {
    fn default() -> Self {
        let failures = Family::<Reason, Counter>::default();
        let failure = |reason| failures.get_or_create_owned(&Reason { reason });
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
            commands: Family::default(),
            operations: RwLock::default(),
            timeouts: failure("timeout"),
            unavailable: failure("unavailable"),
            refused: failure("refused"),
            failures,
            connections: Counter::default(),
        }
    }
}
