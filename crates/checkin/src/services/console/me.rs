//! The visitor's own page: statistics, the calendar of a year, history, export.

use askama::Template;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::try_join_all;
use futures_util::try_join;

use super::answer::Listed;
use super::calendar::Calendar;
use super::client::{Visitor, add, encoded};
use super::map::Map;
use super::notice::Notice;
use super::page::{Frame, Page};
use super::refusal::Refusal;
use super::routes::Console;
use super::tiles;
use super::views::{Account, Checkin, Place, Statistics};
use crate::http::{FormBody, FormQuery};

#[derive(Template)]
#[template(path = "me.html")]
struct Me {
    frame: Frame,
    account: u64,
    /// The number of all check-ins, of which the statistics describe the latest.
    checkins: u64,
    statistics: Statistics,
    calendar: Calendar,
    history: Vec<(Checkin, Option<Place>)>,
    /// The places of this part of the history.
    map: Option<Map>,
    /// The cursor of the next page of the history.
    next: Option<String>,
}

pub(super) async fn show(
    State(console): State<Console>,
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<Response, Refusal> {
    let account: Account = visitor.own_account().await?;
    let id = account.id;
    let mut history = format!("/api/user/{id}/checkins?limit=10");
    add(&mut history, "cursor", query.get("cursor").map(String::as_str));
    let statistics = format!("/api/user/{id}/statistics");
    let (statistics, Listed { items, next }): (Statistics, Listed<Checkin>) =
        try_join!(visitor.get(&statistics), visitor.list(&history))?;
    // The number of the account has no private check-ins. That of the statistics has none that left the history, and is
    // limited.
    let checkins = statistics.num_checkins.max(account.num_checkins);
    let history =
        try_join_all(items.into_iter().map(|checkin| with_place(&visitor, checkin))).await?;
    let tiles = console.tiles.as_deref();
    let map = Map::of(history.iter().filter_map(|(_, place)| place.clone()).collect(), tiles);
    let calendar = Calendar::until_today(&statistics.days);
    let frame = Frame::of_account(&visitor, account, "me");
    let page = Page(Me { frame, account: id, checkins, statistics, calendar, history, map, next });
    Ok(tiles::allowed(tiles, page.into_response()))
}

/// Deletes a check-in.
pub(super) async fn delete_checkin(
    visitor: Visitor,
    FormBody(form): FormBody,
) -> Result<Response, Refusal> {
    let id = encoded(form.get("id").map_or("", String::as_str));
    let deleted = visitor.send(Method::DELETE, &format!("/api/checkin/{id}"), None).await?;
    Ok(deleted.redirect_with("/me", Notice::CheckinDeleted))
}

/// Returns a check-in with its place, which may be gone.
async fn with_place(
    visitor: &Visitor,
    checkin: Checkin,
) -> Result<(Checkin, Option<Place>), Refusal> {
    match visitor.get::<Place>(&format!("/api/location/{}", checkin.location_id)).await {
        Ok(place) => Ok((checkin, Some(place))),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok((checkin, None)),
        Err(refusal) => Err(refusal),
    }
}
