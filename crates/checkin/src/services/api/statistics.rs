//! The statistics of a user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::parameters::UserPath;
use super::representation::StatisticsView;
use super::state::{Api, now_ms};
use super::visitor::Visitor;
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::http::{Parameters, Problem};

/// Returns your own statistics, those of your latest 100,000 check-ins.
#[utoipa::path(
    get, operation_id = "getUserStatistics", path = "/api/user/{id}/statistics", tag = "users", security(("session" = [])), params(UserPath),
    responses((status = 200, body = StatisticsView), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn statistics(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Parameters(of): Parameters<UserPath>,
) -> Result<Json<StatisticsView>, Problem> {
    let id = visitor.is(of.id)?;
    Ok(Json(api.statistics.of(id, now_ms()).await?.into()))
}
