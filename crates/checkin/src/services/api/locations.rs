//! Places: one with all that is known of it, and lists of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::document::{Id, PageQuery, PeriodQuery};
use super::paging::{Limits, Paged, Paging};
use super::parameters::{Parameters, boolean, location_id, period};
use super::representation::{DayView, DetailsView, LocationView, RatedLocation, Visit, sections};
use super::routes::Api;
use super::visitor::Visitor;
use crate::domain::{Category, DetailsSection, Location, Weekday};
use crate::http::document::{LoginNeeded, Missing, Problems};
use crate::http::{Cached, Problem};
use crate::storage::{HistoryPosition, Position, Ranked};

/// A place's figures change with each check-in.
const FIGURES: Cached = Cached::seconds(5);

/// What else is known of it hardly ever does.
const DETAILS: Cached = Cached::minutes(5);

/// The longest text to search for: a name of 100 characters as a system may type it that takes
/// letters and their marks apart.
const MAX_SEARCH_CHARS: usize = 500;

/// A place.
#[utoipa::path(
    get, operation_id = "getLocation", path = "/api/location/{id}", tag = "places", security(()),
    params(Id, ("withDetails" = Option<bool>, Query, description = "Its details too")),
    responses((status = 200, body = RatedLocation), Missing, Problems),
)]
pub(super) async fn location(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    given: Parameters,
) -> Result<Response, Problem> {
    let (id, sections) = given.read(|given| {
        let with_details = given.query("withDetails", boolean) == Some(true);
        let sections = if with_details { &DetailsSection::ALL[..] } else { &[] };
        Some((location_id(given)?, sections))
    })?;
    let found = api.places.described(id, sections).await?.ok_or_else(Problem::not_found)?;
    let view = RatedLocation::new(found, sections);
    Ok(FIGURES.answer(&headers, &view))
}

/// What else is known of a place.
#[utoipa::path(
    get, operation_id = "getLocationDetails", path = "/api/location/{id}/details", tag = "places", security(()),
    params(
        Id,
        (
            "sections" = Option<String>, Query,
            description = "These alone, with commas between: description, website, phone, socials, hours",
            pattern = "^(description|website|phone|socials|hours)(,(description|website|phone|socials|hours)){0,4}$",
        ),
    ),
    responses((status = 200, body = DetailsView), Missing, Problems),
)]
pub(super) async fn details(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    given: Parameters,
) -> Result<Response, Problem> {
    let (id, sections) = given.read(|given| {
        let sections = given.query("sections", sections);
        Some((location_id(given)?, sections.unwrap_or(DetailsSection::ALL.to_vec())))
    })?;
    let details = api.stores.locations.location_details(id, &sections).await?;
    let details = details.ok_or_else(Problem::not_found)?;
    Ok(DETAILS.answer(&headers, &DetailsView::of(Some(details), &sections)))
}

/// The opening hours of a day.
#[utoipa::path(
    get, operation_id = "getLocationHours", path = "/api/location/{id}/hours/{day}", tag = "places", security(()),
    params(
        Id,
        (
            "day" = String, Path, description = "0 for Monday to 6 for Sunday, or the day's name",
            pattern = "^([0-6]|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)$",
        ),
    ),
    responses((status = 200, body = DayView), Missing, Problems),
)]
pub(super) async fn hours(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    given: Parameters,
) -> Result<Response, Problem> {
    let (id, day) = given.read(|given| {
        let day = given.path("day", weekday);
        Some((location_id(given)?, day?))
    })?;
    let details = api.stores.locations.location_details(id, &[DetailsSection::Hours]).await?;
    let hours = details.and_then(|details| DayView::of(&details.hours, day));
    Ok(DETAILS.answer(&headers, &hours.ok_or_else(Problem::not_found)?))
}

/// Who was at a place, the latest first.
#[utoipa::path(
    get, operation_id = "listLocationVisitors", path = "/api/location/{id}/visitors", tag = "places", security(("session" = [])),
    params(Id, PageQuery),
    responses((status = 200, body = Vec<Visit>), LoginNeeded, Missing, Problems),
)]
pub(super) async fn visitors(
    State(api): State<Arc<Api>>,
    _visitor: Visitor,
    given: Parameters,
) -> Result<Paged<Visit>, Problem> {
    let (paging, id) = given.read(|given| {
        let paging = given.paging::<HistoryPosition>(Limits::USUAL);
        Some((paging, location_id(given)?))
    })?;
    let visits = api.places.visitors(id, paging.after, paging.one_more()).await?;
    let visits = visits.ok_or_else(Problem::not_found)?;
    let page: Paged<Option<Visit>> = paging.answer(
        visits,
        |(checkin, _)| HistoryPosition::from(checkin),
        |(checkin, name)| name.map(|name| Visit::new(&checkin, name)),
    );
    // A user that is gone is left out.
    Ok(page.without_gaps())
}

/// Places of a category.
#[utoipa::path(
    get, operation_id = "listLocationsByCategory", path = "/api/locations/bycategory/{category}", tag = "places", security(()),
    params(
        ("category" = String, Path, pattern = "^(retail|cafe|restaurant|bar|hair|gym)$"),
        PageQuery,
    ),
    responses((status = 200, body = Vec<LocationView>), Problems),
)]
pub(super) async fn by_category(
    State(api): State<Arc<Api>>,
    given: Parameters,
) -> Result<Paged<LocationView>, Problem> {
    let (paging, category) = given.read(|given| {
        let paging = given.paging(Limits::USUAL);
        Some((paging, given.path("category", str::parse::<Category>)?))
    })?;
    let found = api.stores.directory.locations_in(category, paging.to_page()).await?;
    Ok(listed(&paging, found))
}

/// Places by their number of check-ins, most first.
#[utoipa::path(
    get, operation_id = "listLocationsByCheckins", path = "/api/locations/bycheckins", tag = "places", security(()), params(PeriodQuery, PageQuery),
    responses((status = 200, body = Vec<LocationView>), Problems),
)]
pub(super) async fn by_checkins(
    State(api): State<Arc<Api>>,
    given: Parameters,
) -> Result<Paged<LocationView>, Problem> {
    let (paging, period) =
        given.read(|given| Some((given.paging(Limits::USUAL), period(given))))?;
    let found = api.stores.directory.top_locations(period, paging.to_page()).await?;
    Ok(listed(&paging, found))
}

/// Places in whose name a word begins with each of these words.
#[utoipa::path(
    get, operation_id = "searchLocations", path = "/api/locations/search", tag = "places", security(()),
    params(
        ("q" = String, Query, description = "Words, or the beginnings of words",
            min_length = 1, max_length = 500),
        PageQuery,
    ),
    responses((status = 200, body = Vec<LocationView>), Problems),
)]
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    given: Parameters,
) -> Result<Paged<LocationView>, Problem> {
    let (paging, words) = given.read(|given| {
        let paging = given.paging(Limits::USUAL);
        Some((paging, given.required("q", words)?))
    })?;
    let found = api.stores.directory.search_locations(&words, paging.to_page()).await?;
    Ok(listed(&paging, found))
}

/// A day of the week: its number from Monday on, or its name.
fn weekday(text: &str) -> Result<Weekday, &'static str> {
    let rule = "must be 0 (Monday) to 6 (Sunday), or the name of a day";
    let number =
        crate::domain::number::decimal(text).and_then(|number| usize::try_from(number).ok());
    match number {
        Some(number) => Weekday::ALL.get(number).copied().ok_or(rule),
        None => text.parse().map_err(|_| rule),
    }
}

fn words(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err("must be at most 500 characters long");
    }
    if crate::domain::words::words(text).is_empty() {
        return Err("must have a visible character");
    }
    Ok(text.to_owned())
}

fn listed(paging: &Paging<Position>, found: Vec<Ranked<Location>>) -> Paged<LocationView> {
    paging.answer(found, position, |location| location.item.into())
}

fn position(location: &Ranked<Location>) -> Position {
    Position { rank: location.rank, id: location.item.id.get() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_numbers_and_names() {
        for (text, day) in
            [("0", Weekday::Monday), ("6", Weekday::Sunday), ("sunday", Weekday::Sunday)]
        {
            assert_eq!(weekday(text), Ok(day));
        }
        for text in ["", "-1", "7", "0.5", "00", "Mon", "99999999999999999999"] {
            assert!(weekday(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn words_say_something() {
        assert!(words("café 7").is_ok());
        assert!(words("!!!").is_ok());
        // The longest name, as some systems take it apart.
        assert!(words(&"\u{1112}\u{1161}\u{11ab}".repeat(100)).is_ok());
        for text in ["", " ", "\u{0}", "\u{200b}\u{ad}", &"x".repeat(501)] {
            assert!(words(text).is_err(), "{text:?}");
        }
    }
}
