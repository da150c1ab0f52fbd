//! What a user's check-ins come to.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::document::Id;
use super::parameters::{Parameters, user_id};
use super::representation::StatisticsView;
use super::routes::{Api, now_ms};
use super::visitor::Visitor;
use crate::http::Problem;
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::usecases::statistics::of_user;

/// What one's own check-ins come to.
#[utoipa::path(
    get, operation_id = "getUserStatistics", path = "/api/user/{id}/statistics", tag = "users", security(("session" = [])), params(Id),
    responses((status = 200, body = StatisticsView), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn statistics(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Json<StatisticsView>, Problem> {
    let id = visitor.is(given.read(user_id)?)?;
    let stores = &api.stores;
    let statistics = of_user(&*stores.history, &*stores.locations, id, now_ms()).await?;
    Ok(Json(statistics.into()))
}
