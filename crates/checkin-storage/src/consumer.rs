//! From the log to the figures.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use checkin_domain::{Checkin, CheckinId, LocationId, UserId};

/// Reads the log and keeps the figures of users and places, their histories and their lists.
///
/// # Contract
///
/// - A figure is the sum over the entries that were applied. An entry is applied once, however often
///   its batch is completed, by whoever, at the same time too, and however often processes die
///   half-way.
/// - `lastCheckin` and `lastSeenAt` are those of the latest check-in by its time, in whatever order
///   entries are applied.
/// - The checkpoint of a partition moves when every entry up to it is applied or is a dead letter,
///   and never back.
/// - An entry that can never be applied (it is no check-in; its user or place is unknown) becomes a
///   dead letter, and the entries behind it go on.
#[async_trait]
pub trait CheckinConsumer: Send + Sync {
    /// How many partitions the log has.
    fn partitions(&self) -> usize;

    /// Says that this owner will live for so long, and answers where it stands among those that do.
    async fn join(&self, owner: &str, lease: Duration) -> Result<Turn>;

    /// Takes or renews the lease of a partition, and reads what comes next in it, at most `limit`
    /// entries. Nothing while another owner has the lease.
    async fn claim(
        &self,
        partition: usize,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Batch>>;

    /// Applies a batch, and then moves the checkpoint behind it. To be called again after an error.
    async fn complete(&self, batch: &Batch) -> Result<Completed>;

    /// Gives up the lease of a partition, if this owner has it.
    async fn release(&self, partition: usize, owner: &str) -> Result<()>;

    /// Says that this owner ends.
    async fn leave(&self, owner: &str) -> Result<()>;

    /// How many entries of all partitions wait to be counted.
    async fn backlog(&self) -> Result<u64>;

    /// Dead letters behind `after`, in order, at most `limit`.
    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>>;

    /// Applies a dead letter and forgets it; if it still cannot be applied, it stays.
    async fn replay(&self, id: DeadLetterId) -> Result<Replay>;

    /// Counts everything again from the log and the histories, and compares. Works beside running
    /// processors.
    async fn audit(&self) -> Result<Audit>;
}

/// Where an owner stands among all that live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// From 0, in an order that all of them see.
    pub position: usize,
    /// How many there are.
    pub of: usize,
}

impl Turn {
    /// This owner's part of so many partitions: the parts of all owners make up the whole, and
    /// differ by one at most.
    #[must_use]
    pub fn share(self, partitions: usize) -> usize {
        let of = self.of.max(1);
        partitions / of + usize::from(self.position < partitions % of)
    }
}

/// Entries of one partition, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which partition.
    pub partition: usize,
    /// Who holds its lease.
    pub owner: String,
    /// The checkpoint before the batch.
    pub after: CheckinId,
    /// The entries; none when all are counted.
    pub entries: Vec<Entry>,
}

impl Batch {
    /// Those of the entries that are check-ins.
    #[must_use]
    pub fn checkins(&self) -> Vec<Checkin> {
        let checkin = |entry: &Entry| match entry {
            Entry::Checkin(checkin) => Some(*checkin),
            Entry::Unreadable { .. } => None,
        };
        self.entries.iter().filter_map(checkin).collect()
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A check-in.
    Checkin(Checkin),
    /// Something else, whoever wrote it.
    Unreadable {
        /// Its id.
        id: CheckinId,
        /// What is wrong with it.
        reason: String,
        /// Its fields as a JSON object.
        fields: String,
    },
}

impl Entry {
    /// The id in the log.
    #[must_use]
    pub fn id(&self) -> CheckinId {
        match self {
            Self::Checkin(checkin) => checkin.id,
            Self::Unreadable { id, .. } => *id,
        }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// Entries that count now, and did not before.
    pub applied: u64,
    /// Entries that became dead letters.
    pub dead: u64,
    /// Another owner moved the checkpoint meanwhile: the lease is lost.
    pub overtaken: bool,
}

/// An entry that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Partition and id.
    pub id: DeadLetterId,
    /// What is wrong with it.
    pub reason: String,
    /// Its fields as a JSON object.
    pub fields: String,
}

/// Names a dead letter: the partition and the id of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterId {
    /// Which partition.
    pub partition: usize,
    /// The entry.
    pub entry: CheckinId,
}

/// The answer to [`CheckinConsumer::replay`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It counts, and is no dead letter any more.
    Applied,
    /// There is no such dead letter.
    Unknown,
    /// It cannot be applied still, for this reason.
    StillDead(String),
}

/// What a recount found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Entries in the log.
    pub entries: u64,
    /// Of these, how many are counted.
    pub counted: u64,
    /// Of these, how many wait.
    pub waiting: u64,
    /// Of these, how many are dead letters.
    pub dead: u64,
    /// Users and places that were compared.
    pub compared: u64,
    /// How many of them differ.
    pub different: u64,
    /// The first of those.
    pub differences: Vec<Difference>,
    /// The first of those that could not be compared: what is stored of them cannot be read.
    pub unreadable: Vec<Subject>,
}

/// A figure that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose.
    pub of: Subject,
    /// The name of the figure, as in the stored hash.
    pub figure: &'static str,
    /// What is stored.
    pub stored: u64,
    /// What the log says.
    pub counted: u64,
}

/// A user or a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user.
    User(UserId),
    /// A place.
    Location(LocationId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_up_the_whole() {
        for (partitions, of, shares) in
            [(4, 3, vec![2, 1, 1]), (1, 3, vec![1, 0, 0]), (6, 3, vec![2, 2, 2]), (0, 1, vec![0])]
        {
            let share = |position| Turn { position, of }.share(partitions);
            assert_eq!((0..of).map(share).collect::<Vec<_>>(), shares);
        }
        assert_eq!(Turn { position: 0, of: 0 }.share(4), 4);
    }
}
