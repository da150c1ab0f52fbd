//! Locations near a point.

use std::sync::Arc;

use axum::extract::State;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::paging::{Paged, Paging};
use super::representation::{METRES_PER_MILE, NearbyLocation};
use super::state::{Api, now_ms};
use crate::domain::{Category, Coordinates, Location, StarRating};
use crate::http::document::Problems;
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::{Documented, Given, Input, number, parameters};
use crate::storage::{Nearby, Page, Position, Ranked};
use crate::usecases::nearby::Wanted;

/// The largest distance between two points of the earth, in miles.
const MAX_MILES: f64 = 12_500.0;

parameters! {
    pub(super) struct NearbyQuery(RequestAddress) {
        ..page: Paging<Position>;
        /// Only locations of this category
        category "category" in Query: Option<Category>;
        /// Only locations with at least this average rating
        min_stars "minStars" in Query: Option<StarRating>;
        /// Only locations that are open now, by their local time
        open_now "openNow" in Query: Option<bool>;
        /// The latitude in degrees north
        latitude "lat" in Path: Degrees<90>;
        /// The longitude in degrees east
        longitude "lng" in Path: Degrees<180>;
        /// The radius in miles
        radius "radius" in Path: Miles;
    }
}

/// An angle from `-MOST` to `MOST` degrees.
pub(super) struct Degrees<const MOST: u32>(f64);

impl<const MOST: u32> Input for Degrees<MOST> {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let degrees = number(given.text()?).filter(|degrees| degrees.abs() <= f64::from(MOST));
        degrees.map(Self).ok_or_else(|| format!("must be a number from -{MOST} to {MOST}"))
    }
}

impl<const MOST: u32> Documented for Degrees<MOST> {
    fn schema() -> ObjectBuilder {
        numbers().minimum(Some(-f64::from(MOST))).maximum(Some(f64::from(MOST)))
    }
}

/// The radius of a circle in miles.
pub(super) struct Miles(f64);

impl Input for Miles {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let miles = number(given.text()?).filter(|&miles| miles > 0.0 && miles <= MAX_MILES);
        miles.map(Self).ok_or_else(|| format!("must be a number above 0 and at most {MAX_MILES}"))
    }
}

impl Documented for Miles {
    fn schema() -> ObjectBuilder {
        numbers().exclusive_minimum(Some(0.0)).maximum(Some(MAX_MILES))
    }
}

fn numbers() -> ObjectBuilder {
    let double = SchemaFormat::KnownFormat(KnownFormat::Double);
    ObjectBuilder::new().schema_type(Type::Number).format(Some(double))
}

/// Lists locations near a point, the nearest first.
///
/// With `category`, `minStars` or `openNow=true`, a page may have fewer locations than its limit, or none,
/// although there is a next page.
#[utoipa::path(
    get, operation_id = "listLocationsNearby", path = "/api/locations/{lat}/{lng}/{radius}", tag = "locations", security(()),
    params(NearbyQuery),
    responses((status = 200, body = Vec<NearbyLocation>), Problems),
)]
pub(super) async fn nearby(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<NearbyQuery>,
) -> Result<Paged<NearbyLocation>, Problem> {
    let NearbyQuery { page: paging, category, min_stars, .. } = query;
    let center = Coordinates::new(query.longitude.0, query.latitude.0);
    let center = center.map_err(|_| Problem::internal())?;
    let radius_m = query.radius.0 * METRES_PER_MILE;
    let near = Nearby { center, radius_m, category };
    let open_at_ms = query.open_now.filter(|open_now| *open_now).map(|_| now_ms());
    let page = Page { after: paging.after, limit: paging.limit };
    let found = api.nearby.find(near, Wanted { min_stars, open_at_ms }, page).await?;
    Ok(paging.page(found.locations.into_iter().map(shown).collect(), found.next))
}

fn shown(location: Ranked<Location>) -> NearbyLocation {
    NearbyLocation::new(location.item, location.rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_must_fit_on_the_earth() {
        let latitude = |text| Degrees::<90>::read(&Given::bare(text)).map(|degrees| degrees.0);
        let miles = |text| Miles::read(&Given::bare(text)).map(|miles| miles.0);
        assert_eq!(latitude("-90"), Ok(-90.0));
        assert_eq!(latitude("37.8044"), Ok(37.8044));
        for text in ["90.0001", "-122.2711", "NaN", "inf", "1e3", "", "+1"] {
            assert!(latitude(text).is_err(), "{text:?}");
        }
        assert_eq!((miles("0.1"), miles("12500")), (Ok(0.1), Ok(12_500.0)));
        for text in ["0", "-1", "0.0", "1e9", "9223372036854775808", "1mi", "12500.1"] {
            assert!(miles(text).is_err(), "{text:?}");
        }
        for text in ["x", "-1", "1e9"] {
            assert_eq!(miles(text).unwrap_err(), "must be a number above 0 and at most 12500");
        }
        for text in ["x", "-91"] {
            assert_eq!(latitude(text).unwrap_err(), "must be a number from -90 to 90");
        }
    }
}
