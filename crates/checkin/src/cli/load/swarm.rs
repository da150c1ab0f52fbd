//! Swarm exports: finds their user, and the locations of their venues.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;

use super::{Unsaid, say};
use crate::app::App;
use crate::cli::Usage;
use crate::cli::account::AccountArgument;
use crate::cli::progress;
use crate::domain::{Category, LocationId, UserId};
use crate::import::{self, Importer, NotPublic, Places, SwarmVisit, Venues};

/// The number of locations that are read at once.
const PAGE: usize = 1000;

/// The number of venues that are stored at once.
const BATCH: usize = 500;

/// Checks the flags against what the files hold.
pub(super) fn check(importer: &Importer, unsaid: &Unsaid) -> Result<(), Usage> {
    let Unsaid { user, stars, new_places, friends_too } = unsaid;
    let wrong = match importer.export() {
        Some(file) if user.is_none() => {
            format!("{file} is a Swarm export: its user must be named with --user")
        }
        Some(file) if stars.is_none() => {
            format!("{file} is a Swarm export without ratings: a rating must be given with --stars")
        }
        Some(_) => return Ok(()),
        None => {
            let has_flags =
                user.is_some() || stars.is_some() || new_places.is_some() || *friends_too;
            // A damaged or empty file may be the Swarm export.
            let may_be = importer.counts().damaged_files > 0 || !importer.empty_files().is_empty();
            if may_be || !has_flags {
                return Ok(());
            }
            "--user, --stars, --new-places and --friends-too need a Swarm export, and no file \
             is one"
                .to_owned()
        }
    };
    Err(Usage(wrong))
}

/// Turns the visits of the exports into check-ins, after creating the missing locations.
pub(super) async fn add_visits(
    app: &App,
    importer: &mut Importer,
    unsaid: &Unsaid,
) -> anyhow::Result<()> {
    let Unsaid { user, stars, new_places, friends_too } = unsaid;
    let (Some(_), Some(user), Some(stars)) = (importer.export(), user, *stars) else {
        return Ok(());
    };
    let user = find_user(app, importer, user).await?;
    let visits = importer.take_visits(*friends_too);
    let venues = locations_of(app, importer, &visits, *new_places).await?;
    import::add_visits(importer, visits, &venues, user, stars);
    Ok(())
}

/// Returns the id of the user, who may be in a file of the same run.
async fn find_user(
    app: &App,
    importer: &Importer,
    account: &AccountArgument,
) -> anyhow::Result<UserId> {
    let loaded = importer.users().iter().find(|user| account.is(user.id, &user.email));
    match loaded {
        Some(user) => Ok(user.id),
        None => account.find_id(&*app.storage).await.context("--user"),
    }
}

/// Returns the locations of the visits' venues. They are stored before any check-in, so that a run
/// that is interrupted leaves nothing that the next run would create again.
async fn locations_of(
    app: &App,
    importer: &Importer,
    visits: &[SwarmVisit],
    new_places: Option<Category>,
) -> anyhow::Result<Venues> {
    let known = known_venues(app, visits).await?;
    let mut places = stored_locations(app).await?;
    importer.locations().iter().for_each(|location| places.add(location));
    let mut venues = Venues::of(visits, &known, places, new_places);
    let made = make_locations(app, &venues).await?;
    venues.settle(&made);
    for batch in venues.found.chunks(BATCH) {
        app.storage.remember_venues(batch).await.context("cannot store venues")?;
    }
    Ok(venues)
}

async fn known_venues(
    app: &App,
    visits: &[SwarmVisit],
) -> anyhow::Result<HashMap<String, LocationId>> {
    let keys: BTreeSet<String> = visits.iter().map(|visit| visit.venue.key()).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let places = app.storage.locations_of(&keys).await.context("cannot read the venues")?;
    Ok(keys.into_iter().zip(places).filter_map(|(key, place)| Some((key, place?))).collect())
}

async fn stored_locations(app: &App) -> anyhow::Result<Places> {
    let (mut places, mut after) = (Places::default(), None);
    loop {
        let page = app.storage.locations_after(after, PAGE).await;
        let page = page.context("cannot read the locations")?;
        let Some(last) = page.last() else {
            return Ok(places);
        };
        after = Some(last.id);
        page.iter().for_each(|location| places.add(location));
    }
}

async fn make_locations(app: &App, venues: &Venues) -> anyhow::Result<Vec<LocationId>> {
    let bar = progress::bar("new locations", venues.missing.len());
    let mut places = Vec::with_capacity(venues.missing.len());
    for batch in venues.missing.chunks(BATCH) {
        places
            .extend(app.storage.make_locations(batch).await.context("cannot store new locations")?);
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let made = places.iter().filter(|place| place.made).count();
    if !places.is_empty() {
        say(format_args!("new places: {made} loaded, {} there already", places.len() - made))?;
    }
    Ok(places.into_iter().map(|place| place.id).collect())
}

/// Prints the number of check-ins that are left out because they were not public or their location is
/// unknown.
pub(super) fn say_left_out(left_out: NotPublic, unknown_venues: usize) -> std::io::Result<()> {
    let NotPublic { private, for_friends } = left_out;
    if private > 0 {
        say(format_args!("private check-ins: {private} left out"))?;
    }
    if for_friends > 0 {
        say(format_args!(
            "check-ins for friends: {for_friends} left out, --friends-too loads them"
        ))?;
    }
    if unknown_venues > 0 {
        say(format_args!(
            "check-ins at unknown locations: {unknown_venues} left out, --new-places creates them"
        ))?;
    }
    Ok(())
}
