//! Bounding the histories by age.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// Folds old check-ins of the histories into the base figures.
///
/// # Contract
///
/// A check-in is removed from a history only if all of this is true:
///
/// - Its time and the time of its id are longer ago than `keep`, by the clock of the store. So the check-ins
///   that an import stored behind later ones also stay for `keep` after the import.
/// - It is applied, and its entry has left the log, if the store has a log beside the histories.
/// - It is not the check-in of a dead letter, whose replay may not be complete.
/// - It is not the newest one of the history. A history never becomes empty.
///
/// Private check-ins are in no figure. All of them that are longer ago than `keep` are removed, uncounted.
///
/// What else is removed is added to the base figures in the same step, so the figures, the ratings and the
/// leaderboards do not change, and an audit finds no difference at any moment. Before anything is removed,
/// the store keeps the time up to which check-ins may be removed: [`BulkLoad`](crate::BulkLoad) refuses older
/// ones that it does not find, because they may have been removed. Calls at the same time are harmless.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Does one step, which begins at the place that the step before returned. It looks at `limit` histories at most, and
    /// removes as many check-ins of each at most. A store that is a file may choose other numbers. After an error,
    /// call it again with a lower limit: a step may take too long. `keep` must be at least [`MIN_KEPT`](crate::weeks::MIN_KEPT) in a store
    /// that is in use.
    ///
    /// # Errors
    ///
    /// If the store fails. What was removed is in the base figures.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    async fn fold(&self, keep: Duration, from: Option<String>, limit: usize) -> Result<Folded>;
}

/// The result of [`Retention::fold`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The number of check-ins that left the history of their user.
    pub removed: u64,
    /// Where the next step begins; `None` if everything was visited.
    pub next: Option<String>,
}
