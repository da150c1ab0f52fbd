//! The names of all keys.

use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::{LocationId, NewCheckin, UserId};

/// Makes the names of keys; all of them begin with the prefix, perhaps after a brace.
///
/// On a cluster, a command touches keys of one slot only. The companions of a key carry it in
/// braces, and so lie in its slot.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Hash: one account.
    pub(super) fn user(&self, id: UserId) -> String {
        self.key(&format!("user:{id}"))
    }

    /// What the keys of all accounts match.
    pub(super) fn any_user(&self) -> String {
        self.pattern("user:*")
    }

    /// String: the highest id that an account was given.
    pub(super) fn last_user_id(&self) -> String {
        self.key("users:last-id")
    }

    /// Sorted set: the ids of all accounts, by themselves.
    pub(super) fn user_ids(&self) -> String {
        self.key("users:ids")
    }

    /// Hash: canonical address to id.
    pub(super) fn emails(&self) -> String {
        self.key("users:email")
    }

    /// String with a life: somebody is about to write the user of this address.
    pub(super) fn email_claim(&self, canonical: &str) -> String {
        companion(&self.emails(), &format!("claim:{canonical}"))
    }

    /// Hash: one place.
    pub(super) fn location(&self, id: LocationId) -> String {
        self.key(&format!("location:{id}"))
    }

    /// What the keys of all places match.
    pub(super) fn any_location(&self) -> String {
        self.pattern("location:*")
    }

    /// Sorted set: the ids of all places, by themselves.
    pub(super) fn location_ids(&self) -> String {
        self.key("locations:ids")
    }

    /// String: what else is known of a place, as JSON.
    pub(super) fn location_details(&self, id: LocationId) -> String {
        self.key(&format!("locationdetails:{id}"))
    }

    /// Stream: the log.
    pub(super) fn checkins(&self) -> String {
        self.key("checkins")
    }

    /// String with a life: when this check-in was last made.
    pub(super) fn recent(&self, checkin: &NewCheckin) -> String {
        let NewCheckin { user, location, stars } = checkin;
        companion(&self.checkins(), &format!("recent:{user}:{location}:{stars}"))
    }

    /// String with a life: the check-in that came with this user's idempotency key, and its id.
    /// Hashed, for the key is a stranger's text of any length.
    pub(super) fn idempotency(&self, user: UserId, key: &str) -> String {
        let hash = Sha256::digest(format!("{user}\0{key}"));
        let hex = hash.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        companion(&self.checkins(), &format!("key:{hex}"))
    }

    fn key(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    fn pattern(&self, rest: &str) -> String {
        let mut pattern = String::new();
        for character in self.prefix.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        format!("{pattern}:{rest}")
    }
}

/// A key in the slot of another.
fn companion(key: &str, name: &str) -> String {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    match tag {
        // What stands in the first braces decides on the slot already.
        Some((tag, _)) if !tag.is_empty() => format!("{key}:{name}"),
        _ => format!("{{{key}}}:{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::StarRating;

    fn checkin() -> NewCheckin {
        NewCheckin {
            user: UserId::try_from(77).unwrap(),
            location: LocationId::try_from(2).unwrap(),
            stars: StarRating::try_from(5).unwrap(),
        }
    }

    #[test]
    fn companions_lie_in_the_slot_of_their_key() {
        let keys = Keys::new("ncc");
        assert_eq!(keys.recent(&checkin()), "{ncc:checkins}:recent:77:2:5");
        assert_eq!(keys.email_claim("{a}@b"), "{ncc:users:email}:claim:{a}@b");
        let tagged = Keys::new("{app}");
        assert_eq!(tagged.recent(&checkin()), "{app}:checkins:recent:77:2:5");
    }

    #[test]
    fn idempotency_keys_are_hashed_with_their_user() {
        let keys = Keys::new("ncc");
        let (one, two) = (UserId::try_from(1).unwrap(), UserId::try_from(11).unwrap());
        let key = keys.idempotency(one, "1");
        assert_eq!(key.len(), "{ncc:checkins}:key:".len() + 64);
        assert_ne!(key, keys.idempotency(two, ""));
        assert_ne!(key, keys.idempotency(two, "1"));
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(Keys::new("a*[b]").any_user(), r"a\*\[b\]:user:*");
    }
}
