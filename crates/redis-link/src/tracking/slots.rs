//! The slots of a server, and what it says about itself.

use std::fmt;
use std::ops::RangeInclusive;

use crate::keys::{SLOTS, companion_key, hash_slot, hash_tag};

const WORDS: usize = SLOTS as usize / 64;

/// How many keys are tried until one of them has a slot of the server. One slot is hit within so many
/// tries, except once in a million times.
const TRIES: u32 = 250_000;

/// A set of slots of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Slots(Box<[u64; WORDS]>);

impl Slots {
    pub(super) fn all() -> Self {
        Self(Box::new([u64::MAX; WORDS]))
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Returns whether the slot is in the set.
    #[must_use]
    pub fn contains(&self, slot: u16) -> bool {
        let word = self.0.get(usize::from(slot / 64)).copied().unwrap_or_default();
        word & (1 << (slot % 64)) != 0
    }

    /// Returns a key that never exists, in one of these slots that may also have keys with the prefix.
    /// `None` if there is no such slot.
    pub(super) fn heartbeat_key(&self, prefix: &str) -> Option<String> {
        // All keys have the slot of the hash tag.
        let tries = if hash_tag(prefix).is_some() { 1 } else { TRIES };
        let mut keys = (0..tries).map(|number| format!("{prefix}{number}"));
        keys.find(|key| self.contains(hash_slot(key))).map(|key| companion_key(&key, "heartbeat"))
    }
}

impl FromIterator<u16> for Slots {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> Self {
        let mut words = Box::new([0; WORDS]);
        for slot in slots {
            if let Some(word) = words.get_mut(usize::from(slot / 64)) {
                *word |= 1 << (slot % 64);
            }
        }
        Self(words)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        f.debug_tuple("Slots").field(&count).finish()
    }
}

/// What a server says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) slots: Slots,
    pub(super) epoch: u64,
}

impl View {
    /// Returns that of a server that is not part of a cluster.
    pub(super) fn single() -> Self {
        Self { slots: Slots::all(), epoch: 0 }
    }

    /// Reads the reply to `CLUSTER NODES`. In the line of the server itself the third field has the flag
    /// `myself`, the seventh is its epoch, and its slots are the ninth and all later ones. A replica
    /// has none. A slot in brackets is moving, and belongs to the server as long as it is listed
    /// without them, too.
    pub(crate) fn parse(nodes: &str) -> Option<Self> {
        let mut lines = nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let is_myself = |fields: &Vec<&str>| {
            fields.get(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
        };
        let myself = lines.find(is_myself)?;
        let ranges = myself.iter().skip(8).filter(|range| !range.starts_with('[')).map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        });
        let ranges = ranges.collect::<Option<Vec<RangeInclusive<u16>>>>()?;
        let slots = ranges.into_iter().flatten().collect();
        Some(Self { slots, epoch: myself.get(6)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_which_slots_it_has() {
        let nodes = "a 127.0.0.1:1@11,host master - 0 1 2 connected 8192-16383\n\
            b 127.0.0.1:2@12 myself,master - 0 0 17 connected 0-7508 7510 8000-8191 [7509->-a] [9000-<-a]\n";
        let view = View::parse(nodes).unwrap();
        assert_eq!(view.epoch, 17);
        let has = |slot| view.slots.contains(slot);
        assert!([0, 63, 64, 7508, 7510, 8000, 8191].into_iter().all(has));
        assert!(![7509, 7511, 7999, 8192, 9000, 16_383, u16::MAX].into_iter().any(has));
        let replica = View::parse("a 127.0.0.1:1@11 myself,slave b 0 0 17 connected\n").unwrap();
        assert_eq!(replica.slots.heartbeat_key("app:"), None);
        assert_eq!(View::parse("a 127.0.0.1:1@11 master - 0 0 17 connected 0-9\n"), None);
        assert_eq!(View::parse(""), None);
    }

    #[test]
    fn a_heartbeat_has_a_key_of_a_slot_of_the_server() {
        let slots = |range: RangeInclusive<u16>| range.collect::<Slots>();
        for prefix in ["app:", "", "a{b", "a}"] {
            for slots in [Slots::all(), slots(5461..=10_922), slots(77..=77)] {
                let key = slots.heartbeat_key(prefix).unwrap();
                assert!(slots.contains(hash_slot(&key)), "{key}");
                assert!(key.ends_with("}:heartbeat") || key.contains("}:heartbeat:"), "{key}");
            }
        }
        let tagged = hash_slot("{app}:");
        assert!(slots(tagged..=tagged).heartbeat_key("{app}:").is_some());
        let other = slots(tagged + 1..=SLOTS - 1);
        assert_eq!(other.heartbeat_key("{app}:"), None, "it has no key with this prefix");
    }
}
