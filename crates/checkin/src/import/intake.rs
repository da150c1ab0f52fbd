//! Accepts records. A record that is valid by itself is accepted unless another record, in this
//! file or an earlier one, has the same id or address, or is the same check-in.

use sha2::{Digest, Sha256};

use super::door::{self, Clock};
use super::error::{RecordError, RecordPlace, Rule};
use super::records::{
    CheckinFields, CheckinRecord, DetailsFields, DetailsRecord, Import, LocationFields, UserFields,
    UserRecord,
};
use super::seen::{Seen, claim};
use super::time::TimeLimit;
use crate::domain::{
    Checkin, CheckinId, Location, LocationDetails, MAX_SAFE_INTEGER, NewCheckin, Visit,
};
use crate::input::{Fields, FromFields};

/// The maximum number of errors of records that are kept in a list of them. Every other byte of a file may be a wrong
/// record, and an error takes some hundred bytes. The others are only counted.
pub const MAX_ERRORS: usize = 100_000;

/// The accepted records, and the errors of the others.
#[derive(Debug, Default)]
pub(super) struct Intake {
    pub(super) import: Import,
    pub(super) errors: Vec<RecordError>,
    /// The errors of fields that were left out of otherwise valid records.
    pub(super) left_out_fields: Vec<RecordError>,
    /// The number of errors that are not kept.
    pub(super) more_errors: usize,
    pub(super) seen: Seen,
    pub(super) latest: TimeLimit,
}

impl Intake {
    /// Records an error. Those of a file or a list as a whole are always kept.
    pub(super) fn report(&mut self, place: &RecordPlace, field: Option<&str>, rule: Rule) {
        if self.errors.len() >= MAX_ERRORS && place.position.is_of_record() {
            self.more_errors += 1;
            return;
        }
        self.keep(place.clone(), field.map(str::to_owned), rule);
    }

    /// Records an error that is always kept, such as that of the rest of a file.
    pub(super) fn keep(&mut self, place: RecordPlace, field: Option<String>, rule: Rule) {
        self.errors.push(RecordError { place, field, rule });
    }

    pub(super) fn add_user(&mut self, place: RecordPlace, fields: Fields<'_>) {
        let Some(user) = self.read::<UserFields>(&place, fields).map(UserRecord::from) else {
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

    pub(super) fn add_location(&mut self, place: &RecordPlace, fields: Fields<'_>) {
        let Some(location) = self.read::<LocationFields>(place, fields).map(Location::from) else {
            return;
        };
        match claim(&mut self.seen.locations, location.id, place) {
            Ok(()) => self.import.locations.push(location),
            Err(rule) => self.report(place, Some("id"), rule),
        }
    }

    /// Adds details whose opening hours are on `clock`.
    pub(super) fn add_details(&mut self, place: &RecordPlace, fields: Fields<'_>, clock: Clock) {
        let Some(record) = self.read::<DetailsFields>(place, fields).map(DetailsRecord::from)
        else {
            return;
        };
        let DetailsRecord { details, days, left_out } = record;
        for (field, rule) in left_out {
            self.leave_out(place, field, Rule::Value(rule));
        }
        if let Err(rule) = claim(&mut self.seen.details, details.id, place) {
            return self.report(place, Some("id"), rule);
        }
        let (hours, wrong) = door::week(days, clock);
        for (days, rule) in wrong {
            self.leave_out(place, "hours", Rule::OfDays { days, rule });
        }
        self.import.details.push(LocationDetails { hours, ..details });
    }

    pub(super) fn add_checkin(&mut self, place: &RecordPlace, fields: Fields<'_>) {
        let Some(record) = self.read::<CheckinFields>(place, fields).map(CheckinRecord::from)
        else {
            return;
        };
        let CheckinRecord { id, time_ms, checkin } = record;
        let Some(id) = id else {
            return self.add_visit(place, time_ms, checkin);
        };
        match claim(&mut self.seen.checkins, id, place) {
            Ok(()) => self.import.checkins.push(Checkin { time_ms, ..checkin.with_id(id) }),
            Err(rule) => self.report(place, Some("id"), rule),
        }
    }

    /// Adds a check-in without an id, under an id that follows from its content.
    fn add_visit(&mut self, place: &RecordPlace, time_ms: u64, checkin: NewCheckin) {
        let id = visit_id(time_ms, &checkin);
        let checkin = checkin.with_id(id);
        match claim(&mut self.seen.checkins, checkin.id, place) {
            Ok(()) => self.import.checkins.push(checkin),
            Err(Rule::SameId { other }) => self.report(place, None, Rule::SameVisit { other }),
            Err(rule) => self.report(place, None, rule),
        }
    }

    /// Adds a Swarm check-in with this id. It may be added several times, because exports overlap.
    pub(super) fn add_swarm_visit(
        &mut self,
        place: RecordPlace,
        swarm_id: Option<String>,
        time_ms: u64,
        checkin: NewCheckin,
    ) {
        let id = visit_id(time_ms, &checkin);
        let checkin = checkin.with_id(id);
        self.seen.visits.entry(checkin.id).or_insert(place);
        self.import.visits.push(Visit { checkin, swarm_id });
    }

    fn read<T: FromFields<Context = TimeLimit>>(
        &mut self,
        place: &RecordPlace,
        fields: Fields<'_>,
    ) -> Option<T> {
        let latest = self.latest;
        match fields.read(&latest, &Rule::Unknown.to_string()) {
            Ok(record) => Some(record),
            Err(broken) => {
                for broken in broken {
                    self.report(place, Some(&broken.field), Rule::Value(broken.rule));
                }
                None
            }
        }
    }

    fn leave_out(&mut self, place: &RecordPlace, field: &str, rule: Rule) {
        let (place, field) = (place.clone(), Some(field.to_owned()));
        self.left_out_fields.push(RecordError { place, field, rule });
    }
}

/// Returns the id of a check-in that has none. It is the same each time the check-in is loaded, and
/// differs between all visits of one millisecond, also of different users and files.
fn visit_id(time_ms: u64, checkin: &NewCheckin) -> CheckinId {
    let NewCheckin { user, location, stars, .. } = checkin;
    let hash = Sha256::digest(format!("{user} {location} {stars}"));
    let seq = hash.iter().take(8).fold(0, |seq, byte| seq << 8 | u64::from(*byte));
    // The largest integer that JavaScript can represent.
    CheckinId { ms: time_ms, seq: seq & MAX_SAFE_INTEGER }
}
