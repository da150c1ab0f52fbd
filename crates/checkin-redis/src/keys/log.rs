//! The names of the keys of the log: of its partitions, and of what is beside each of them.

use std::borrow::Cow;

use checkin_domain::{NewCheckin, UserId};
use sha2::{Digest, Sha256};

use super::{Keys, companion};

/// A hash of a user and of an idempotency key, whose text a client chooses.
pub(crate) struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    pub(crate) fn new(user: UserId, key: &str) -> Self {
        Self(Sha256::digest([&user.get().to_string(), "\0", key].concat()).into())
    }

    /// Returns the field of a hash of idempotency keys. 96 bits are enough: with 10⁸ keys at a time, two are
    /// equal with a probability of 10⁻¹³.
    pub(crate) fn digest(&self) -> [u8; 12] {
        std::array::from_fn(|at| self.0[at])
    }
}

/// The key of a partition of the log.
#[derive(Clone, Debug)]
pub(super) struct LogKey {
    name: String,
    /// The beginning of the companions of this key.
    companions: String,
}

impl LogKey {
    pub(super) fn new(prefix: &str, partitions: usize, partition: usize) -> Self {
        let name = match partitions {
            1 => format!("{prefix}:checkins"),
            _ => format!("{prefix}:checkins:{{{partition}}}"),
        };
        Self { companions: companion(&name, ""), name }
    }
}

impl Keys {
    /// Returns the number of partitions of the log.
    pub(crate) fn partitions(&self) -> usize {
        self.logs.len()
    }

    /// String: the number of partitions of the stored log.
    pub(crate) fn partition_count(&self) -> String {
        self.key("checkins:partitions")
    }

    /// Returns the partition of a user's check-ins.
    pub(crate) fn partition_of(&self, user: UserId) -> usize {
        (user.get() % self.partitions() as u64) as usize
    }

    /// Stream and hash: the log and its checkpoint, if it has one partition.
    pub(crate) fn only_partition(&self) -> [String; 2] {
        let log = self.key("checkins");
        let checkpoint = companion(&log, "checkpoint");
        [log, checkpoint]
    }

    /// Stream: a partition of the log.
    pub(crate) fn log(&self, partition: usize) -> String {
        self.log_key(partition).name.clone()
    }

    /// Hash: the checkpoint of a partition.
    pub(crate) fn checkpoint(&self, partition: usize) -> String {
        self.beside_log(partition, &["checkpoint"])
    }

    /// String with a time to live: the processor that holds a partition.
    pub(crate) fn lease(&self, partition: usize) -> String {
        self.beside_log(partition, &["lease"])
    }

    /// Stream: entries of a partition that cannot be applied, with their ids in the log.
    pub(crate) fn dead_letters(&self, partition: usize) -> String {
        self.beside_log(partition, &["dead"])
    }

    /// Sorted set: the retracted check-ins of a partition that may still be in histories and figures.
    pub(crate) fn retractions(&self, partition: usize) -> String {
        self.beside_log(partition, &["retractions"])
    }

    /// Sorted set: the retractions of a partition that are applied, and whose lists are settled once more, by the
    /// time (ms) from which that is due.
    pub(crate) fn settling(&self, partition: usize) -> String {
        self.beside_log(partition, &["settling"])
    }

    /// Sorted set: `<id> <user>` of each retracted check-in of a partition, by the time of the id (ms).
    pub(crate) fn retracted(&self, partition: usize) -> String {
        self.beside_log(partition, &["retracted"])
    }

    /// Set: the check-ins that were imported into a partition behind later entries.
    pub(crate) fn imported(&self, partition: usize) -> String {
        self.beside_log(partition, &["imported"])
    }

    /// Set: the Swarm visits in a partition, by their ids at Swarm and by their contents.
    pub(crate) fn swarm_visits(&self, partition: usize) -> String {
        self.beside_log(partition, &["swarm"])
    }

    /// Sorted set: the entries of a partition whose ids are not their times, by their times (ms).
    pub(crate) fn times(&self, partition: usize) -> String {
        self.beside_log(partition, &["times"])
    }

    /// String with a time to live: the time of the last identical check-in.
    pub(crate) fn recent(&self, checkin: &NewCheckin) -> String {
        let NewCheckin { user, location, stars, .. } = checkin;
        let [user, location] = [user.get(), location.get()].map(|id| id.to_string());
        let stars = stars.get().to_string();
        let partition = self.partition_of(checkin.user);
        self.beside_log(partition, &["recent:", &user, ":", &location, ":", &stars])
    }

    /// Hashes with a time to live, which take turns: the idempotency keys of a group, whose digests have
    /// the same first byte.
    pub(crate) fn idempotency(&self, user: UserId, key: &IdempotencyKey) -> [String; 2] {
        let (partition, group) = (self.partition_of(user), key.0[0].to_string());
        ["0", "1"].map(|turn| self.beside_log(partition, &["keys:", &group, ":", turn]))
    }

    /// String with a time to live: the check-in that came with this idempotency key, and its id, as older
    /// versions keep it.
    pub(crate) fn old_idempotency(&self, user: UserId, key: &IdempotencyKey) -> String {
        let digits = key.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mut digest = String::with_capacity(2 * key.0.len());
        digest.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        self.beside_log(self.partition_of(user), &["key:", &digest])
    }

    /// Returns the key of a partition of the log. There may be no such partition: an operator may name any.
    fn log_key(&self, partition: usize) -> Cow<'_, LogKey> {
        let other = || Cow::Owned(LogKey::new(&self.prefix, self.partitions(), partition));
        self.logs.get(partition).map_or_else(other, Cow::Borrowed)
    }

    /// Returns a companion of the log of a partition. Its name is in several parts.
    fn beside_log(&self, partition: usize, name: &[&str]) -> String {
        let start = &self.log_key(partition).companions;
        let mut key =
            String::with_capacity(start.len() + name.iter().map(|part| part.len()).sum::<usize>());
        key.push_str(start);
        name.iter().for_each(|part| key.push_str(part));
        key
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::checkin;
    use super::*;

    #[test]
    fn partitions_have_slots_of_their_own() {
        let keys = Keys::new("ncc", 4);
        assert_eq!(keys.log(0), "ncc:checkins:{0}");
        assert_eq!(keys.lease(3), "ncc:checkins:{3}:lease");
        assert_eq!(keys.recent(&checkin()), "ncc:checkins:{1}:recent:77:2:5");
        assert_eq!(keys.dead_letters(4), "ncc:checkins:{4}:dead", "no partition has this number");
        let only = Keys::new("ncc", 1);
        assert_eq!(
            (only.lease(0), only.log(7)),
            ("{ncc:checkins}:lease".into(), "ncc:checkins".into())
        );
    }

    #[test]
    fn idempotency_keys_are_hashed_with_their_user() {
        let keys = Keys::new("ncc", 1);
        let (one, two) = (UserId::try_from(1).unwrap(), UserId::try_from(11).unwrap());
        let key = IdempotencyKey::new(one, "1");
        let hash = "b05a11033c781c31748c1c48e5b7cc95ec857f67c07e44889e64d1618daa5b9b";
        assert_eq!(keys.old_idempotency(one, &key), format!("{{ncc:checkins}}:key:{hash}"));
        assert_eq!(key.digest()[..4], [0xb0, 0x5a, 0x11, 0x03]);
        assert_eq!(keys.idempotency(one, &key)[1], "{ncc:checkins}:keys:176:1");
        assert_ne!(key.digest(), IdempotencyKey::new(two, "").digest());
        assert_ne!(key.digest(), IdempotencyKey::new(two, "1").digest());
    }
}
