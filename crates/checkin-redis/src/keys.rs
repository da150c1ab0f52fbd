//! The names of all keys. Those of accounts, their logins and their sessions are in `accounts`, those of the log in `log`.

mod accounts;
mod log;

use std::sync::Arc;

use checkin_domain::{Category, LocationId, UserId};
use redis_link::{glob_escaped, hash_tag};

pub(crate) use log::IdempotencyKey;
use log::LogKey;

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

    /// Hash: from a venue of Swarm to the id of its location.
    pub(crate) fn swarm_venues(&self) -> String {
        self.key("swarm:venues")
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

    // These names are joined and not formatted: each request makes some, and formatting costs more.

    fn key(&self, rest: &str) -> String {
        [&self.prefix, ":", rest].concat()
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
    use checkin_domain::{NewCheckin, StarRating};

    use super::*;

    pub(super) fn checkin() -> NewCheckin {
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
    fn a_prefix_is_no_pattern() {
        assert_eq!(Keys::new("a*[b]", 1).any_user(), r"a\*\[b\]:user:*");
    }
}
