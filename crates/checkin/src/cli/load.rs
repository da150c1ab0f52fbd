//! `checkin load`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::say;
use crate::app::App;
use crate::config::Common;
use crate::demo;
use crate::domain::{PasswordHash, User};
use crate::import::{Import, Importer, Password, UserRecord, take_out_checkins};
use crate::passwords;
use crate::storage::{Loaded, Result as StorageResult};

/// Records that are stored in one go.
const BATCH: usize = 500;

/// Wrong records that are shown one by one; the rest is counted.
const SHOWN: usize = 100;

/// The demo's check-ins lie in the ninety days before the first of November 2026. A fixed day, so
/// that loading the demo again, whenever, changes nothing.
const DEMO_NOW_MS: u64 = 1_793_491_200_000;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// JSON files with users, locations, locationDetails and checkins
    #[arg(value_name = "FILE", required_unless_present = "demo")]
    files: Vec<PathBuf>,

    /// The demo data set: 1,000 users, 220 places and their past check-ins
    #[arg(long, conflicts_with = "files")]
    demo: bool,
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let app = App::open(config).await?;
    app.reach().await?;
    if options.demo {
        return load_demo(&app).await;
    }
    let mut importer = Importer::new();
    for path in &options.files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        importer.add_file(&name, &text);
    }
    let (import, errors) = importer.finish();
    for error in errors.iter().take(SHOWN) {
        say(error)?;
    }
    if errors.len() > SHOWN {
        say(format_args!("… and {} more errors", errors.len() - SHOWN))?;
    }
    let refused = load(&app, import).await?;
    if refused + errors.len() > 0 {
        bail!("{} errors, {refused} records refused; the rest is loaded", errors.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads the demo data; what is there already stays as it is.
pub(super) async fn load_demo(app: &App) -> anyhow::Result<ExitCode> {
    let refused = load(app, demo::data(DEMO_NOW_MS)).await?;
    // Check-ins of the demo cannot go behind later ones.
    if refused > 0 {
        say(format_args!("{refused} records of the demo data do not fit what is there already"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Stores everything, and gives the number of records that were refused.
async fn load(app: &App, mut import: Import) -> anyhow::Result<usize> {
    take_out_checkins(&mut import);
    let Import { users, locations, details, checkins } = import;
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
fn progress(what: &'static str, length: usize) -> ProgressBar {
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

identified!(User, crate::domain::Location, crate::domain::LocationDetails, crate::domain::Checkin);

/// Hashes plain passwords, on all cores; equal ones once, so that the demo's thousand accounts with
/// one password load at once. (They share a salt then, which tells that their passwords are equal.
/// Of the passwords in one import file that is no secret.)
async fn hash_passwords(records: Vec<UserRecord>) -> anyhow::Result<Vec<User>> {
    let mut hashes = std::collections::HashMap::<String, Option<PasswordHash>>::new();
    for record in &records {
        if let Password::Plain(plain) = &record.password {
            hashes.insert(plain.clone(), None);
        }
    }
    let bar = progress("passwords", hashes.len());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut waiting: Vec<String> = hashes.keys().cloned().collect();
    let mut running = JoinSet::new();
    while let Some(plain) = waiting.pop() {
        if running.len() >= cores {
            keep(&mut running, &mut hashes, &bar).await?;
        }
        running.spawn_blocking(move || (passwords::hash(&plain), plain));
    }
    while !running.is_empty() {
        keep(&mut running, &mut hashes, &bar).await?;
    }
    bar.finish_and_clear();
    let hash_of = |record: &UserRecord| match &record.password {
        Password::Hash(hash) => Some(hash.clone()),
        Password::Plain(plain) => hashes.get(plain).cloned().flatten(),
    };
    let users = records.into_iter().map(|record| {
        let hash = hash_of(&record).context("a password was not hashed")?;
        Ok(record.with_password(hash))
    });
    users.collect()
}

async fn keep(
    running: &mut JoinSet<(PasswordHash, String)>,
    hashes: &mut std::collections::HashMap<String, Option<PasswordHash>>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if let Some(hashed) = running.join_next().await {
        let (hash, plain) = hashed.context("cannot hash a password")?;
        hashes.insert(plain, Some(hash));
        bar.inc(1);
    }
    Ok(())
}
