//! Records into the store, in batches and with a progress bar.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use anyhow::Context;

use super::hash::hash_passwords;
use super::progress::progress;
use super::say;
use crate::app::App;
use crate::domain::{Checkin, Location, LocationDetails, LocationId, UserId, Visit};
use crate::import::{
    Counts, Import, Position, RecordError, RecordPlace, Rule, Section, Seen, take_out_checkins,
};
use crate::storage::{Loaded, Result as StorageResult};

/// Records that are stored in one go.
const BATCH: usize = 500;

/// What the files had.
#[derive(Clone, Copy)]
pub(super) struct Files {
    /// What the records are in, as it is printed.
    pub(super) name: &'static str,
    /// Nothing of data that are in no file.
    pub(super) counts: Counts,
    /// Check-ins that are left out by design.
    pub(super) left_out: usize,
}

impl Files {
    /// The number of records of every kind.
    pub(super) fn records(&self) -> usize {
        Section::ALL.iter().map(|section| self.counts.of(*section)).sum()
    }
}

/// What became of all records.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) stored: usize,
    pub(super) unchanged: usize,
    /// In the files or by the store.
    pub(super) refused: usize,
    /// What the store refused, and why.
    pub(super) errors: Vec<RecordError>,
    /// Where the details stand that are stored now.
    pub(super) stored_details: HashSet<RecordPlace>,
}

/// Stores everything, and prints what became of each kind of records.
pub(super) async fn load(
    app: &App,
    mut import: Import,
    seen: &Seen,
    files: Files,
) -> anyhow::Result<Outcome> {
    take_out_checkins(&mut import);
    let Import { users, locations, details, mut checkins, mut visits } = import;
    // As far as the log is not past them, they keep the order of their times, whatever the files'.
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
        if !tally.takes(answer) {
            let place = place(places, checkin.id);
            known.refuse(app, &mut tally, &place, checkin).await;
        }
    }
    tally.show(("check-ins", Section::Checkins), files, &mut outcome)?;
    Ok(outcome)
}

const EMAIL_TAKEN: &str = "must not belong to another account";
const NO_USER: &str = "must be the id of a user that exists";
const NO_LOCATION: &str = "must be the id of a location that exists";

/// Where the record of this id stands.
fn place<K: Eq + Hash>(places: &HashMap<K, RecordPlace>, id: K) -> RecordPlace {
    let nowhere = || RecordPlace { file: "a record".into(), position: Position::File };
    places.get(&id).cloned().unwrap_or_else(nowhere)
}

/// Users and locations that check-ins name, and whether they are in the store.
#[derive(Default)]
struct Known {
    users: HashMap<UserId, bool>,
    locations: HashMap<LocationId, bool>,
}

impl Known {
    /// Says which of the two is unknown.
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
            // It is there since.
            let rule = "must name a user and a location that exist";
            tally.refuse(place.clone(), None, rule);
        }
    }
}

/// What the store did with the records of a kind.
#[derive(Default)]
struct LoadCounts {
    stored: usize,
    unchanged: usize,
    errors: Vec<RecordError>,
}

impl LoadCounts {
    /// Counts a record, if it was taken.
    fn takes(&mut self, answer: Loaded) -> bool {
        match answer {
            Loaded::Stored => self.stored += 1,
            Loaded::Unchanged => self.unchanged += 1,
            Loaded::EmailTaken(_) | Loaded::Dangling => return false,
        }
        true
    }

    fn refuse(&mut self, place: RecordPlace, field: Option<&str>, rule: &str) {
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
        let Self { stored, unchanged, errors } = self;
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
        Ok(())
    }
}

/// What became of each record, in their order.
async fn in_batches<T>(
    what: &'static str,
    records: &[T],
    store: impl AsyncFn(&[T]) -> StorageResult<Vec<Loaded>>,
) -> anyhow::Result<Vec<Loaded>> {
    let mut running = Running { what, count: records.len(), answers: Vec::new() };
    let bar = progress(what, records.len());
    for batch in records.chunks(BATCH) {
        let answers = store(batch).await.with_context(|| format!("cannot store {what}"))?;
        running.answers.extend(answers);
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    running.count = 0;
    Ok(std::mem::take(&mut running.answers))
}

/// Prints the numbers so far when it is dropped early: by an error or by a signal.
struct Running {
    what: &'static str,
    /// The number of records; 0 when it is over.
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
        // Those of the last batch may be stored all the same.
        drop(say(format_args!("{line}, {open} not finished")));
    }
}
