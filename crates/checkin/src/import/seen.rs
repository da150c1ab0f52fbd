//! What was in the files already, so that ids and addresses are told apart across all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::error::{RecordPlace, Rule};
use crate::domain::{CheckinId, LocationId, UserId};

/// Only records that were taken are here: a refused one takes nobody's place.
#[derive(Debug, Default)]
pub struct Seen {
    pub users: HashMap<UserId, RecordPlace>,
    /// By canonical form.
    pub emails: HashMap<String, (UserId, RecordPlace)>,
    pub locations: HashMap<LocationId, RecordPlace>,
    pub details: HashMap<LocationId, RecordPlace>,
    pub checkins: HashMap<CheckinId, RecordPlace>,
    /// Check-ins of Swarm; where the first of several stands.
    pub visits: HashMap<CheckinId, RecordPlace>,
}

/// Takes an id for the record at this place, or says which record has it.
pub(super) fn claim<K: Eq + Hash>(
    seen: &mut HashMap<K, RecordPlace>,
    id: K,
    place: &RecordPlace,
) -> Result<(), Rule> {
    match seen.entry(id) {
        Entry::Vacant(entry) => {
            entry.insert(place.clone());
            Ok(())
        }
        Entry::Occupied(entry) => Err(Rule::SameId { other: entry.get().clone() }),
    }
}
