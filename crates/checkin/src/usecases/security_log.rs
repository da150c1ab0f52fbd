//! Records logins, logouts and changes of accounts, in the store and in the log.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use super::tasks::Tasks;
use crate::domain::UserId;
use crate::metrics::SecurityEventCounts;
use crate::storage::{EventKind, EventList, SecurityEvent, SecurityEvents};
use crate::telemetry::{SECURITY, chain};

/// Records the security events of a service or of a command; clones share everything.
#[derive(Clone)]
pub struct SecurityLog {
    store: Arc<dyn SecurityEvents>,
    /// The maximum number of events of a list; `None` means that events are only logged.
    max_events: Option<u64>,
    tasks: Tasks,
    counts: SecurityEventCounts,
    /// Counts the events that could not be recorded.
    unrecorded: Counter,
    source: &'static str,
    /// The list of all events; `None` means that each has the list of its kind.
    list: Option<EventList>,
}

impl SecurityLog {
    pub(crate) fn new(
        store: Arc<dyn SecurityEvents>,
        max_events: Option<u64>,
        tasks: Tasks,
        (counts, unrecorded): (SecurityEventCounts, Counter),
        source: &'static str,
    ) -> Self {
        Self { store, max_events, tasks, counts, unrecorded, source, list: None }
    }

    /// Returns a log of what only operators can cause. Nothing else pushes it out of the store.
    pub(crate) fn of_operators(self) -> Self {
        Self { list: Some(EventList::Operators), ..self }
    }

    /// Counts and logs an event, and waits until the store has it. What happened does not depend on that: if the store
    /// fails, this is logged and counted. `address` is the network that the request came from, and `detail`
    /// must contain no secret, e-mail address or session id.
    ///
    /// # Cancel safety
    ///
    /// The event is recorded in any case.
    pub(crate) async fn record(
        &self,
        kind: EventKind,
        account: Option<UserId>,
        address: Option<IpAddr>,
        detail: Option<String>,
    ) {
        self.counts.count(kind);
        tracing::info!(
            target: SECURITY,
            {
                security.event = kind.as_str(),
                security.source = self.source,
                security.detail = detail.as_deref(),
                user.id = account.map(UserId::get),
                client.address = address.map(tracing::field::display)
            },
            "security event"
        );
        let Some(max_events) = self.max_events else { return };
        let list = self.list.unwrap_or_else(|| kind.list());
        let event =
            SecurityEvent { kind, account, address, source: self.source.to_owned(), detail };
        let (store, unrecorded) = (self.store.clone(), self.unrecorded.clone());
        let recorded = self.tasks.spawn(async move {
            if let Err(error) = store.record_event(list, &event, max_events).await {
                unrecorded.inc();
                // The store logs an outage itself.
                if !error.is_logged() {
                    tracing::warn!(error = chain(&error), "cannot record a security event");
                }
            }
        });
        match recorded {
            Ok(recorded) => drop(recorded.await),
            Err(_) => drop(self.unrecorded.inc()),
        }
    }
}

impl fmt::Debug for SecurityLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityLog").field("source", &self.source).finish_non_exhaustive()
    }
}
