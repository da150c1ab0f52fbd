//! Records into the store, in batches and with a progress bar.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::hash::hash_passwords;
use super::{SHOWN, say};
use crate::app::App;
use crate::domain::{Checkin, Location, LocationDetails, User, Visit};
use crate::import::{Import, take_out_checkins};
use crate::storage::{Loaded, Result as StorageResult};

/// Records that are stored in one go.
const BATCH: usize = 500;

/// Stores everything, and gives the number of records that were refused.
pub(super) async fn load(app: &App, mut import: Import) -> anyhow::Result<usize> {
    take_out_checkins(&mut import);
    let Import { users, locations, details, mut checkins, mut visits } = import;
    // As far as the log is not past them, they keep the order of their times, whatever the files'.
    checkins.sort_by_key(|checkin| (checkin.time_ms, checkin.id));
    visits.sort_by_key(|visit| visit.checkin.time_ms);
    let users = hash_passwords(users).await?;
    let mut tally = Tally::default();
    let bulk = &app.bulk;
    in_batches("users", &users, &mut tally, async |batch| bulk.load_users(batch).await).await?;
    in_batches("locations", &locations, &mut tally, async |batch| bulk.load_locations(batch).await)
        .await?;
    in_batches("details", &details, &mut tally, async |batch| bulk.load_details(batch).await)
        .await?;
    in_batches("check-ins", &checkins, &mut tally, async |batch| bulk.load_checkins(batch).await)
        .await?;
    let what = if checkins.is_empty() { "check-ins" } else { "Swarm check-ins" };
    in_batches(what, &visits, &mut tally, async |batch| app.swarm.load_visits(batch).await).await?;
    Ok(tally.refused)
}

#[derive(Default)]
struct Tally {
    refused: usize,
}

async fn in_batches<T: Identified>(
    what: &'static str,
    records: &[T],
    tally: &mut Tally,
    store: impl AsyncFn(&[T]) -> StorageResult<Vec<Loaded>>,
) -> anyhow::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let bar = progress(what, records.len());
    let (mut stored, mut unchanged) = (0, 0);
    for batch in records.chunks(BATCH) {
        let answers = store(batch).await.with_context(|| format!("cannot store {what}"))?;
        for (record, answer) in batch.iter().zip(answers) {
            match answer {
                Loaded::Stored => stored += 1,
                Loaded::Unchanged => unchanged += 1,
                refused => {
                    tally.refused += 1;
                    if tally.refused <= SHOWN {
                        bar.suspend(|| say(refusal(what, &record.id(), refused)))?;
                    }
                }
            }
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    say(format_args!("{what}: {stored} loaded, {unchanged} there already"))?;
    Ok(())
}

/// Shown at a terminal only.
pub(super) fn progress(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} {wide_bar} {pos}/{len} {eta}")
        .expect("the template is well-formed");
    ProgressBar::new(length as u64).with_style(style).with_message(what)
}

fn refusal(what: &str, id: &str, answer: Loaded) -> String {
    let why = match answer {
        Loaded::EmailTaken(owner) => format!("user {owner} has the same e-mail address"),
        _ => "it names a user or a location that does not exist".to_owned(),
    };
    format!("{what}: {id}: {why}")
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
