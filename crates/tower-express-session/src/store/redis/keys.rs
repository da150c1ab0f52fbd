//! Where a session lies in Redis, and what is kept of it besides.

use redis::cluster_routing::Slot;

use crate::id::SessionId;

/// The keys of one session. All lie in one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The session itself, where connect-redis keeps it.
    pub(super) session: String,
    /// There while the session's id is barred.
    pub(super) revoked: String,
    /// When the session was made, in milliseconds since 1970 by Redis's clock.
    pub(super) created: String,
    /// The number that the session was created with, if any.
    pub(super) epoch: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, id: &SessionId) -> Self {
        let session = format!("{prefix}{}", id.as_str());
        let (revoked, created) = (beside(&session, "revoked"), beside(&session, "created"));
        let epoch = beside(&session, "epoch");
        Self { session, revoked, created, epoch }
    }

    /// As the scripts take them.
    pub(super) fn all(&self) -> [&[u8]; 4] {
        [&self.session, &self.revoked, &self.created, &self.epoch].map(String::as_bytes)
    }
}

/// A key in the same slot of a cluster. Without braces the whole key decides on its slot, so that it
/// becomes the hash tag; a key that has a tag keeps it. Else a number serves that leads there.
fn beside(key: &str, name: &str) -> String {
    if !key.contains(['{', '}']) {
        return format!("{{{key}}}:{name}");
    }
    let tagged = |tag: &str| format!("{{{tag}}}:{name}:{key}");
    match hash_tag(key) {
        Some(tag) => tagged(tag),
        None => (0..u32::MAX)
            .map(|number| tagged(&number.to_string()))
            .find(|candidate| Slot::for_key(candidate) == Slot::for_key(key))
            .expect("there are far more numbers than slots"),
    }
}

/// What Redis Cluster looks at to find a key's slot: what stands between the first `{` and the next
/// `}`, unless that is nothing.
fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
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
                assert_eq!(Slot::for_key(beside), Slot::for_key(&keys.session), "{beside}");
                assert!(prefix.is_empty() || !beside.starts_with(prefix), "{beside}");
            }
            assert_eq!(keys.all().iter().collect::<std::collections::HashSet<_>>().len(), 4);
        }
    }
}
