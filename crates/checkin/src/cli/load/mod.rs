//! `checkin load`

mod hash;
mod store;
mod swarm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use self::store::load;
use super::account::Account;
use super::say;
use crate::app::App;
use crate::config::Common;
use crate::demo;
use crate::domain::{Category, StarRating};
use crate::import::{Clock, HoursForm, Importer, RecordError};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin load --demo
  checkin load users.json locations.json
  checkin load swarm.json --user al@example.com --stars 4 --new-places other";

/// Wrong records that are shown one by one; the rest is counted.
const SHOWN: usize = 100;

/// The demo's check-ins lie in the ninety days before the first of November 2026. A fixed day, so
/// that loading the demo again, whenever, changes nothing.
const DEMO_NOW_MS: u64 = 1_793_491_200_000;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// JSON files with users, locations, locationDetails and checkins; CSV files with check-ins; the
    /// check-ins of a Swarm (Foursquare) export
    #[arg(value_name = "FILE", required_unless_present = "demo")]
    files: Vec<PathBuf>,

    /// The demo data set: 1,000 users, 220 places and their past check-ins
    #[arg(long, conflicts_with = "files")]
    demo: bool,

    /// The clock of opening hours without am and pm: 12h, 24h or auto, which takes a file's hours for
    /// twelve-hour times if none is above 12 and some close before they open
    #[arg(long, value_name = "FORM", default_value = "auto", conflicts_with = "demo")]
    hours: HoursForm,

    #[command(flatten)]
    export: Unsaid,
}

/// What a Swarm export does not say.
#[derive(Args, Debug)]
struct Unsaid {
    /// Whose check-ins a Swarm export has
    #[arg(long, value_name = "ID|EMAIL", conflicts_with = "demo")]
    user: Option<Account>,

    /// The rating of each check-in of a Swarm export, 0 to 5: the export has none
    #[arg(long, value_name = "NUMBER", conflicts_with = "demo", value_parser = stars)]
    stars: Option<StarRating>,

    /// Makes places of this category of those in a Swarm export that are not there; without it,
    /// check-ins at them are left out
    #[arg(long, value_name = "CATEGORY", conflicts_with = "demo")]
    new_places: Option<Category>,

    /// Loads check-ins that only friends could see, too: here everybody who is logged in sees them.
    /// Private ones are always left out
    #[arg(long, conflicts_with = "demo")]
    friends_too: bool,
}

fn stars(text: &str) -> Result<StarRating, String> {
    let rating = text.parse::<u64>().ok().and_then(|stars| StarRating::try_from(stars).ok());
    rating.ok_or_else(|| "it is a whole number from 0 to 5".to_owned())
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let app = App::open(config).await?;
    app.reach().await?;
    if options.demo {
        return load_demo(&app).await;
    }
    let mut importer = Importer::new().hours(options.hours);
    for path in &options.files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        importer.add_file(&name, &text);
    }
    swarm::add_visits(&app, &mut importer, &options.export).await?;
    let not_public = importer.not_public();
    for (file, clock) in importer.clocks() {
        say(taken_for(file, *clock))?;
    }
    let left_out = importer.left_out_fields().to_vec();
    let (import, errors) = importer.finish();
    show(&errors)?;
    show(&left_out)?;
    swarm::say_not_public(not_public)?;
    let refused = load(&app, import).await?;
    if refused + errors.len() + left_out.len() > 0 {
        bail!(
            "{} errors, {refused} records refused, {} opening hours left out; the rest is loaded",
            errors.len(),
            left_out.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn taken_for(file: &str, clock: Clock) -> String {
    match clock {
        Clock::TwelveHours => {
            format!(
                "{file}: hours are taken for twelve-hour times, 9-6 for 9-18; or use --hours 24h"
            )
        }
        Clock::TwentyFourHours => {
            format!("{file}: hours are taken for 24-hour times; or use --hours 12h")
        }
    }
}

fn show(errors: &[RecordError]) -> std::io::Result<()> {
    errors.iter().take(SHOWN).try_for_each(say)?;
    match errors.len().checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(more) => say(format_args!("… and {more} more errors")),
    }
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
