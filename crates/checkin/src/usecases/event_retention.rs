//! Removes security events that are too old.

use std::convert::Infallible;
use std::time::Duration;

use crate::storage::SecurityEvents;
use crate::telemetry::chain;

/// The pause between two passes over all lists.
const PASS: Duration = Duration::from_secs(60 * 60);

/// The pause between two steps of a pass, in which the store serves others.
const STEP: Duration = Duration::from_millis(100);

/// The pause after a step that failed.
const RETRY: Duration = Duration::from_secs(60);

/// Removes the events that are older than `keep` in passes, as long as the process runs. Without a time it removes
/// none. Two processes at the same time are harmless.
///
/// # Cancel safety
///
/// Dropping the future is safe at any time.
pub(crate) async fn run(store: &dyn SecurityEvents, keep: Option<Duration>) -> Infallible {
    let Some(keep) = keep else { return std::future::pending().await };
    let mut has_failed = false;
    loop {
        let removed = store.remove_old_events(keep).await;
        if let Err(error) = &removed
            && !has_failed
            && !error.is_logged()
        {
            tracing::warn!(cause = %chain(error), "cannot remove old security events");
        }
        has_failed = removed.is_err();
        tokio::time::sleep(match removed {
            Ok(true) => STEP,
            Ok(false) => PASS,
            Err(_) => RETRY,
        })
        .await;
    }
}
