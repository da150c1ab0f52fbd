//! The ids and addresses of the records that were accepted so far, from all files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use super::error::{Position, RecordPlace, Rule, Section};
use super::records::Import;
use crate::domain::{CheckinId, LocationId, UserId};

/// Contains only accepted records: a refused record does not reserve its id or address.
#[derive(Debug, Default)]
pub struct Seen {
    pub users: HashMap<UserId, RecordPlace>,
    /// The keys are the canonical forms of the addresses.
    pub emails: HashMap<String, (UserId, RecordPlace)>,
    pub locations: HashMap<LocationId, RecordPlace>,
    pub details: HashMap<LocationId, RecordPlace>,
    pub checkins: HashMap<CheckinId, RecordPlace>,
    /// The check-ins of Swarm, with the place of the first one of each id.
    pub visits: HashMap<CheckinId, RecordPlace>,
}

impl Seen {
    /// Creates the places of data that are not in a file: each record has its index in its list,
    /// under this name.
    pub fn of(name: &str, import: &Import) -> Self {
        let file: Arc<str> = name.into();
        let mut seen = Self::default();
        let at = |section, index| RecordPlace {
            file: Arc::clone(&file),
            position: Position::Record(section, index),
        };
        let users = import.users.iter().enumerate();
        seen.users.extend(users.map(|(index, user)| (user.id, at(Section::Users, index))));
        let details = import.details.iter().enumerate();
        let details = details.map(|(index, of)| (of.id, at(Section::LocationDetails, index)));
        seen.details.extend(details);
        let checkins = import.checkins.iter().enumerate();
        seen.checkins.extend(checkins.map(|(index, of)| (of.id, at(Section::Checkins, index))));
        seen
    }
}

/// Reserves an id for the record at this place, or returns the record that has it already.
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
