//! The log of check-ins.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Admission, HistoryPosition, Result};
use checkin_domain::{Checkin, CheckinId, CheckinIdError, NewCheckin};

/// The log of all check-ins: partitions, each in the order of its ids. A user's entries are all in
/// one partition.
///
/// # Contract
///
/// - Within a partition ids increase: an entry that is appended later has a higher id, whichever
///   program appends it. No two entries have the same id.
/// - An appended check-in has the time of its append. This is so even while the ids are ahead of the
///   clock, because another program wrote an entry with an id that it chose.
/// - A check-in for which [`Accepted::Stored`] was returned is kept: on SQLite it is committed and
///   synced to disk, on Redis it is acknowledged.
/// - A private check-in is in no partition: it goes into the history of its user at once, which is a log of
///   its own, and no other method of this trait returns it. Its id has the same form.
/// - [`append`](Self::append) checks all conditions and appends in one atomic step: if equal check-ins
///   arrive at the same time, one is stored.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends a check-in, unless an identical one (same user, location and rating) was appended less
    /// than the duplicate window ago, or the log is too long. A store need not keep a check-in's
    /// marker for longer than the window with which it was appended, so all callers must use the same
    /// window.
    ///
    /// With an idempotency key the result is kept for [`IDEMPOTENCY_TTL`]: if the same user sends the
    /// same key with the same check-in, the result is [`Accepted::Replayed`] with the first id, even
    /// within the duplicate window and when the log is too long. The comment is a part of the check-in
    /// here, and not for the duplicate window. Keys of different users are independent. A refusal is
    /// not kept.
    ///
    /// Check-ins of a deleted account get [`Accepted::Behind`]. A store that cannot see this in the same step may
    /// store one that is not private; when it comes to be applied, it is retracted.
    ///
    /// Private check-ins have a duplicate window of their own and never wait. An idempotency key is for check-ins of one kind: one that came with a private
    /// check-in is refused for one that is not private, and the other way round. A store may keep that it came with a
    /// private one also if this was refused.
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted>;

    /// Returns the check-ins whose times are in this range, in milliseconds since 1970, in the order of
    /// their times and then of their ids, after `after`, at most `limit`. Entries that are not
    /// check-ins are skipped.
    async fn checkins_between(
        &self,
        times_ms: RangeInclusive<u64>,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>>;

    /// Returns the entries with the highest ids below `before`, highest first, at most `limit`.
    /// Entries that are not check-ins are skipped.
    async fn latest_checkins(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>>;

    /// Returns the position of the last entries.
    async fn log_end(&self) -> Result<LogPosition>;

    /// Reads about `limit` entries after a position, in the order of each partition, and moves the
    /// position to the last of them. Each check-in comes with its partition, an index into the
    /// position.
    async fn follow(&self, from: &mut LogPosition, limit: usize) -> Result<Vec<(usize, Checkin)>>;
}

/// Returns the id at this time (ms) with which a store begins to look for a free one for a private check-in. It
/// differs between users and between check-ins, mostly.
#[must_use]
pub fn private_id(checkin: &NewCheckin, idempotency_key: Option<&str>, ms: u64) -> CheckinId {
    // Without a key of its own: the same check-in has the same number in each process.
    let mut hasher = DefaultHasher::new();
    (checkin, idempotency_key).hash(&mut hasher);
    CheckinId::private(ms, hasher.finish())
}

/// How long an idempotency key is kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of [`Log::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// A new entry with this id was stored.
    Stored(CheckinId),
    /// Nothing was stored, because an identical check-in was appended within the duplicate window.
    Duplicate,
    /// Nothing was stored, because this idempotency key has already made this entry.
    Replayed(CheckinId),
    /// Nothing was stored, because this idempotency key came with another check-in before.
    KeyReused,
    /// Nothing was stored, because too many entries wait to be applied.
    Behind,
}

/// The position of a reader in the log: the last id that it read of each partition. As text it is
/// these ids, separated by commas; for one partition it is the id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition(pub Vec<CheckinId>);

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (partition, id) in self.0.iter().enumerate() {
            let comma = if partition == 0 { "" } else { "," };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}

impl FromStr for LogPosition {
    type Err = CheckinIdError;

    fn from_str(text: &str) -> std::result::Result<Self, CheckinIdError> {
        text.split(',').map(str::parse).collect::<std::result::Result<_, _>>().map(Self)
    }
}
