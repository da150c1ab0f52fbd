//! `checkin export`

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::account::Account;
use super::say;
use crate::app::App;
use crate::config::Common;
use crate::domain::{Checkin, Location, LocationId, UserId};
use crate::export::{Format, Visit, Writer};
use crate::storage::HistoryPosition;

/// Check-ins that are read in one go.
const PAGE: usize = 1000;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Whose check-ins
    #[arg(long, value_name = "ID|EMAIL")]
    user: Account,

    /// json or csv, which can be loaded again; or gpx, for maps
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: Format,

    /// A file to write to, in place of what it holds; without one, the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let app = App::open(config).await?;
    app.reach().await?;
    let user = options.user.find(&*app.users).await?.id;
    match &options.output {
        None => {
            let out = BufWriter::new(io::stdout());
            write(&app, user, options.format, out).await?;
        }
        Some(path) => {
            let file = path.display();
            let cannot = || format!("cannot write {file}");
            let out = BufWriter::new(File::create(path).with_context(cannot)?);
            let count = write(&app, user, options.format, out).await.with_context(cannot)?;
            say(format_args!("{count} check-ins written to {file}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives the number of check-ins.
async fn write(app: &App, user: UserId, format: Format, out: impl Write) -> anyhow::Result<usize> {
    let cannot = "the export broke off";
    let mut writer = Writer::new(format, out).context(cannot)?;
    let (mut places, mut after, mut count) = (HashMap::new(), None, 0);
    loop {
        let page =
            app.history.of_user(user, after, PAGE).await.context("cannot read the history")?;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(HistoryPosition::from(last));
        look_up(app, &page, &mut places).await?;
        for checkin in page {
            let location = places.get(&checkin.location).and_then(Option::as_ref);
            writer.write(&Visit { checkin, location }).context(cannot)?;
            count += 1;
        }
    }
    writer.finish().context(cannot)?;
    Ok(count)
}

/// Each place once: who goes out goes to the same ones.
async fn look_up(
    app: &App,
    page: &[Checkin],
    places: &mut HashMap<LocationId, Option<Location>>,
) -> anyhow::Result<()> {
    for checkin in page {
        if let Entry::Vacant(entry) = places.entry(checkin.location) {
            let place = app.locations.location(checkin.location).await;
            entry.insert(place.context("cannot read a place")?);
        }
    }
    Ok(())
}
