//! The leaderboards.

use askama::Template;
use futures_util::try_join;

use super::answer::Listed;
use super::client::Visitor;
use super::page::{Frame, Page};
use super::refusal::Refusal;
use super::views::{Person, Place};
use crate::http::FormQuery;

#[derive(Template)]
#[template(path = "leaders.html")]
pub(super) struct Leaders {
    frame: Frame,
    period: &'static str,
    /// `None` if nobody is logged in, or if a new account has looked at too many lists.
    people: Option<Vec<Person>>,
    places: Vec<Place>,
}

pub(super) async fn show(
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<Page<Leaders>, Refusal> {
    let period =
        if query.get("period").is_some_and(|period| period == "all") { "all" } else { "week" };
    let frame = Frame::of(&visitor, "leaders").await?;
    let (people, places) = (
        format!("/api/users/bycheckins?period={period}&limit=20"),
        format!("/api/locations/bycheckins?period={period}&limit=20"),
    );
    let people = async {
        match &frame.user {
            Some(_) => visitor.side_list(&people).await,
            None => Ok(None),
        }
    };
    let (people, places) = try_join!(people, visitor.list(&places))?;
    let Listed { items: places, .. } = places;
    Ok(Page(Leaders { frame, period, people, places }))
}
