//! Places near a point.

use std::sync::Arc;

use axum::extract::State;

use super::document::PageQuery;
use super::paging::{Limits, Paged};
use super::parameters::{Parameters, boolean, number};
use super::representation::{METRES_PER_MILE, NearbyLocation};
use super::routes::{Api, now_ms};
use crate::domain::{Category, Coordinates, Location, StarRating};
use crate::http::Problem;
use crate::http::document::Problems;
use crate::storage::{Nearby, Page, Ranked};

/// No two places on earth are farther apart.
const MAX_MILES: f64 = 12_500.0;

/// Places near a point, the nearest first.
///
/// With `openNow=true` a page may have fewer places than its limit, or none, and still a next one.
#[utoipa::path(
    get, operation_id = "listLocationsNearby", path = "/api/locations/{lat}/{lng}/{radius}", tag = "places", security(()),
    params(
        ("lat" = f64, Path, description = "Degrees north", minimum = -90, maximum = 90),
        ("lng" = f64, Path, description = "Degrees east", minimum = -180, maximum = 180),
        (
            "radius" = f64, Path, description = "In miles",
            exclusive_minimum = 0, maximum = 12500,
        ),
        (
            "category" = Option<String>, Query, description = "Of this category alone",
            pattern = "^(retail|cafe|restaurant|bar|hair|gym)$",
        ),
        (
            "minStars" = Option<u32>, Query, description = "With at least this average",
            minimum = 0, maximum = 5,
        ),
        (
            "openNow" = Option<bool>, Query,
            description = "Those alone that are open, by their own clock",
        ),
        PageQuery,
    ),
    responses((status = 200, body = Vec<NearbyLocation>), Problems),
)]
pub(super) async fn nearby(
    State(api): State<Arc<Api>>,
    given: Parameters,
) -> Result<Paged<NearbyLocation>, Problem> {
    let (paging, near, open_now) = given.read(|given| {
        let paging = given.paging(Limits::USUAL);
        let category = given.query("category", str::parse::<Category>);
        let min_stars = given.query("minStars", str::parse::<StarRating>);
        let open_now = given.query("openNow", boolean) == Some(true);
        let (latitude, longitude) =
            (given.path("lat", degrees(90.0)), given.path("lng", degrees(180.0)));
        let radius_m = given.path("radius", miles)? * METRES_PER_MILE;
        let center = Coordinates::new(longitude?, latitude?).ok()?;
        Some((paging, Nearby { center, radius_m, category, min_stars }, open_now))
    })?;
    let page = Page { after: paging.after, limit: paging.limit };
    let found = match open_now {
        true => api.nearby.open(near, page, now_ms()).await?,
        false => api.nearby.all(near, page).await?,
    };
    Ok(paging.page(found.places.into_iter().map(shown).collect(), found.next))
}

fn shown(location: Ranked<Location>) -> NearbyLocation {
    NearbyLocation::new(location.item, location.rank)
}

/// Degrees up to this many in both directions.
fn degrees(most: f64) -> impl Fn(&str) -> Result<f64, String> {
    move |text| {
        let degrees = number(text).filter(|degrees| (-most..=most).contains(degrees));
        degrees.ok_or_else(|| format!("must be a number from -{most} to {most}"))
    }
}

fn miles(text: &str) -> Result<f64, String> {
    let miles = number(text).filter(|&miles| miles > 0.0 && miles <= MAX_MILES);
    miles.ok_or_else(|| format!("must be a number above 0 and at most {MAX_MILES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_on_the_earth() {
        let latitude = degrees(90.0);
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
