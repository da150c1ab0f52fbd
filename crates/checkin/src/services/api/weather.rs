//! The weather at a location.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response as Described};

use super::parameters::LocationPath;
use super::state::Api;
use crate::http::document::{Missing, Problems, problems};
use crate::http::{Parameters, Problem};

/// Returns the weather at a location, at most an hour old, as OpenWeatherMap describes it.
#[utoipa::path(
    get, operation_id = "getLocationWeather", path = "/api/location/{id}/weather", tag = "locations", security(()), params(LocationPath),
    responses((status = 200, body = Object), Missing, Problems, Weatherless),
)]
pub(super) async fn weather(
    State(api): State<Arc<Api>>,
    Parameters(of): Parameters<LocationPath>,
) -> Result<Response, Problem> {
    let json = api.weather.at(of.id).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json.to_string()).into_response())
}

/// The problems of the weather service.
struct Weatherless;

impl IntoResponses for Weatherless {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        problems(&[
            (502, "The response of the weather service did not contain the weather"),
            (
                503,
                "No key for the weather service is set, or the weather service or the store is unavailable",
            ),
        ])
    }
}
