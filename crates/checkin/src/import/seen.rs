//! What was in the files already, so that ids and addresses are told apart across all of them: a
//! record that is right in itself is taken unless another one has its id, address or visit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Import;
use super::door::{self, Clock};
use super::error::{Position, RecordPlace, Rule, Section};
use super::importer::Importer;
use super::records::{self, CheckinRecord, DetailsRecord};
use crate::domain::{
    Checkin, CheckinId, LocationDetails, LocationId, MAX_SAFE_INTEGER, NewCheckin, UserId, Visit,
};

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

impl Importer {
    pub(super) fn add_user(&mut self, place: RecordPlace, raw: &RawValue) {
        let Some(user) = self.read(&place, raw, records::user) else {
            return;
        };
        let email = user.email.canonical();
        match self.seen.emails.get(&email) {
            Some((other_user, other)) if *other_user != user.id => {
                let (other_user, other) = (*other_user, other.clone());
                let rule = Rule::SameEmail { user: user.id, other_user, other };
                self.report(&place, Some("email"), rule);
            }
            _ => match claim(&mut self.seen.users, user.id, &place) {
                Ok(()) => {
                    self.seen.emails.insert(email, (user.id, place));
                    self.import.users.push(user);
                }
                Err(rule) => self.report(&place, Some("id"), rule),
            },
        }
    }

    pub(super) fn add_location(&mut self, place: RecordPlace, raw: &RawValue) {
        let Some(location) = self.read(&place, raw, records::location) else {
            return;
        };
        match claim(&mut self.seen.locations, location.id, &place) {
            Ok(()) => self.import.locations.push(location),
            Err(rule) => self.report(&place, Some("id"), rule),
        }
    }

    pub(super) fn add_details(&mut self, place: RecordPlace, raw: &RawValue, clock: Clock) {
        let Some(DetailsRecord { details, days }) = self.read(&place, raw, records::details) else {
            return;
        };
        if let Err(rule) = claim(&mut self.seen.details, details.id, &place) {
            return self.report(&place, Some("id"), rule);
        }
        let (hours, wrong) = door::week(days, clock);
        for (days, rule) in wrong {
            self.leave_out(&place, "hours", Rule::OfDays { days, rule });
        }
        self.import.details.push(LocationDetails { hours, ..details });
    }

    pub(super) fn add_checkin(&mut self, place: RecordPlace, raw: &RawValue) {
        let record = self.read(&place, raw, records::checkin);
        self.add_checkin_record(place, record);
    }

    pub(super) fn add_checkin_record(&mut self, place: RecordPlace, record: Option<CheckinRecord>) {
        let Some(CheckinRecord { id, time_ms, checkin }) = record else {
            return;
        };
        let Some(id) = id else {
            return self.add_visit(place, time_ms, checkin);
        };
        match claim(&mut self.seen.checkins, id, &place) {
            Ok(()) => self.import.checkins.push(Checkin { time_ms, ..checkin.with_id(id) }),
            Err(rule) => self.report(&place, Some("id"), rule),
        }
    }

    /// Adds a check-in that was made at this time, under an id of its own.
    fn add_visit(&mut self, place: RecordPlace, time_ms: u64, checkin: NewCheckin) {
        let checkin = checkin.with_id(visit_id(time_ms, checkin));
        match claim(&mut self.seen.checkins, checkin.id, &place) {
            Ok(()) => self.import.checkins.push(checkin),
            Err(Rule::SameId { other }) => self.report(&place, None, Rule::SameVisit { other }),
            Err(rule) => self.report(&place, None, rule),
        }
    }

    /// Adds a check-in that was made at Swarm, where it has this id. It may be there often: exports
    /// overlap.
    pub(super) fn add_swarm_visit(
        &mut self,
        place: RecordPlace,
        swarm_id: Option<String>,
        time_ms: u64,
        checkin: NewCheckin,
    ) {
        let checkin = checkin.with_id(visit_id(time_ms, checkin));
        self.seen.visits.entry(checkin.id).or_insert(place);
        self.import.visits.push(Visit { checkin, swarm_id });
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

/// The id of a check-in that comes without one: the same one whenever it is loaded, and another for
/// every other visit of that millisecond, whoever's and in whichever file.
fn visit_id(time_ms: u64, checkin: NewCheckin) -> CheckinId {
    let NewCheckin { user, location, stars } = checkin;
    let hash = Sha256::digest(format!("{user} {location} {stars}"));
    let seq = hash.iter().take(8).fold(0, |seq, byte| seq << 8 | u64::from(*byte));
    // As large as JavaScript can hold.
    CheckinId { ms: time_ms, seq: seq & MAX_SAFE_INTEGER }
}
