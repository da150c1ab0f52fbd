//! The keys of a session in Redis.

use redis_link::companion_key;

use crate::id::SessionId;

/// The keys of one session, all in one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The session itself, under the key of connect-redis.
    pub(super) session: String,
    /// The tombstone, which exists while the id must not be used again.
    pub(super) revoked: String,
    /// The epoch that the session was created with, if any.
    pub(super) epoch: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, id: &SessionId) -> Self {
        let session = [prefix, id.as_str()].concat();
        let (revoked, epoch) =
            (companion_key(&session, "revoked"), companion_key(&session, "epoch"));
        Self { session, revoked, epoch }
    }

    /// Returns the keys in the order in which the scripts expect them. The third one, which only they use, is the time
    /// of creation, in milliseconds since 1970 by the clock of Redis.
    pub(super) fn all(self) -> [String; 4] {
        let created = companion_key(&self.session, "created");
        [self.session, self.revoked, created, self.epoch]
    }
}

#[cfg(test)]
mod tests {
    use redis_link::hash_slot;

    use super::*;

    #[test]
    fn companion_keys_are_in_the_same_slot_and_outside_the_prefix() {
        for (prefix, id, revoked) in [
            ("sess:", "id", Some("{sess:id}:revoked")),
            ("", "id", Some("{id}:revoked")),
            ("{app}sess:", "id", Some("{app}:revoked:{app}sess:id")),
            ("sess:", "{a}", Some("{a}:revoked:sess:{a}")),
            ("sess:", "}", None),
            ("sess:", "{", None),
            ("sess:", "{}", None),
        ] {
            let keys = Keys::new(prefix, &SessionId::from(id));
            assert_eq!(keys.session, format!("{prefix}{id}"));
            if let Some(revoked) = revoked {
                assert_eq!(keys.revoked, revoked);
            }
            let keys = keys.all();
            for companion in &keys[1..] {
                assert_eq!(hash_slot(companion), hash_slot(&keys[0]), "{companion}");
                assert!(prefix.is_empty() || !companion.starts_with(prefix), "{companion}");
            }
            assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        }
    }
}
