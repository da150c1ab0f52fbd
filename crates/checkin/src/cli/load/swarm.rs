//! Exports of Swarm: whose they are, and where our places are.

use anyhow::{Context, bail};

use super::{Unsaid, say};
use crate::app::App;
use crate::cli::account::Account;
use crate::domain::{Location, UserId};
use crate::import::{self, Importer, NotPublic, Places};

/// Places that are read in one go.
const PAGE: usize = 1000;

/// Turns the visits of exports into check-ins. Gives the places that are to be made before.
pub(super) async fn add_visits(
    app: &App,
    importer: &mut Importer,
    unsaid: &Unsaid,
) -> anyhow::Result<Vec<Location>> {
    let Unsaid { user, stars, new_places, friends_too } = unsaid;
    let Some(file) = importer.export().cloned() else {
        if user.is_some() || stars.is_some() || new_places.is_some() || *friends_too {
            bail!(
                "--user, --stars, --new-places and --friends-too are for Swarm exports, \
                 and no file holds one"
            );
        }
        return Ok(Vec::new());
    };
    let Some(user) = user else {
        bail!("{file} is a Swarm export, name the user whose it is with --user");
    };
    let Some(stars) = *stars else {
        bail!("{file} is a Swarm export and has no ratings, give one for all with --stars");
    };
    let user = find_user(app, importer, user).await?;
    let mut places = stored_places(app).await?;
    importer.locations().iter().for_each(|location| places.add(location));
    let unsaid = import::Unsaid { user, stars, new_places: *new_places };
    let visits = importer.take_visits(*friends_too);
    Ok(import::add_visits(importer, visits, &mut places, unsaid))
}

/// The account may be in a file of the same run.
async fn find_user(app: &App, importer: &Importer, account: &Account) -> anyhow::Result<UserId> {
    let loaded = importer.users().iter().find(|user| account.is(user.id, &user.email));
    match loaded {
        Some(user) => Ok(user.id),
        None => account.find(&*app.users).await.map(|user| user.id),
    }
}

async fn stored_places(app: &App) -> anyhow::Result<Places> {
    let (mut places, mut after) = (Places::default(), None);
    loop {
        let page = app.locations.locations_after(after, PAGE).await;
        let page = page.context("cannot read the places")?;
        let Some(last) = page.last() else {
            return Ok(places);
        };
        after = Some(last.id);
        page.iter().for_each(|location| places.add(location));
    }
}

/// Says how many check-ins are left out because not everybody was to see them.
pub(super) fn say_not_public(left_out: NotPublic) -> std::io::Result<()> {
    let NotPublic { private, for_friends } = left_out;
    if private > 0 {
        say(format_args!("private check-ins: {private} left out"))?;
    }
    if for_friends > 0 {
        say(format_args!(
            "check-ins for friends: {for_friends} left out, --friends-too loads them"
        ))?;
    }
    Ok(())
}
