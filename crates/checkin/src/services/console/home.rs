//! The first page.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::try_join_all;

use super::client::Visitor;
use super::page::{Frame, Page};
use super::refusal::Refusal;
use super::routes::Console;
use super::views::{Checkin, Place};
use super::walk_through::{Exchange, Walk};

/// The number of popular places.
const POPULAR: usize = 6;

/// The number of check-ins that the page begins with.
const LATEST: usize = 10;

#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct Home {
    frame: Frame,
    popular: Vec<Place>,
    of_this_week: bool,
    /// `None` if nobody is logged in, or if a new account has looked at too many lists.
    latest: Option<Vec<NamedCheckin>>,
    /// `None` if there is no demo account, or if the visitor has another one.
    walk: Option<Walk>,
}

/// A check-in with the names of the user and of the place.
struct NamedCheckin {
    checkin: Checkin,
    person: String,
    place: String,
}

impl Home {
    /// Returns the page. `walk` is the walk-through after a step.
    pub(super) async fn of(visitor: &Visitor, walk: Option<Walk>) -> Result<Self, Refusal> {
        let frame = Frame::of(visitor, "home").await?;
        let (popular, of_this_week) = visitor.popular(POPULAR).await?;
        let latest = match &frame.user {
            Some(_) => latest(visitor).await?,
            None => None,
        };
        Ok(Self { frame, popular, of_this_week, latest, walk })
    }
}

pub(super) async fn show(
    State(console): State<Console>,
    visitor: Visitor,
) -> Result<Page<Home>, Refusal> {
    let page = Home::of(&visitor, None).await?;
    let walk = match page.frame.user {
        Some(_) => None,
        None => Walk::offered(&console).await,
    };
    Ok(Page(Home { walk, ..page }))
}

async fn latest(visitor: &Visitor) -> Result<Option<Vec<NamedCheckin>>, Refusal> {
    let path = format!("/api/checkins/latest?limit={LATEST}");
    let Some(checkins) = visitor.side_list(&path).await? else { return Ok(None) };
    let named = try_join_all(checkins.into_iter().map(|checkin| named(visitor, checkin))).await?;
    Ok(Some(named.into_iter().flatten().collect()))
}

/// Returns `None` if the user or the place does not exist: then the check-in is a dead letter, or will be one.
async fn named(visitor: &Visitor, checkin: Checkin) -> Result<Option<NamedCheckin>, Refusal> {
    let Some(person) = checkin.person() else { return Ok(None) };
    match visitor.get(&format!("/api/location/{}", checkin.location_id)).await {
        Ok(Place { name: place, .. }) => Ok(Some(NamedCheckin { checkin, person, place })),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
