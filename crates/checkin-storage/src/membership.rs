//! The live processors and the parts of the log that they read.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::CheckinId;

use crate::Result;

/// The live processors and the leases under which they read the log.
///
/// A store may divide its log into parts that several processors read at the same time; the
/// store decides how many. A processor reads a part while it holds the part's lease.
///
/// # Contract
///
/// - The shares of all live processors add up to the number of parts and differ by at most one.
/// - At most one processor holds the lease of a part. A lease that is not renewed in time
///   expires, and so does the membership of a processor.
#[async_trait]
pub trait Membership: Send + Sync {
    /// Registers or renews this processor for `lifetime` and returns its share: the number of leases
    /// that it should hold.
    async fn join(&self, processor: &str, lifetime: Duration) -> Result<usize>;

    /// Removes this processor from the live ones.
    async fn leave(&self, processor: &str) -> Result<()>;

    /// Acquires the lease of a part that is not among `held` and that no other processor holds.
    /// Returns `None` if there is no such part.
    async fn acquire(
        &self,
        processor: &str,
        held: &[Lease],
        lifetime: Duration,
    ) -> Result<Option<Lease>>;

    /// Renews a lease and returns the part's checkpoint: the id of the last entry that is applied.
    /// Returns `None` if another processor holds the lease by now.
    async fn renew(&self, lease: &Lease, lifetime: Duration) -> Result<Option<CheckinId>>;

    /// Ends a lease, if its processor still holds it.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Returns the live processors in the order of their names, at most [`MAX_LISTED`].
    async fn processors(&self) -> Result<Vec<LiveProcessor>>;
}

/// The maximum number of processors that are listed.
pub const MAX_LISTED: usize = 1000;

/// A live processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveProcessor {
    /// The name.
    pub name: String,
    /// The time until its registration ends, unless a heartbeat renews it.
    pub expires_in: Duration,
    /// The parts of the log whose leases it holds, in order.
    pub parts: Vec<usize>,
}

/// The right of one processor to read one part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The number of the part; only the store knows how many there are.
    pub part: usize,
    /// The name of the processor.
    pub processor: String,
}

/// The rank of a processor among the live ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// From 0, in an order that is the same for all.
    pub position: usize,
    /// The number of live processors.
    pub of: usize,
}

impl Rank {
    /// Returns this processor's share of `parts`.
    #[must_use]
    pub fn share(self, parts: usize) -> usize {
        let of = self.of.max(1);
        parts / of + usize::from(self.position < parts % of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole() {
        for (parts, of, shares) in
            [(4, 3, vec![2, 1, 1]), (1, 3, vec![1, 0, 0]), (6, 3, vec![2, 2, 2]), (0, 1, vec![0])]
        {
            let share = |position| Rank { position, of }.share(parts);
            assert_eq!((0..of).map(share).collect::<Vec<_>>(), shares);
        }
        assert_eq!(Rank { position: 0, of: 0 }.share(4), 4);
    }
}
