//! Users: one, and lists of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::document::{Id, PageQuery, PeriodQuery};
use super::paging::{Limits, Paged};
use super::parameters::{Parameters, period, user_id};
use super::representation::{CheckinView, FullName, UserView};
use super::routes::Api;
use super::visitor::Visitor;
use crate::domain::{Email, LocationId, User};
use crate::http::Problem;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::storage::{HistoryPosition, Position, Ranked};

/// A user.
#[utoipa::path(
    get, operation_id = "getUser", path = "/api/user/{id}", tag = "users", security(("session" = [])), params(Id),
    responses((status = 200, body = UserView), LoginNeeded, Missing, Problems),
)]
pub(super) async fn user(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Json<UserView>, Problem> {
    let user = api.stores.users.user(given.read(user_id)?).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    Ok(Json(UserView::of(user, visitor.id)))
}

/// A user's name.
#[utoipa::path(
    get, operation_id = "getUserFullName", path = "/api/user/{id}/fullname", tag = "users", security(("session" = [])), params(Id),
    responses((status = 200, body = FullName), LoginNeeded, Missing, Problems),
)]
pub(super) async fn full_name(
    State(api): State<Arc<Api>>,
    _visitor: Visitor,
    given: Parameters,
) -> Result<Json<FullName>, Problem> {
    let name = api.stores.users.name(given.read(user_id)?).await?;
    let name = name.ok_or_else(Problem::not_found)?;
    Ok(Json(FullName { full_name: name.full() }))
}

/// The user of an address.
#[utoipa::path(
    get, operation_id = "getUserByEmail", path = "/api/user/email/{email}", tag = "users", security(("session" = [])),
    params(("email" = String, Path, max_length = 254, pattern = r"^[^@\s]+@[^@\s]+$")),
    responses((status = 200, body = UserView), LoginNeeded, Missing, Problems),
)]
pub(super) async fn by_email(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Json<UserView>, Problem> {
    let email = given.read(|given| given.path("email", Email::known))?;
    let user = api.stores.users.user_by_email(&email).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    Ok(Json(UserView::of(user, visitor.id)))
}

/// Users by their last check-in, the latest first.
#[utoipa::path(
    get, operation_id = "listRecentUsers", path = "/api/users/recent", tag = "users", security(("session" = [])), params(PageQuery),
    responses((status = 200, body = Vec<UserView>), LoginNeeded, Problems),
)]
pub(super) async fn recent(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Paged<UserView>, Problem> {
    let paging = given.read(|given| Some(given.paging(Limits::USUAL)))?;
    let users = api.stores.directory.recent_users(paging.to_page()).await?;
    Ok(paging.answer(users, position, |user| UserView::of(user.item, visitor.id)))
}

/// Users by their number of check-ins, most first.
#[utoipa::path(
    get, operation_id = "listUsersByCheckins", path = "/api/users/bycheckins", tag = "users", security(("session" = [])),
    params(PeriodQuery, PageQuery),
    responses((status = 200, body = Vec<UserView>), LoginNeeded, Problems),
)]
pub(super) async fn by_checkins(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Paged<UserView>, Problem> {
    let (paging, period) =
        given.read(|given| Some((given.paging(Limits::USUAL), period(given))))?;
    let users = api.stores.directory.top_users(period, paging.to_page()).await?;
    Ok(paging.answer(users, position, |user| UserView::of(user.item, visitor.id)))
}

/// Users who were last seen at a place, the latest first.
#[utoipa::path(
    get, operation_id = "listUsersAtLocation", path = "/api/users/at/{locationId}", tag = "users", security(("session" = [])),
    params(("locationId" = u64, Path, minimum = 1, maximum = 9007199254740991i64), PageQuery),
    responses((status = 200, body = Vec<UserView>), LoginNeeded, Missing, Problems),
)]
pub(super) async fn at(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Paged<UserView>, Problem> {
    let (paging, id) = given.read(|given| {
        let paging = given.paging(Limits::USUAL);
        Some((paging, given.path("locationId", str::parse::<LocationId>)?))
    })?;
    let users = api.places.users_at(id, paging.to_page()).await?;
    let users = users.ok_or_else(Problem::not_found)?;
    Ok(paging.answer(users, position, |user| UserView::of(user.item, visitor.id)))
}

/// One's own check-ins, the latest first.
#[utoipa::path(
    get, operation_id = "listUserCheckins", path = "/api/user/{id}/checkins", tag = "users", security(("session" = [])),
    params(Id, PageQuery),
    responses((status = 200, body = Vec<CheckinView>), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn history(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Paged<CheckinView>, Problem> {
    let (paging, id) = given.read(|given| {
        let paging = given.paging::<HistoryPosition>(Limits::USUAL);
        Some((paging, user_id(given)?))
    })?;
    let id = visitor.is(id)?;
    let checkins = api.stores.history.of_user(id, paging.after, paging.one_more()).await?;
    Ok(paging.answer(checkins, |checkin| checkin.into(), CheckinView::from))
}

fn position(user: &Ranked<User>) -> Position {
    Position { rank: user.rank, id: user.item.id.get() }
}
