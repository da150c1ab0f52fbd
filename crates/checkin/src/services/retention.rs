//! Bounding the histories by age.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use crate::storage::{Folded, Storage};
use crate::telemetry::chain;
use crate::usecases::batch_size::BatchSize;

/// The pause between two passes over all histories.
const PASS: Duration = Duration::from_secs(60 * 60);

/// The pause between two steps of a pass, in which the store serves others.
const STEP: Duration = Duration::from_millis(100);

/// The pause after a step that failed, before a smaller one, and after one that cannot be smaller.
const SMALLER: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(60);

/// The limit of a step at first, and at most.
const LIMIT: (usize, usize) = (10, 100);

/// Folds the check-ins that are older than `keep` in passes, until it is dropped. Without a time it waits
/// for ever. The caller holds the lease of one part, so that mostly one processor does this. Two at the same
/// time only do some work twice, because the store adds to the base figures what it really removed.
///
/// # Cancel safety
///
/// Dropping the future is safe at any time.
pub(super) async fn run(storage: &dyn Storage, keep: Option<Duration>, removed: &Counter) {
    let Some(keep) = keep else { return std::future::pending().await };
    let (mut from, mut has_failed) = (None, false);
    let mut size = BatchSize::between(LIMIT.0, LIMIT.1);
    loop {
        let (began, limit) = (Instant::now(), size.entries());
        let pause = match storage.fold(keep, from.clone(), limit).await {
            Ok(Folded { removed: count, next }) => {
                size = size.after(limit, began.elapsed());
                removed.inc_by(count);
                (from, has_failed) = (next, false);
                if from.is_some() { STEP } else { PASS }
            }
            Err(error) => {
                if !has_failed && !error.is_logged() {
                    tracing::error!(cause = %chain(&error), "cannot fold old check-ins");
                }
                has_failed = true;
                size = size.after_failure(limit);
                if limit > 1 { SMALLER } else { RETRY }
            }
        };
        tokio::time::sleep(pause).await;
    }
}
