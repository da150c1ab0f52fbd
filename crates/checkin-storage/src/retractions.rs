//! Retracting check-ins.

use async_trait::async_trait;
use checkin_domain::{CheckinId, UserId};

use crate::Result;

/// Retracts check-ins: those that their users deleted.
///
/// # Contract
///
/// - A retracted check-in is not in the log any more. It is in no history and in no figure, or it will be in
///   none when the retractions of its part are applied, whether it was applied before or not, or was a dead
///   letter. Its share of the figures is taken back once.
/// - No batch, replay or import that has it brings it back, also if it began before. An idempotency key with
///   which it came keeps its result.
/// - [`Retracted::Done`] is kept as an appended check-in is.
/// - An identical check-in may be appended at once, whatever the duplicate window is.
/// - A private check-in leaves the history of its user at once, and is in nothing else.
/// - What is [folded](crate::Retention) cannot be retracted, because nothing tells whose it was.
#[async_trait]
pub trait Retractions: Send + Sync {
    /// Retracts a check-in of this user. If it is retracted already, the result is the same again.
    ///
    /// # Errors
    ///
    /// If the store fails. The check-in may be retracted.
    ///
    /// # Cancel safety
    ///
    /// The check-in may be retracted even if the future is dropped.
    async fn retract(&self, user: UserId, id: CheckinId) -> Result<Retracted>;

    /// Does one step of the retraction of all check-ins of a deleted account, of about `limit` check-ins, and returns where
    /// the next step begins; `None` if all are done. Then none is left in the log, in a dead letter or in a history, and the
    /// account's own figures are gone, too, and what imports keep about its check-ins. A store that is a file may choose
    /// other numbers.
    /// Its check-ins that are folded, and the figures with which locations were imported, cannot be told apart: they
    /// stay in the figures of the locations.
    ///
    /// # Errors
    ///
    /// If the store fails. Call it again from the same place, with a lower limit: a step may take too long. From the
    /// beginning, it continues, too.
    ///
    /// # Cancel safety
    ///
    /// As with an error.
    async fn retract_all(
        &self,
        user: UserId,
        from: Option<String>,
        limit: usize,
    ) -> Result<Option<String>>;

    /// Takes up to `limit` retracted check-ins of a part out of the histories and figures, or, if there are none, compares
    /// the lists of earlier ones with the figures once more. Returns their number; 0 if there is nothing to do at the
    /// moment. Call it again after an error. The processor that holds the lease of the part calls it; calls at the same
    /// time are harmless.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time: the next call does all of it.
    async fn apply_retractions(&self, part: usize, limit: usize) -> Result<usize>;
}

/// The result of [`Retractions::retract`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retracted {
    /// The check-in is retracted.
    Done,
    /// The user has no such check-in.
    Unknown,
    /// Check-ins of this age may be folded, and this one is not in the history any more if it ever was.
    TooOld,
}
