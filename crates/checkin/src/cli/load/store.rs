//! Stores records in batches, with a progress bar.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use anyhow::Context;

use super::hash::hash_passwords;
use super::say;
use crate::app::App;
use crate::cli::progress;
use crate::domain::{Checkin, Location, LocationDetails, LocationId, UserId, Visit};
use crate::import::{
    Counts, Import, MAX_ERRORS, Position, RecordError, RecordPlace, Rule, Section, Seen,
    take_out_checkins,
};
use crate::storage::{Loaded, Result as StorageResult};

/// The number of records in a batch.
const BATCH: usize = 500;

/// The contents of the files, in numbers.
#[derive(Clone, Copy)]
pub(super) struct Files {
    /// The name of the source, as it is printed.
    pub(super) name: &'static str,
    /// The number of records of each kind; 0 for data that did not come from a file.
    pub(super) counts: Counts,
    /// The number of check-ins that are left out on purpose.
    pub(super) left_out: usize,
}

impl Files {
    /// Returns the number of records of all kinds.
    pub(super) fn records(&self) -> usize {
        Section::ALL.iter().map(|section| self.counts.of(*section)).sum()
    }
}

/// The result for all records.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) stored: usize,
    pub(super) unchanged: usize,
    /// Refused while reading the files, or by the store.
    pub(super) refused: usize,
    /// The records that the store refused, with the reasons.
    pub(super) errors: Vec<RecordError>,
    /// The number of errors that are not kept.
    pub(super) more_errors: usize,
    /// The locations of the details that were stored.
    pub(super) stored_details: HashSet<RecordPlace>,
}

/// Stores everything and prints the result for each kind of record.
pub(super) async fn load(
    app: &App,
    mut import: Import,
    seen: &Seen,
    files: Files,
) -> anyhow::Result<Outcome> {
    take_out_checkins(&mut import);
    let Import { users, locations, details, mut checkins, mut visits } = import;
    // They are stored in the order of their times, not in the order of the files.
    checkins.sort_by_key(|checkin| (checkin.time_ms, checkin.id));
    visits.sort_by_key(|visit| visit.checkin.time_ms);
    let users = hash_passwords(users).await?;
    let bulk = &app.storage;
    let mut outcome = Outcome::default();

    let answers = in_batches("users", &users, async |batch| bulk.load_users(batch).await).await?;
    let mut tally = LoadCounts::default();
    for (user, answer) in users.iter().zip(answers) {
        if !tally.takes(answer) {
            tally.refuse(place(&seen.users, user.id), Some("email"), EMAIL_TAKEN);
        }
    }
    tally.show(("users", Section::Users), files, &mut outcome)?;

    let store = async |batch: &[Location]| bulk.load_locations(batch).await;
    let mut tally = LoadCounts::default();
    for answer in in_batches("locations", &locations, store).await? {
        tally.takes(answer);
    }
    tally.show(("locations", Section::Locations), files, &mut outcome)?;

    let store = async |batch: &[LocationDetails]| bulk.load_details(batch).await;
    let answers = in_batches("details", &details, store).await?;
    let mut tally = LoadCounts::default();
    for (details, answer) in details.iter().zip(answers) {
        let place = place(&seen.details, details.id);
        if !tally.takes(answer) {
            tally.refuse(place, Some("id"), NO_LOCATION);
        } else if answer == Loaded::Stored {
            outcome.stored_details.insert(place);
        }
    }
    tally.show(("details", Section::LocationDetails), files, &mut outcome)?;

    let store = async |batch: &[Checkin]| bulk.load_checkins(batch).await;
    let of_files = in_batches("check-ins", &checkins, store).await?;
    let store = async |batch: &[Visit]| app.storage.load_visits(batch).await;
    let of_swarm = in_batches("check-ins", &visits, store).await?;
    let checkins = checkins.iter().zip(of_files).map(|(checkin, it)| (checkin, &seen.checkins, it));
    let visits = visits.iter().zip(of_swarm).map(|(visit, it)| (&visit.checkin, &seen.visits, it));
    let (mut tally, mut known) = (LoadCounts::default(), Known::default());
    for (checkin, places, answer) in checkins.chain(visits) {
        if tally.takes(answer) {
            continue;
        }
        let place = place(places, checkin.id);
        match answer {
            Loaded::TooOld => tally.refuse(place, None, TOO_OLD),
            Loaded::IsPrivate => tally.refuse(place, Some("private"), IS_PRIVATE),
            Loaded::IsPublic => tally.refuse(place, Some("private"), IS_PUBLIC),
            _ => known.refuse(app, &mut tally, &place, checkin).await,
        }
    }
    tally.show(("check-ins", Section::Checkins), files, &mut outcome)?;
    Ok(outcome)
}

const EMAIL_TAKEN: &str = "must not belong to another account";
const NO_USER: &str = "must be the id of a user that exists";
const NO_LOCATION: &str = "must be the id of a location that exists";
const IS_PRIVATE: &str = "must be true: the store has this check-in as a private one";
const IS_PUBLIC: &str = "must be false: the store has this check-in as one that is not private";
const TOO_OLD: &str = "must not be older than the histories that the store keeps";

/// Returns the place of the record with this id.
fn place<K: Eq + Hash>(places: &HashMap<K, RecordPlace>, id: K) -> RecordPlace {
    let nowhere = || RecordPlace { file: "a record".into(), position: Position::File };
    places.get(&id).cloned().unwrap_or_else(nowhere)
}

/// Whether the users and locations that check-ins name are in the store.
#[derive(Default)]
struct Known {
    users: HashMap<UserId, bool>,
    locations: HashMap<LocationId, bool>,
}

impl Known {
    /// Adds an error that names the unknown user or location.
    async fn refuse(
        &mut self,
        app: &App,
        tally: &mut LoadCounts,
        place: &RecordPlace,
        it: &Checkin,
    ) {
        let (user, location) = (it.user, it.location);
        if let Entry::Vacant(entry) = self.users.entry(user) {
            entry.insert(!matches!(app.storage.user(user).await, Ok(None)));
        }
        if let Entry::Vacant(entry) = self.locations.entry(location) {
            entry.insert(!matches!(app.storage.location(location).await, Ok(None)));
        }
        let (has_user, has_location) = (self.users[&user], self.locations[&location]);
        if !has_user {
            tally.refuse(place.clone(), Some("userId"), NO_USER);
        }
        if !has_location {
            tally.refuse(place.clone(), Some("locationId"), NO_LOCATION);
        }
        if has_user && has_location {
            // It was added in the meantime.
            let rule = "must name a user and a location that exist";
            tally.refuse(place.clone(), None, rule);
        }
    }
}

/// The results for the records of one kind.
#[derive(Default)]
struct LoadCounts {
    stored: usize,
    unchanged: usize,
    errors: Vec<RecordError>,
    /// The number of errors that are not kept.
    more_errors: usize,
}

impl LoadCounts {
    /// Counts a record and returns whether the store took it.
    fn takes(&mut self, answer: Loaded) -> bool {
        match answer {
            Loaded::Stored => self.stored += 1,
            Loaded::Unchanged => self.unchanged += 1,
            Loaded::EmailTaken(_)
            | Loaded::Dangling
            | Loaded::IsPrivate
            | Loaded::IsPublic
            | Loaded::TooOld => return false,
        }
        true
    }

    fn refuse(&mut self, place: RecordPlace, field: Option<&str>, rule: &str) {
        if self.errors.len() == MAX_ERRORS {
            self.more_errors += 1;
            return;
        }
        let (field, rule) = (field.map(str::to_owned), Rule::Value(rule.to_owned()));
        self.errors.push(RecordError { place, field, rule });
    }

    /// Prints the numbers, which add up to the number of records in the files, and adds them to the
    /// outcome.
    fn show(
        self,
        (what, section): (&str, Section),
        files: Files,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let Self { stored, unchanged, errors, more_errors } = self;
        let count = files.counts.of(section);
        let left_out = if section == Section::Checkins { files.left_out } else { 0 };
        let taken = stored + unchanged;
        let places: HashSet<&RecordPlace> = errors.iter().map(|error| &error.place).collect();
        let count = count.max(taken + places.len() + left_out);
        if count == 0 {
            return Ok(());
        }
        let refused = count - taken - left_out;
        let mut line = format!("{what}: {stored} loaded, {unchanged} there already");
        if left_out > 0 {
            line += &format!(", {left_out} left out");
        }
        if refused > 0 {
            line += &format!(", {refused} refused");
        }
        if refused + left_out > 0 {
            line += &format!(" ({count} in {})", files.name);
        }
        say(line)?;
        outcome.stored += stored;
        outcome.unchanged += unchanged;
        outcome.refused += refused;
        outcome.errors.extend(errors);
        outcome.more_errors += more_errors;
        Ok(())
    }
}

/// Stores the records in batches and returns the result of each, in order.
async fn in_batches<T>(
    what: &'static str,
    records: &[T],
    store: impl AsyncFn(&[T]) -> StorageResult<Vec<Loaded>>,
) -> anyhow::Result<Vec<Loaded>> {
    let mut running = Running { what, count: records.len(), answers: Vec::new() };
    let bar = progress::bar(what, records.len());
    for batch in records.chunks(BATCH) {
        let answers = store(batch).await.with_context(|| format!("cannot store {what}"))?;
        running.answers.extend(answers);
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    running.count = 0;
    Ok(std::mem::take(&mut running.answers))
}

/// Prints the numbers so far if it is dropped early, by an error or by a signal.
struct Running {
    what: &'static str,
    /// The number of records; 0 at the end.
    count: usize,
    answers: Vec<Loaded>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(open) = self.count.checked_sub(self.answers.len()).filter(|open| *open > 0) else {
            return;
        };
        let mut tally = LoadCounts::default();
        let taken = self.answers.iter().filter(|answer| tally.takes(**answer)).count();
        let (what, LoadCounts { stored, unchanged, .. }) = (self.what, &tally);
        let mut line = format!("{what}: {stored} loaded, {unchanged} there already");
        if taken < self.answers.len() {
            line += &format!(", {} refused", self.answers.len() - taken);
        }
        // Some records of the last batch may be stored.
        drop(say(format_args!("{line}, {open} not finished")));
    }
}
