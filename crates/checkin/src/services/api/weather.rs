//! The weather at a place.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::document::{Id, Weatherless};
use super::parameters::{Parameters, location_id};
use super::routes::Api;
use crate::http::Problem;
use crate::http::document::{Missing, Problems};

/// The weather at a place, as OpenWeatherMap describes it, at most an hour old.
#[utoipa::path(
    get, operation_id = "getLocationWeather", path = "/api/location/{id}/weather", tag = "places", security(()), params(Id),
    responses((status = 200, body = Object), Missing, Problems, Weatherless),
)]
pub(super) async fn weather(
    State(api): State<Arc<Api>>,
    given: Parameters,
) -> Result<Response, Problem> {
    let json = api.weather.at(given.read(location_id)?).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json.to_string()).into_response())
}
