//! The command `checkin load`.

mod errors;
mod hash;
mod store;
mod swarm;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use self::store::{Files, load};
use super::account::AccountArgument;
use super::one_shot::on_new_store;
use super::{now_ms, say};
use crate::app::App;
use crate::config::Common;
use crate::demo;
use crate::domain::{Category, StarRating};
use crate::import::{Clock, Counts, HoursForm, Importer, RecordError, Seen};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin load --demo
  checkin load users.json locations.json
  checkin load swarm.json --user al@example.com --stars 4 --new-places cafe";

/// The file name of the standard input.
const STDIN: &str = "-";

/// The maximum size of a file: several million check-ins. A file is read into memory as a whole.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// The end of the demo check-ins, which lie in the ninety days before 1 November 2026. The day is
/// fixed, so that loading the demo data again never changes anything.
const DEMO_NOW_MS: u64 = 1_793_491_200_000;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The files to load: JSON with users, locations, locationDetails and checkins; CSV with
    /// check-ins; JSON of a Swarm (Foursquare) export; - is the standard input
    #[arg(value_name = "FILE", required_unless_present = "demo")]
    files: Vec<PathBuf>,

    /// Loads the demo data: 1,000 users, 220 locations and their past check-ins
    #[arg(long, conflicts_with = "files")]
    demo: bool,

    /// How to read opening hours without am and pm: 12h, 24h or auto. auto reads the hours of a
    /// file as 12-hour times if none is above 12 and some close before they open
    #[arg(long, value_name = "FORM", default_value = "auto", conflicts_with = "demo")]
    hours: HoursForm,

    /// Prints every error, up to the first 100,000 of the files and as many of each kind of record that the store refuses.
    /// Without it, each kind of error is printed once with its number
    #[arg(long)]
    all_errors: bool,

    #[command(flatten)]
    export: Unsaid,
}

/// The settings of a Swarm export that the file does not contain.
#[derive(Args, Debug)]
struct Unsaid {
    /// The user of a Swarm export
    #[arg(long, value_name = "ID|EMAIL", conflicts_with = "demo")]
    user: Option<AccountArgument>,

    /// The rating of each check-in of a Swarm export, 0 to 5. The export has no ratings
    #[arg(long, value_name = "NUMBER", conflicts_with = "demo", value_parser = stars)]
    stars: Option<StarRating>,

    /// Creates a location of this category for each location of a Swarm export that the store does not
    /// have. Without it, check-ins at such locations are left out
    #[arg(long, value_name = "CATEGORY", conflicts_with = "demo")]
    new_places: Option<Category>,

    /// Also loads check-ins that only friends could see. Every logged-in user sees them here.
    /// Private check-ins are always left out
    #[arg(long, conflicts_with = "demo")]
    friends_too: bool,
}

fn stars(text: &str) -> Result<StarRating, String> {
    let rating = text.parse::<u64>().ok().and_then(|stars| StarRating::try_from(stars).ok());
    rating.ok_or_else(|| "must be an integer from 0 to 5".to_owned())
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    if options.demo {
        return on_new_store(config, async |app| show_demo(app, options.all_errors).await).await;
    }
    let mut importer = Importer::new(now_ms()).hours(options.hours);
    for path in &options.files {
        let name = name(path);
        match read(path) {
            Ok(bytes) => importer.add_bytes(&name, &bytes),
            Err(error) => importer.add_unreadable(&name, &error),
        }
    }
    let mut printer = Printer { all: options.all_errors, shortened: false };
    let damaged = importer.counts().damaged_files;
    let more_errors = importer.more_errors();
    if damaged == options.files.len() {
        printer.show(&importer.finish().1)?;
        printer.hint(more_errors)?;
        bail!("{}; nothing is loaded", unreadable(damaged));
    }
    swarm::check(&importer, &options.export)?;
    on_new_store(config, async |app| store_all(app, importer, printer, &options).await).await
}

/// Stores the records and prints the result.
async fn store_all(
    app: &App,
    mut importer: Importer,
    mut printer: Printer,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let damaged = importer.counts().damaged_files;
    swarm::add_visits(app, &mut importer, &options.export).await?;
    for (file, clock) in importer.clocks() {
        say(taken_for(file, *clock))?;
    }
    for file in importer.empty_files() {
        say(format_args!("{file}: holds no records"))?;
    }
    let (not_public, counts) = (importer.not_public(), importer.counts());
    let unknown_venues = importer.unknown_venues().to_vec();
    let mut left_out_fields = importer.left_out_fields().to_vec();
    let (seen, more_errors) = (importer.take_seen(), importer.more_errors());
    let (import, errors) = importer.finish();
    printer.show(&errors)?;
    printer.show(&unknown_venues)?;
    swarm::say_left_out(not_public, unknown_venues.len())?;
    let left_out = not_public.private + not_public.for_friends + unknown_venues.len();
    let files = Files { name: "the files", counts, left_out };
    let outcome = load(app, import, &seen, files).await?;
    if counts.empty_rows > 0 {
        say(format_args!("empty rows: {} skipped", counts.empty_rows))?;
    }
    printer.show(&outcome.errors)?;
    // Records that the store already had stay as they are.
    left_out_fields.retain(|error| outcome.stored_details.contains(&error.place));
    printer.show(&left_out_fields)?;
    printer.hint(more_errors + outcome.more_errors)?;
    let records = refusal(outcome.refused, files.records(), damaged, errors.len() + more_errors);
    let fields = match left_out_fields.len() {
        0 => None,
        1 => Some("1 field left out".to_owned()),
        fields => Some(format!("{fields} fields left out")),
    };
    let what: Vec<String> = [records, fields].into_iter().flatten().collect();
    if what.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let rest = match (outcome.stored, outcome.unchanged) {
        (0, 0) => "nothing is loaded",
        (0, _) => "the rest was there already",
        _ => "the rest is loaded",
    };
    bail!("{}; {rest}", what.join(", "))
}

/// Prints all errors, or each kind of error once.
struct Printer {
    all: bool,
    /// Whether there are more errors than were printed.
    shortened: bool,
}

impl Printer {
    fn show(&mut self, errors: &[RecordError]) -> io::Result<()> {
        if self.all {
            return errors.iter().try_for_each(say);
        }
        let (lines, shortened) = errors::grouped(errors);
        self.shortened |= shortened;
        lines.iter().try_for_each(say)
    }

    /// Prints the number of errors that are not kept, and how to see the others.
    fn hint(&self, more_errors: usize) -> io::Result<()> {
        match more_errors {
            0 => {}
            1 => say("… and 1 more error")?,
            _ => say(format_args!("… and {more_errors} more errors"))?,
        }
        match (self.shortened, more_errors) {
            (false, _) => Ok(()),
            (true, 0) => say("--all-errors prints every error"),
            (true, _) => say("--all-errors prints each of the others"),
        }
    }
}

fn taken_for(file: &str, clock: Clock) -> String {
    match clock {
        Clock::TwelveHours => {
            format!(
                "{file}: opening hours are read as 12-hour times (9-6 is 9-18); use --hours 24h to change this"
            )
        }
        Clock::TwentyFourHours => {
            format!(
                "{file}: opening hours are read as 24-hour times; use --hours 12h to change this"
            )
        }
    }
}

/// Returns the name of a file for messages.
fn name(path: &Path) -> String {
    match path == Path::new(STDIN) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// Reads a file into memory.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = match path == Path::new(STDIN) {
        true => io::stdin().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?,
    };
    if length as u64 > MAX_FILE_BYTES {
        let rule = format!("must have at most {} MiB; split it", MAX_FILE_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, rule));
    }
    Ok(bytes)
}

fn unreadable(files: usize) -> String {
    match files {
        1 => "1 file cannot be read".to_owned(),
        _ => format!("{files} files cannot be read"),
    }
}

/// Returns the line about refused records, if there are any.
fn refusal(refused: usize, records: usize, damaged: usize, errors: usize) -> Option<String> {
    let files = (damaged > 0).then(|| unreadable(damaged));
    let records = (refused > 0).then(|| format!("{refused} of {records} records refused"));
    let parts: Vec<String> = [files, records].into_iter().flatten().collect();
    match (parts.is_empty(), errors) {
        (false, _) => Some(parts.join(", ")),
        (true, 0) => None,
        // Errors of parts of records that were stored, or of a list as a whole.
        (true, 1) => Some("1 part of the files refused".to_owned()),
        (true, _) => Some(format!("{errors} parts of the files refused")),
    }
}

/// Loads the demo data into an empty store.
pub(super) async fn load_demo(app: &App) -> anyhow::Result<()> {
    store_demo(app, &mut Printer { all: false, shortened: false }).await.map(drop)
}

async fn show_demo(app: &App, all_errors: bool) -> anyhow::Result<ExitCode> {
    let mut printer = Printer { all: all_errors, shortened: false };
    let refused = store_demo(app, &mut printer).await?;
    printer.hint(0)?;
    match refused {
        0 => Ok(ExitCode::SUCCESS),
        1 => bail!("1 record of the demo data conflicts with the data in the store"),
        _ => bail!("{refused} records of the demo data conflict with the data in the store"),
    }
}

/// Stores the demo data. Records that the store already has stay as they are. Returns the number of
/// refused records.
async fn store_demo(app: &App, printer: &mut Printer) -> anyhow::Result<usize> {
    let data = demo::data(DEMO_NOW_MS);
    let seen = Seen::of("demo data", &data);
    let files = Files { name: "the demo data", counts: Counts::default(), left_out: 0 };
    let outcome = load(app, data, &seen, files).await?;
    printer.show(&outcome.errors)?;
    Ok(outcome.refused)
}
