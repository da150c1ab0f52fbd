//! Where a session lies in Redis, and what is kept of it besides.

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
}

impl Keys {
    pub(super) fn new(prefix: &str, id: &SessionId) -> Self {
        let session = format!("{prefix}{}", id.as_str());
        let (revoked, created) = (beside(&session, "revoked"), beside(&session, "created"));
        Self { session, revoked, created }
    }

    /// As the scripts take them.
    pub(super) fn all(&self) -> [&[u8]; 3] {
        [self.session.as_bytes(), self.revoked.as_bytes(), self.created.as_bytes()]
    }
}

/// A key in the same slot. In a key without a hash tag everything decides on the slot, so that the
/// whole of it becomes the tag; one that has a tag keeps it.
fn beside(key: &str, name: &str) -> String {
    match hash_tag(key) {
        None => format!("{{{key}}}:{name}"),
        Some(tag) => format!("{{{tag}}}:{name}:{key}"),
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
        for (prefix, revoked) in [
            ("sess:", "{sess:id}:revoked"),
            ("", "{id}:revoked"),
            ("{app}sess:", "{app}:revoked:{app}sess:id"),
        ] {
            let keys = Keys::new(prefix, &SessionId::from("id"));
            assert_eq!(keys.session, format!("{prefix}id"));
            assert_eq!(keys.revoked, revoked);
            assert_eq!(
                hash_tag(&keys.revoked).unwrap(),
                hash_tag(&keys.session).unwrap_or(&keys.session)
            );
        }
    }
}
