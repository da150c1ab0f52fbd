//! The weather at a place.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::document::Weatherless;
use super::parameters::OfLocation;
use super::state::Api;
use crate::http::document::{Missing, Problems};
use crate::http::{Parameters, Problem};

/// The weather at a place, as OpenWeatherMap describes it, at most an hour old.
#[utoipa::path(
    get, operation_id = "getLocationWeather", path = "/api/location/{id}/weather", tag = "places", security(()), params(OfLocation),
    responses((status = 200, body = Object), Missing, Problems, Weatherless),
)]
pub(super) async fn weather(
    State(api): State<Arc<Api>>,
    Parameters(of): Parameters<OfLocation>,
) -> Result<Response, Problem> {
    let json = api.weather.at(of.id).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json.to_string()).into_response())
}
