//! Locations: one with all its data, and lists of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::paging::{Paged, Paging};
use super::parameters::PeriodName;
use super::representation::{
    DayView, DetailsView, LocationView, RatedLocation, VisitView, section_name,
};
use super::state::{Api, Stores, now_ms};
use super::visitor::Onlooker;
use crate::domain::number::decimal;
use crate::domain::words::words;
use crate::domain::{Category, Checkin, DetailsSection, Location, LocationId, Weekday};
use crate::http::document::{LoginNeeded, Missing, Problems};
use crate::http::{Cached, Parameters, Problem, RequestAddress};
use crate::input::{Documented, Given, Input, parameters};
use crate::storage::{FoundLocations, HistoryPosition, Position, Ranked};
use crate::usecases::locations;
use crate::usecases::named_checkins::with_names;
use crate::usecases::whereabouts::Visible;

/// The figures of a location change with each check-in.
const FIGURES: Cached = Cached::seconds(5);

/// The details of a location rarely change.
const DETAILS: Cached = Cached::minutes(5);

/// The maximum length of a search text: a name of 100 characters in a form where letters and their
/// marks are separate characters.
const MAX_SEARCH_CHARS: usize = 500;

parameters! {
    pub(super) struct LocationQuery(RequestAddress) {
        /// Whether the details are included
        with_details "withDetails" in Query: Option<bool>;
        id "id" in Path: LocationId;
    }
}

parameters! {
    pub(super) struct DetailsQuery(RequestAddress) {
        /// The sections to return, separated by commas: description, website, phone, socials,
        /// hours. Default: all
        sections "sections" in Query: Option<Sections>;
        id "id" in Path: LocationId;
    }
}

parameters! {
    pub(super) struct HoursQuery(RequestAddress) {
        /// The day: 0 (Monday) to 6 (Sunday), or its name
        day "day" in Path: DayOfWeek;
        id "id" in Path: LocationId;
    }
}

parameters! {
    pub(super) struct VisitorsOf(RequestAddress) {
        ..page: Paging<HistoryPosition>;
        id "id" in Path: LocationId;
    }
}

parameters! {
    pub(super) struct LocationsIn(RequestAddress) {
        ..page: Paging<Position>;
        category "category" in Path: Category;
    }
}

parameters! {
    pub(super) struct TopLocations(RequestAddress) {
        ..page: Paging<Position>;
        /// all (the default), or week: since Monday (UTC)
        period "period" in Query: Option<PeriodName>;
    }
}

parameters! {
    pub(super) struct SearchQuery(RequestAddress) {
        ..page: Paging<Position>;
        /// Words, or beginnings of words
        words "q" in Query: Words;
    }
}

/// Returns a location.
#[utoipa::path(
    get, operation_id = "getLocation", path = "/api/location/{id}", tag = "locations", security(()),
    params(LocationQuery),
    responses((status = 200, body = RatedLocation), Missing, Problems),
)]
pub(super) async fn location(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Parameters(query): Parameters<LocationQuery>,
) -> Result<Response, Problem> {
    let with_details = query.with_details == Some(true);
    let sections = if with_details { &DetailsSection::ALL[..] } else { &[] };
    let found = locations::described(&*api.stores.locations, query.id, sections).await?;
    let found = found.ok_or_else(|| Problem::missing("location"))?;
    let view = RatedLocation::new(found, sections);
    Ok(FIGURES.answer(&headers, &view))
}

/// Returns the details of a location.
#[utoipa::path(
    get, operation_id = "getLocationDetails", path = "/api/location/{id}/details", tag = "locations", security(()),
    params(DetailsQuery),
    responses((status = 200, body = DetailsView), Missing, Problems),
)]
pub(super) async fn details(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Parameters(DetailsQuery { sections, id }): Parameters<DetailsQuery>,
) -> Result<Response, Problem> {
    let sections = sections.map_or(DetailsSection::ALL.to_vec(), |sections| sections.0);
    let details = api.stores.locations.location_details(id, &sections).await?;
    let details = details.ok_or_else(Problem::not_found)?;
    Ok(DETAILS.answer(&headers, &DetailsView::of(Some(details), &sections)))
}

/// Returns the opening hours of a day.
#[utoipa::path(
    get, operation_id = "getLocationHours", path = "/api/location/{id}/hours/{day}", tag = "locations", security(()),
    params(HoursQuery),
    responses((status = 200, body = DayView), Missing, Problems),
)]
pub(super) async fn hours(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Parameters(HoursQuery { day, id }): Parameters<HoursQuery>,
) -> Result<Response, Problem> {
    let details = api.stores.locations.location_details(id, &[DetailsSection::Hours]).await?;
    let hours = details.and_then(|details| DayView::of(&details.hours, day.0));
    Ok(DETAILS.answer(&headers, &hours.ok_or_else(Problem::not_found)?))
}

/// Lists the visitors of a location, the latest first.
#[utoipa::path(
    get, operation_id = "listLocationVisitors", path = "/api/location/{id}/visitors", tag = "locations", security(("session" = [])),
    params(VisitorsOf),
    responses((status = 200, body = Vec<VisitView>), LoginNeeded, Missing, Problems),
)]
pub(super) async fn visitors(
    State(api): State<Arc<Api>>,
    Onlooker(visitor): Onlooker,
    Parameters(VisitorsOf { page: paging, id }): Parameters<VisitorsOf>,
) -> Result<Paged<VisitView>, Problem> {
    let Stores { locations, history, users, .. } = &api.stores;
    if !locations::is_stored(&**locations, id).await? {
        return Err(Problem::missing("location"));
    }
    let read = |after, limit| history.of_location(id, after, limit);
    let about = |checkin: &Checkin| (checkin.user, HistoryPosition::from(checkin));
    let Visible { records, next } =
        api.whereabouts.fill(visitor.id, paging.range(), read, about).await?;
    let visits = with_names(&**users, records).await?.into_iter().map(VisitView::of).collect();
    let page: Paged<Option<VisitView>> = paging.page(visits, next);
    // Users that no longer exist are left out.
    Ok(page.without_gaps())
}

/// Lists the locations of a category.
#[utoipa::path(
    get, operation_id = "listLocationsByCategory", path = "/api/locations/bycategory/{category}", tag = "locations", security(()),
    params(LocationsIn),
    responses((status = 200, body = Vec<LocationView>), Problems),
)]
pub(super) async fn by_category(
    State(api): State<Arc<Api>>,
    Parameters(LocationsIn { page, category }): Parameters<LocationsIn>,
) -> Result<Paged<LocationView>, Problem> {
    let found = api.stores.directory.locations_in(category, page.to_page()).await?;
    Ok(listed(&page, found))
}

/// Lists locations by their number of check-ins, the largest first.
#[utoipa::path(
    get, operation_id = "listLocationsByCheckins", path = "/api/locations/bycheckins", tag = "locations", security(()), params(TopLocations),
    responses((status = 200, body = Vec<LocationView>), Problems),
)]
pub(super) async fn by_checkins(
    State(api): State<Arc<Api>>,
    Parameters(TopLocations { page, period }): Parameters<TopLocations>,
) -> Result<Paged<LocationView>, Problem> {
    let period = PeriodName::period(period, now_ms());
    let found = api.stores.directory.top_locations(period, page.to_page()).await?;
    Ok(listed(&page, found))
}

/// Finds locations whose names contain, for each word, a word that begins with it.
///
/// A page may have fewer locations than its limit, or none, although there is a next page.
#[utoipa::path(
    get, operation_id = "searchLocations", path = "/api/locations/search", tag = "locations", security(()),
    params(SearchQuery),
    responses((status = 200, body = Vec<LocationView>), Problems),
)]
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    Parameters(SearchQuery { page, words }): Parameters<SearchQuery>,
) -> Result<Paged<LocationView>, Problem> {
    let found = api.stores.directory.search_locations(&words.0, page.to_page()).await?;
    let FoundLocations { locations, next } = found.cut(page.limit);
    Ok(page.page(locations.into_iter().map(|location| location.item.into()).collect(), next))
}

/// Sections of details, as names separated by commas.
pub(super) struct Sections(Vec<DetailsSection>);

impl Input for Sections {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let named = |name| DetailsSection::ALL.into_iter().find(|part| section_name(*part) == name);
        let sections = given.text()?.split(',').map(named).collect::<Option<_>>();
        let names = DetailsSection::ALL.map(section_name).join(", ");
        sections
            .map(Self)
            .ok_or_else(|| format!("must be a list of sections separated by commas: {names}"))
    }
}

impl Documented for Sections {
    fn schema() -> ObjectBuilder {
        let names = DetailsSection::ALL.map(section_name).join("|");
        texts(&format!("^({names})(,({names})){{0,4}}$"))
    }
}

/// A day of the week: its number (0 is Monday), or its name.
#[derive(Debug, PartialEq)]
pub(super) struct DayOfWeek(Weekday);

impl Input for DayOfWeek {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let text = given.text()?;
        let day = match decimal(text).map(usize::try_from) {
            Some(number) => number.ok().and_then(|number| Weekday::ALL.get(number).copied()),
            None => text.parse().ok(),
        };
        let rule = "must be 0 (Monday) to 6 (Sunday), or the name of a day";
        day.map(Self).ok_or_else(|| rule.to_owned())
    }
}

impl Documented for DayOfWeek {
    fn schema() -> ObjectBuilder {
        texts(&format!("^([0-6]|{})$", Weekday::ALL.map(Weekday::as_str).join("|")))
    }
}

/// The words to search for.
#[derive(Debug)]
pub(super) struct Words(String);

impl Input for Words {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let text = given.text()?;
        if text.chars().count() > MAX_SEARCH_CHARS {
            return Err(format!("must be at most {MAX_SEARCH_CHARS} characters long"));
        }
        if words(text).is_empty() {
            return Err("must have a visible character".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Documented for Words {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_SEARCH_CHARS))
    }
}

/// Returns the schema of texts of this form.
fn texts(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn listed(paging: &Paging<Position>, found: Vec<Ranked<Location>>) -> Paged<LocationView> {
    paging.answer(found, Ranked::position, |location| location.item.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_numbers_and_names() {
        for (text, day) in
            [("0", Weekday::Monday), ("6", Weekday::Sunday), ("sunday", Weekday::Sunday)]
        {
            assert_eq!(DayOfWeek::read(&Given::bare(text)), Ok(DayOfWeek(day)));
        }
        for text in ["", "-1", "7", "0.5", "00", "Mon", "99999999999999999999"] {
            assert!(DayOfWeek::read(&Given::bare(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn words_must_be_visible() {
        let words = |text: &str| Words::read(&Given::bare(text));
        assert!(words("café 7").is_ok());
        assert!(words("!!!").is_ok());
        // The longest name, with separate marks.
        assert!(words(&"\u{1112}\u{1161}\u{11ab}".repeat(100)).is_ok());
        for text in ["", " ", "\u{0}", "\u{200b}\u{ad}", &"x".repeat(501)] {
            assert!(words(text).is_err(), "{text:?}");
        }
    }
}
