//! The names of all keys. Those of accounts, their logins and their sessions are in `accounts`.

mod accounts;

use std::borrow::Cow;
use std::sync::Arc;

use redis_link::{glob_escaped, hash_tag};
use sha2::{Digest, Sha256};

use checkin_domain::{Category, LocationId, NewCheckin, UserId};

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

/// Makes the names of keys. All of them begin with the prefix, some after a brace.
///
/// On a cluster, a command may only use keys of one slot. A companion of a key has that key in braces
/// and therefore lies in its slot.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Arc<str>,
    /// The log of each partition, made once, because each check-in needs several keys beside it.
    logs: Arc<[LogKey]>,
}

/// The key of a partition of the log.
#[derive(Clone, Debug)]
struct LogKey {
    name: String,
    /// The beginning of the companions of this key.
    companions: String,
}

impl LogKey {
    fn new(prefix: &str, partitions: usize, partition: usize) -> Self {
        let name = match partitions {
            1 => format!("{prefix}:checkins"),
            _ => format!("{prefix}:checkins:{{{partition}}}"),
        };
        Self { companions: companion(&name, ""), name }
    }
}

impl Keys {
    pub(crate) fn new(prefix: &str, partitions: usize) -> Self {
        let partitions = partitions.max(1);
        let log = |partition| LogKey::new(prefix, partitions, partition);
        Self { prefix: prefix.into(), logs: (0..partitions).map(log).collect() }
    }

    /// Hash: one location.
    pub(crate) fn location(&self, id: LocationId) -> String {
        self.of_id("location", id.get())
    }

    /// The pattern of the keys of all locations.
    pub(crate) fn any_location(&self) -> String {
        self.pattern("location:*")
    }

    /// Sorted set: the ids of all locations; the scores are the ids.
    pub(crate) fn location_ids(&self) -> String {
        self.key("locations:ids")
    }

    /// String: the details of a location, as JSON.
    pub(crate) fn location_details(&self, id: LocationId) -> String {
        self.of_id("locationdetails", id.get())
    }

    /// String with a time to live: the response of the weather service.
    pub(crate) fn weather(&self, id: LocationId) -> String {
        self.of_id("weather", id.get())
    }

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

    /// Sorted set with a time to live: the ids of the retracted check-ins of a user, by the time until which they
    /// are kept (ms).
    pub(crate) fn retracted_of_user(&self, id: UserId) -> String {
        companion(&self.user(id), "retracted")
    }

    /// Sorted set with a time to live: the same of a location.
    pub(crate) fn retracted_of_location(&self, id: LocationId) -> String {
        companion(&self.location(id), "retracted")
    }

    /// Sorted set with a time to live: users whose figures were lowered, by the time until which they are kept (ms).
    pub(crate) fn lowered_users(&self) -> String {
        self.key("users:lowered")
    }

    /// Sorted set with a time to live: the same of locations.
    pub(crate) fn lowered_locations(&self) -> String {
        self.key("locations:lowered")
    }

    /// Set: the check-ins that were imported into a partition behind later entries.
    pub(crate) fn imported(&self, partition: usize) -> String {
        self.beside_log(partition, &["imported"])
    }

    /// Set: the Swarm visits in a partition, by their ids at Swarm and by their contents.
    pub(crate) fn swarm_visits(&self, partition: usize) -> String {
        self.beside_log(partition, &["swarm"])
    }

    /// Hash: from a venue of Swarm to the id of its location.
    pub(crate) fn swarm_venues(&self) -> String {
        self.key("swarm:venues")
    }

    /// Sorted set: the entries of a partition whose ids are not their times, by their times (ms).
    pub(crate) fn times(&self, partition: usize) -> String {
        self.beside_log(partition, &["times"])
    }

    /// String: the highest id of a location that was created for a venue.
    pub(crate) fn last_venue_location(&self) -> String {
        companion(&self.swarm_venues(), "last-id")
    }

    /// Set: the ids of locations of venues that two imports were about to create.
    pub(crate) fn shared_venue_locations(&self) -> String {
        companion(&self.swarm_venues(), "shared")
    }

    /// String: the time (ms) before which check-ins may have been removed from the histories.
    pub(crate) fn horizon(&self) -> String {
        self.key("checkins:horizon")
    }

    /// Sorted set: the live processors, by the time (ms) at which their registration expires.
    pub(crate) fn processors(&self) -> String {
        self.key("processors")
    }

    /// Sorted set: the history of a user, `<id> <location> <stars>` by time (ms).
    pub(crate) fn user_history(&self, id: UserId) -> String {
        companion(&self.user(id), "checkins")
    }

    /// Hash: the figures that a user had before the first entry of the history, with the check-ins that were
    /// removed from it.
    pub(crate) fn user_base(&self, id: UserId) -> String {
        companion(&self.user(id), "base")
    }

    /// Sorted set: the history of a location, `<id> <user> <stars>` by time (ms).
    pub(crate) fn location_history(&self, id: LocationId) -> String {
        companion(&self.location(id), "checkins")
    }

    /// Hash: the figures that a location had before the first entry of the history, and the number of the
    /// check-ins that were removed from it.
    pub(crate) fn location_base(&self, id: LocationId) -> String {
        companion(&self.location(id), "base")
    }

    /// Hash: from the number of stars to the number of check-ins.
    pub(crate) fn ratings(&self, id: LocationId) -> String {
        companion(&self.location(id), "ratings")
    }

    /// Sorted set: users by their last check-in (ms).
    pub(crate) fn recent_users(&self) -> String {
        self.key("users:recent")
    }

    /// Sorted set: users whose last check-in was at this location, by its time (ms).
    pub(crate) fn users_at(&self, id: LocationId) -> String {
        self.of_id("users:at", id.get())
    }

    /// Sorted set: users by their number of check-ins.
    pub(crate) fn top_users(&self) -> String {
        self.key("users:bycheckins")
    }

    /// Sorted set with a time to live: users by their number of check-ins in the week that began at
    /// `monday_ms`.
    pub(crate) fn top_users_of_week(&self, monday_ms: u64) -> String {
        self.key(&format!("users:bycheckins:{monday_ms}"))
    }

    /// Sorted set: locations by their number of check-ins.
    pub(crate) fn top_locations(&self) -> String {
        self.key("locations:bycheckins")
    }

    /// Sorted set with a time to live: locations by their number of check-ins in the week that began at
    /// `monday_ms`.
    pub(crate) fn top_locations_of_week(&self, monday_ms: u64) -> String {
        self.key(&format!("locations:bycheckins:{monday_ms}"))
    }

    /// Geographic set: the coordinates of the locations of all categories or of one.
    pub(crate) fn geo(&self, category: Option<Category>) -> String {
        match category {
            Some(category) => self.key(&format!("locations:geo:{category}")),
            None => self.key("locations:geo"),
        }
    }

    /// Sorted set: the ids of a category's locations; the scores are the ids.
    pub(crate) fn locations_in(&self, category: Category) -> String {
        self.key(&format!("locations:category:{category}"))
    }

    /// Sorted set with scores of 0: `<word>\0<id>` for each word by which a location is found.
    pub(crate) fn words(&self) -> String {
        self.key("locations:words:2")
    }

    /// The same set of older programs, which split and fold names in another way.
    pub(crate) fn old_words(&self) -> String {
        self.key("locations:words")
    }

    /// String with a time to live: the number of entries in the old index when its locations were last
    /// indexed again.
    pub(crate) fn old_words_seen(&self) -> String {
        self.key("locations:words:2:from")
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

    // These names are joined and not formatted: each request makes some, and formatting costs more.

    /// The prefix of the marks that must be replicated.
    pub(crate) fn replicated(&self) -> String {
        self.key("replicated")
    }

    /// Returns a key of each form, which does not exist.
    pub(crate) fn samples(&self) -> [String; 2] {
        let sample = self.key("doctor");
        [companion(&sample, "doctor"), sample]
    }

    /// Returns the patterns of all keys.
    pub(crate) fn patterns(&self) -> [String; 2] {
        let own = self.pattern("*");
        [format!("{{{own}"), own]
    }

    fn key(&self, rest: &str) -> String {
        [&self.prefix, ":", rest].concat()
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

    /// Returns the key of a record.
    fn of_id(&self, kind: &str, id: u64) -> String {
        [&self.prefix, ":", kind, ":", &id.to_string()].concat()
    }

    fn pattern(&self, rest: &str) -> String {
        format!("{}:{rest}", glob_escaped(&self.prefix))
    }
}

/// Makes a key in the slot of another key.
fn companion(key: &str, name: &str) -> String {
    match hash_tag(key) {
        // The first braces already decide on the slot.
        Some(_) => [key, ":", name].concat(),
        None => ["{", key, "}:", name].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkin_domain::StarRating;

    fn checkin() -> NewCheckin {
        NewCheckin {
            user: UserId::try_from(77).unwrap(),
            location: LocationId::try_from(2).unwrap(),
            stars: StarRating::try_from(5).unwrap(),
            comment: None,
            is_private: false,
        }
    }

    #[test]
    fn companions_lie_in_the_slot_of_their_key() {
        let keys = Keys::new("ncc", 1);
        assert_eq!(keys.recent(&checkin()), "{ncc:checkins}:recent:77:2:5");
        assert_eq!(keys.email_claim("{a}@b"), "{ncc:users:email}:claim:{a}@b");
        let tagged = Keys::new("{app}", 1);
        assert_eq!(tagged.recent(&checkin()), "{app}:checkins:recent:77:2:5");
    }

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

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(Keys::new("a*[b]", 1).any_user(), r"a\*\[b\]:user:*");
    }
}
