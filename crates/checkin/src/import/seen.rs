//! The ids and addresses of the records that were taken so far, from all files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use super::error::{Position, RecordPlace, Rule, Section};
use super::records::Import;
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

impl Seen {
    /// Data that are in no file: each record stands at its index in its list, under this name.
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
