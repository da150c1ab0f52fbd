//! Forwards notifications of changed sessions to the cache, and renews its lease.

use std::sync::{Arc, Mutex, PoisonError};

use redis_link::{Client, Tracked};
use tokio::task::JoinHandle;

use super::cache::Cache;
use crate::id::SessionId;

/// A handle on the task that forwards notifications to the cache. Dropping it ends the task.
pub(super) struct Tracking(Mutex<Option<JoinHandle<()>>>);

/// Starts the task that keeps `cache` up to date. If keys cannot be tracked, because the
/// client has no address, nothing is ever cached.
pub(super) fn start(client: Client, prefix: Box<str>, cache: Arc<Cache>) -> Tracking {
    let heartbeat = cache.options.heartbeat;
    let task = tokio::spawn(async move {
        let (own, listener) = (prefix.clone(), cache);
        let notify = move |tracked: Tracked<'_>| apply(&tracked, &own, &listener);
        let Err(error) = client.track(&prefix, heartbeat, notify).await;
        tracing::info!("sessions are not cached: {error}");
    });
    Tracking(Mutex::new(Some(task)))
}

fn apply(tracked: &Tracked<'_>, prefix: &str, cache: &Cache) {
    match tracked {
        Tracked::Changed(key) => {
            let id = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(prefix));
            if let Some(id) = id {
                cache.invalidate(&SessionId::from(id));
            }
        }
        Tracked::Current(heartbeat) => cache.renew(heartbeat),
        Tracked::Lost { source, .. } => cache.lose(*source),
        _ => {}
    }
}

impl Tracking {
    /// Ends the task and waits for it. Its leases end with it.
    pub(super) async fn stop(&self) {
        if let Some(task) = self.take() {
            task.abort();
            // An aborted task ends with an error.
            drop(task.await);
        }
    }

    fn take(&self) -> Option<JoinHandle<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        if let Some(task) = self.take() {
            task.abort();
        }
    }
}
