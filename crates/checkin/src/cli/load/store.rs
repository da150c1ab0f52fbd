//! Records into the store, in batches and with a progress bar.

use std::collections::BTreeMap;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::hash::hash_passwords;
use super::say;
use crate::app::App;
use crate::domain::{Checkin, Location, LocationDetails, User, Visit};
use crate::import::{Counts, Import, Section, take_out_checkins};
use crate::storage::{Loaded, Result as StorageResult};

/// Records that are stored in one go.
const BATCH: usize = 500;

/// Refused records that are named for each reason.
const NAMED: usize = 5;

/// What the files had; nothing of data that are in no file.
#[derive(Clone, Copy, Default)]
pub(super) struct Files {
    pub(super) counts: Counts,
    /// Check-ins that are left out by design.
    pub(super) left_out: usize,
    /// Whether every refusal is printed.
    pub(super) all_errors: bool,
}

impl Files {
    /// The number of records of every kind.
    pub(super) fn records(&self) -> usize {
        Section::ALL.iter().map(|section| self.counts.of(*section)).sum()
    }
}

/// Stores everything, prints what became of each kind of records, and gives the number of those that
/// were refused, in the files or by the store.
pub(super) async fn load(app: &App, mut import: Import, files: Files) -> anyhow::Result<usize> {
    take_out_checkins(&mut import);
    let Import { users, locations, details, mut checkins, mut visits } = import;
    // As far as the log is not past them, they keep the order of their times, whatever the files'.
    checkins.sort_by_key(|checkin| (checkin.time_ms, checkin.id));
    visits.sort_by_key(|visit| visit.checkin.time_ms);
    let users = hash_passwords(users).await?;
    let bulk = &app.bulk;
    let mut refused = 0;
    let tally = in_batches("users", &users, async |batch| bulk.load_users(batch).await).await?;
    refused += tally.show("users", files.counts.of(Section::Users), 0, &files)?;
    let store = async |batch: &[Location]| bulk.load_locations(batch).await;
    let tally = in_batches("locations", &locations, store).await?;
    refused += tally.show("locations", files.counts.of(Section::Locations), 0, &files)?;
    let store = async |batch: &[LocationDetails]| bulk.load_details(batch).await;
    let tally = in_batches("details", &details, store).await?;
    refused += tally.show("details", files.counts.of(Section::LocationDetails), 0, &files)?;
    let store = async |batch: &[Checkin]| bulk.load_checkins(batch).await;
    let mut tally = in_batches("check-ins", &checkins, store).await?;
    let store = async |batch: &[Visit]| app.swarm.load_visits(batch).await;
    tally.add(in_batches("check-ins", &visits, store).await?);
    let count = files.counts.of(Section::Checkins);
    Ok(refused + tally.show("check-ins", count, files.left_out, &files)?)
}

/// What the store did with the records of a kind.
#[derive(Default)]
struct Tally {
    stored: usize,
    unchanged: usize,
    /// Why, and the record's id.
    refused: Vec<(String, String)>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.unchanged += other.unchanged;
        self.refused.extend(other.refused);
    }

    /// Prints the numbers, which add up to `count`, the number of records in the files. Gives the
    /// number of those refused.
    fn show(
        &self,
        what: &str,
        count: usize,
        left_out: usize,
        files: &Files,
    ) -> anyhow::Result<usize> {
        let Self { stored, unchanged, refused } = self;
        let taken = stored + unchanged;
        let count = count.max(taken + refused.len() + left_out);
        if count == 0 {
            return Ok(0);
        }
        self.show_refused(what, files.all_errors)?;
        let refused = count - taken - left_out;
        let mut line = format!("{what}: {stored} loaded, {unchanged} there already");
        if left_out > 0 {
            line += &format!(", {left_out} left out");
        }
        if refused > 0 {
            line += &format!(", {refused} refused");
        }
        if refused + left_out > 0 {
            line += &format!(" ({count} in the files)");
        }
        say(line)?;
        Ok(refused)
    }

    /// Those that were refused for one reason in one line.
    fn show_refused(&self, what: &str, all: bool) -> std::io::Result<()> {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (why, id) in &self.refused {
            reasons.entry(why).or_default().push(id);
        }
        for (why, ids) in reasons {
            if all || ids.len() == 1 {
                ids.iter().try_for_each(|id| say(format_args!("{what}: {id}: {why}")))?;
                continue;
            }
            let more = if ids.len() > NAMED { ", …" } else { "" };
            let (times, named) = (ids.len(), ids[..NAMED.min(ids.len())].join(", "));
            say(format_args!("{what}: {why} ({times} times: {named}{more})"))?;
        }
        Ok(())
    }
}

async fn in_batches<T: Identified>(
    what: &'static str,
    records: &[T],
    store: impl AsyncFn(&[T]) -> StorageResult<Vec<Loaded>>,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let bar = progress(what, records.len());
    for batch in records.chunks(BATCH) {
        let answers = store(batch).await.with_context(|| format!("cannot store {what}"))?;
        for (record, answer) in batch.iter().zip(answers) {
            match answer {
                Loaded::Stored => tally.stored += 1,
                Loaded::Unchanged => tally.unchanged += 1,
                Loaded::EmailTaken(_) => {
                    let why = "email must not belong to another account".to_owned();
                    tally.refused.push((why, record.id()));
                }
                Loaded::Dangling => {
                    let why = "must name a user and a location that exist".to_owned();
                    tally.refused.push((why, record.id()));
                }
            }
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// Shown at a terminal only.
pub(super) fn progress(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} {wide_bar} {pos}/{len} {eta}")
        .expect("the template is well-formed");
    ProgressBar::new(length as u64).with_style(style).with_message(what)
}

/// How a record is named in messages.
trait Identified {
    fn id(&self) -> String;
}

macro_rules! identified {
    ($($record:ty),*) => {
        $(impl Identified for $record {
            fn id(&self) -> String {
                self.id.to_string()
            }
        })*
    };
}

identified!(User, Location, LocationDetails, Checkin);

impl Identified for Visit {
    fn id(&self) -> String {
        self.checkin.id.to_string()
    }
}
