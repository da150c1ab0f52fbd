//! The security events of the process.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::storage::EventKind;

/// Counts security events by their kind; clones share the counts.
#[derive(Clone, Debug)]
pub struct SecurityEventCounts {
    counts: Family<Kind, Counter>,
    /// The counters of [`EventKind::ALL`], in their order.
    counters: Arc<[Counter]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    event: &'static str,
}

impl Default for SecurityEventCounts {
    fn default() -> Self {
        // All of them exist from the start: otherwise the first failed login would not be visible as a change.
        let counts = Family::<Kind, Counter>::default();
        let counter = |kind: &EventKind| counts.get_or_create_owned(&Kind { event: kind.as_str() });
        let counters = EventKind::ALL.iter().map(counter).collect();
        Self { counts, counters }
    }
}

impl SecurityEventCounts {
    /// Counts an event.
    pub(crate) fn count(&self, kind: EventKind) {
        if let Some(counter) = self.counter(kind) {
            counter.inc();
        }
    }

    /// Returns the number of events of a kind.
    pub(crate) fn of(&self, kind: EventKind) -> u64 {
        self.counter(kind).map_or(0, Counter::get)
    }

    fn counter(&self, kind: EventKind) -> Option<&Counter> {
        let at = EventKind::ALL.iter().position(|known| *known == kind)?;
        self.counters.get(at)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Logins, logouts and changes of accounts, by the kind of security event";
        registry.register("checkin_security_events", help, self.counts.clone());
    }
}
