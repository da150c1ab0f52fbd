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
    /// The time of creation, in milliseconds since 1970 by the clock of Redis.
    pub(super) created: String,
    /// The epoch that the session was created with, if any.
    pub(super) epoch: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, id: &SessionId) -> Self {
        let session = [prefix, id.as_str()].concat();
        let (revoked, created) =
            (companion_key(&session, "revoked"), companion_key(&session, "created"));
        let epoch = companion_key(&session, "epoch");
        Self { session, revoked, created, epoch }
    }

    /// Returns the keys in the order in which the scripts expect them.
    pub(super) fn all(&self) -> [&[u8]; 4] {
        [&self.session, &self.revoked, &self.created, &self.epoch].map(String::as_bytes)
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
            for companion in [&keys.revoked, &keys.created, &keys.epoch] {
                assert_eq!(hash_slot(companion), hash_slot(&keys.session), "{companion}");
                assert!(prefix.is_empty() || !companion.starts_with(prefix), "{companion}");
            }
            assert_eq!(keys.all().iter().collect::<std::collections::HashSet<_>>().len(), 4);
        }
    }
}
