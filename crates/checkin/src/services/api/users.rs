//! Users: one, and lists of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::paging::{Paged, Paging};
use super::parameters::{PeriodName, UserPath};
use super::representation::{CheckinView, FullName, UserView};
use super::state::{Api, Stores, now_ms};
use super::visitor::{Onlooker, Visitor};
use crate::domain::{LocationId, User, UserId};
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::{KnownEmail, parameters};
use crate::storage::{HistoryPosition, Page, Position, Ranked, StorageError};
use crate::usecases::locations::is_stored;
use crate::usecases::whereabouts::Visible;

parameters! {
    pub(super) struct EmailPath(RequestAddress) {
        email "email" in Path: KnownEmail;
    }
}

parameters! {
    pub(super) struct UserList(RequestAddress) {
        ..page: Paging<Position>;
    }
}

parameters! {
    pub(super) struct TopUsers(RequestAddress) {
        ..page: Paging<Position>;
        /// all (the default), or week: since Monday (UTC)
        period "period" in Query: Option<PeriodName>;
    }
}

parameters! {
    pub(super) struct UsersAt(RequestAddress) {
        ..page: Paging<Position>;
        location "locationId" in Path: LocationId;
    }
}

parameters! {
    pub(super) struct HistoryOfUser(RequestAddress) {
        ..page: Paging<HistoryPosition>;
        id "id" in Path: UserId;
    }
}

/// Returns a user.
#[utoipa::path(
    get, operation_id = "getUser", path = "/api/user/{id}", tag = "users", security(("session" = [])), params(UserPath),
    responses((status = 200, body = UserView), LoginNeeded, Missing, Problems),
)]
pub(super) async fn user(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Parameters(of): Parameters<UserPath>,
) -> Result<Json<UserView>, Problem> {
    if of.id != visitor.id {
        api.newcomers.admit(visitor.id).await?;
    }
    let hidden = api.whereabouts.hidden_from(Some(visitor.id), [of.id]);
    let (user, hidden) = tokio::try_join!(api.stores.users.user(of.id), hidden)?;
    let user = user.ok_or_else(|| Problem::missing("user"))?;
    Ok(Json(UserView::of(user, visitor.id).without(&hidden)))
}

/// Returns the name of a user.
#[utoipa::path(
    get, operation_id = "getUserFullName", path = "/api/user/{id}/fullname", tag = "users", security(("session" = [])), params(UserPath),
    responses((status = 200, body = FullName), LoginNeeded, Missing, Problems),
)]
pub(super) async fn full_name(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Parameters(of): Parameters<UserPath>,
) -> Result<Json<FullName>, Problem> {
    // The ids are consecutive, so a client that counts through them gets every name.
    if of.id != visitor.id {
        api.newcomers.admit(visitor.id).await?;
    }
    let name = api.stores.users.name(of.id).await?;
    let name = name.ok_or_else(|| Problem::missing("user"))?;
    Ok(Json(FullName { full_name: name.full() }))
}

/// Returns the user with an e-mail address.
#[utoipa::path(
    get, operation_id = "getUserByEmail", path = "/api/user/email/{email}", tag = "users", security(("session" = [])),
    params(EmailPath),
    responses((status = 200, body = UserView), LoginNeeded, Missing, Problems),
)]
pub(super) async fn by_email(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Parameters(of): Parameters<EmailPath>,
) -> Result<impl IntoResponse, Problem> {
    // A look-up that is refused here takes nothing from the share of a new account.
    let quota = api.look_ups.take(visitor.id)?;
    api.newcomers.admit(visitor.id).await?;
    let user = api.stores.users.user_by_email(&of.email.0).await?;
    let user = user.ok_or_else(|| Problem::missing("user").limited_by(quota))?;
    let hidden = api.whereabouts.hidden_from(Some(visitor.id), [user.id]).await?;
    Ok((quota, Json(UserView::of(user, visitor.id).without(&hidden))))
}

/// Lists users by their last check-in, the latest first.
#[utoipa::path(
    get, operation_id = "listRecentUsers", path = "/api/users/recent", tag = "users", security(("session" = [])), params(UserList),
    responses((status = 200, body = Vec<UserView>), LoginNeeded, Problems),
)]
pub(super) async fn recent(
    State(api): State<Arc<Api>>,
    Onlooker(visitor): Onlooker,
    Parameters(UserList { page }): Parameters<UserList>,
) -> Result<Paged<UserView>, Problem> {
    let directory = &api.stores.directory;
    shown(&api, &visitor, &page, |page| directory.recent_users(page)).await
}

/// Lists users by their number of check-ins, the largest first.
#[utoipa::path(
    get, operation_id = "listUsersByCheckins", path = "/api/users/bycheckins", tag = "users", security(("session" = [])),
    params(TopUsers),
    responses((status = 200, body = Vec<UserView>), LoginNeeded, Problems),
)]
pub(super) async fn by_checkins(
    State(api): State<Arc<Api>>,
    Onlooker(visitor): Onlooker,
    Parameters(TopUsers { page, period }): Parameters<TopUsers>,
) -> Result<Paged<UserView>, Problem> {
    let period = PeriodName::period(period, now_ms());
    let directory = &api.stores.directory;
    shown(&api, &visitor, &page, |page| directory.top_users(period, page)).await
}

/// Lists the users who were last seen at a location, the latest first.
#[utoipa::path(
    get, operation_id = "listUsersAtLocation", path = "/api/users/at/{locationId}", tag = "users", security(("session" = [])),
    params(UsersAt),
    responses((status = 200, body = Vec<UserView>), LoginNeeded, Missing, Problems),
)]
pub(super) async fn at(
    State(api): State<Arc<Api>>,
    Onlooker(visitor): Onlooker,
    Parameters(UsersAt { page, location }): Parameters<UsersAt>,
) -> Result<Paged<UserView>, Problem> {
    let Stores { locations, directory, .. } = &api.stores;
    if !is_stored(&**locations, location).await? {
        return Err(Problem::missing("location"));
    }
    shown(&api, &visitor, &page, |page| directory.users_at(location, page)).await
}

/// Lists your own check-ins, the latest first.
#[utoipa::path(
    get, operation_id = "listUserCheckins", path = "/api/user/{id}/checkins", tag = "users", security(("session" = [])),
    params(HistoryOfUser),
    responses((status = 200, body = Vec<CheckinView>), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn history(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Parameters(HistoryOfUser { page, id }): Parameters<HistoryOfUser>,
) -> Result<Paged<CheckinView>, Problem> {
    let id = visitor.is(id)?;
    let checkins = api.stores.history.of_user(id, page.after, page.one_more()).await?;
    Ok(page.answer(checkins, |checkin| checkin.into(), CheckinView::from))
}

/// Returns a page of a list that tells where, when or how often people check in. Those who hide are left out.
async fn shown<F>(
    api: &Api,
    visitor: &Visitor,
    page: &Paging<Position>,
    read: impl Fn(Page) -> F,
) -> Result<Paged<UserView>, Problem>
where
    F: Future<Output = Result<Vec<Ranked<User>>, StorageError>>,
{
    let read = |after, limit| read(Page { after, limit });
    let about = |user: &Ranked<User>| (user.item.id, position(user));
    let Visible { records, next } =
        api.whereabouts.fill(visitor.id, page.range(), read, about).await?;
    let views = records.into_iter().map(|user| UserView::of(user.item, visitor.id));
    Ok(page.page(views.collect(), next))
}

fn position(user: &Ranked<User>) -> Position {
    Position { rank: user.rank, id: user.item.id.get() }
}
