//! The keys of a session in Redis.

use redis_link::companion_key;

use crate::id::SessionId;

/// The keys of one session. All lie in one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The session itself, where connect-redis keeps it.
    pub(super) session: String,
    /// The tombstone: it exists while the id must not be used again.
    pub(super) revoked: String,
    /// When the session was created, in milliseconds since 1970 by Redis's clock.
    pub(super) created: String,
    /// The number that the session was created with, if any.
    pub(super) epoch: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, id: &SessionId) -> Self {
        let session = format!("{prefix}{}", id.as_str());
        let (revoked, created) =
            (companion_key(&session, "revoked"), companion_key(&session, "created"));
        let epoch = companion_key(&session, "epoch");
        Self { session, revoked, created, epoch }
    }

    /// As the scripts take them.
    pub(super) fn all(&self) -> [&[u8]; 4] {
        [&self.session, &self.revoked, &self.created, &self.epoch].map(String::as_bytes)
    }
}

#[cfg(test)]
mod tests {
    use redis_link::hash_slot;

    use super::*;

    #[test]
    fn what_is_kept_besides_lies_in_the_same_slot_and_outside_the_prefix() {
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
            for beside in [&keys.revoked, &keys.created, &keys.epoch] {
                assert_eq!(hash_slot(beside), hash_slot(&keys.session), "{beside}");
                assert!(prefix.is_empty() || !beside.starts_with(prefix), "{beside}");
            }
            assert_eq!(keys.all().iter().collect::<std::collections::HashSet<_>>().len(), 4);
        }
    }
}
