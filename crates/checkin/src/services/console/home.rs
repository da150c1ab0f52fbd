//! The first page.

use askama::Template;
use futures_util::future::try_join_all;

use super::client::{Refusal, Visitor};
use super::page::{Frame, Page};
use super::views::{Checkin, FullName, Place};

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
}

/// A check-in with the names of the user and of the place.
struct NamedCheckin {
    checkin: Checkin,
    person: String,
    place: String,
}

pub(super) async fn show(visitor: Visitor) -> Result<Page<Home>, Refusal> {
    let frame = Frame::of(&visitor, "home").await?;
    let (popular, of_this_week) = visitor.popular(POPULAR).await?;
    let latest = match &frame.user {
        Some(_) => latest(&visitor).await?,
        None => None,
    };
    Ok(Page(Home { frame, popular, of_this_week, latest }))
}

async fn latest(visitor: &Visitor) -> Result<Option<Vec<NamedCheckin>>, Refusal> {
    let path = format!("/api/checkins/latest?limit={LATEST}");
    let Some(checkins) = visitor.side_list(&path).await? else { return Ok(None) };
    let named = try_join_all(checkins.into_iter().map(|checkin| named(visitor, checkin))).await?;
    Ok(Some(named))
}

async fn named(visitor: &Visitor, checkin: Checkin) -> Result<NamedCheckin, Refusal> {
    let (person, place) = (
        format!("/api/user/{}/fullname", checkin.user_id),
        format!("/api/location/{}", checkin.location_id),
    );
    let (FullName { full_name: person }, Place { name: place, .. }) =
        futures_util::try_join!(visitor.get(&person), visitor.get(&place))?;
    Ok(NamedCheckin { checkin, person, place })
}
