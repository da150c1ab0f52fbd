//! The log of check-ins.

use std::sync::Arc;

use axum::extract::State;

use super::paging::{Cursor, Paged, Paging};
use super::parameters::Milliseconds;
use super::representation::CheckinView;
use super::state::Api;
use super::visitor::{Onlooker, Visitor};
use crate::domain::{Checkin, CheckinId};
use crate::http::document::{LoginNeeded, Problems};
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::parameters;
use crate::storage::{HistoryPosition, StorageError};
use crate::usecases::named_checkins::with_names;
use crate::usecases::whereabouts::Visible;

parameters! {
    /// Check-ins are short, so a page may have many.
    pub(super) struct CheckinsBetween(RequestAddress) {
        ..page: Paging<HistoryPosition, 1000, 1000>;
        /// The first time, in milliseconds since 1970
        start "start" in Path: Milliseconds;
        /// The last time, in milliseconds since 1970; it must not be before `start`
        end "end" in Path: Milliseconds;
    }
    check |fields, _address| {
        if start.zip(end).is_some_and(|(start, end)| start.0 > end.0) {
            fields.refuse("end", "must not be before start");
        }
    }
}

parameters! {
    pub(super) struct LatestCheckins(RequestAddress) {
        ..page: Paging<CheckinId, 20, 1000>;
    }
}

/// Lists the check-ins between two times, in the order in which they were made.
#[utoipa::path(
    get, operation_id = "listCheckins", path = "/api/checkins/{start}/{end}", tag = "check-ins", security(("session" = [])),
    params(CheckinsBetween),
    responses((status = 200, body = Vec<CheckinView>), LoginNeeded, Problems),
)]
pub(super) async fn between(
    State(api): State<Arc<Api>>,
    Onlooker(visitor): Onlooker,
    Parameters(CheckinsBetween { page, start, end }): Parameters<CheckinsBetween>,
) -> Result<Paged<CheckinView>, Problem> {
    let log = &api.stores.log;
    let read = |after, limit| log.checkins_between(start.0..=end.0, after, limit);
    shown(&api, &visitor, &page, read, |checkin| checkin.into()).await
}

/// Lists the latest check-ins of the log, the latest first.
#[utoipa::path(
    get, operation_id = "listLatestCheckins", path = "/api/checkins/latest", tag = "check-ins", security(("session" = [])),
    params(LatestCheckins),
    responses((status = 200, body = Vec<CheckinView>), LoginNeeded, Problems),
)]
pub(super) async fn latest(
    State(api): State<Arc<Api>>,
    Onlooker(visitor): Onlooker,
    Parameters(LatestCheckins { page }): Parameters<LatestCheckins>,
) -> Result<Paged<CheckinView>, Problem> {
    let log = &api.stores.log;
    let read =
        |before: Option<_>, limit| log.latest_checkins(before.unwrap_or(CheckinId::MAX), limit);
    shown(&api, &visitor, &page, read, |checkin| checkin.id).await
}

/// Returns a page of check-ins with the names of their users, without those of people who hide.
async fn shown<C: Cursor + Copy, F, const USUAL: u64>(
    api: &Api,
    visitor: &Visitor,
    page: &Paging<C, USUAL, 1000>,
    read: impl FnMut(Option<C>, usize) -> F,
    position: impl Fn(&Checkin) -> C,
) -> Result<Paged<CheckinView>, Problem>
where
    F: Future<Output = Result<Vec<Checkin>, StorageError>>,
{
    let about = |checkin: &Checkin| (checkin.user, position(checkin));
    let Visible { records, next } =
        api.whereabouts.fill(visitor.id, page.range(), read, about).await?;
    let named = with_names(&*api.stores.users, records).await?;
    Ok(page.page(named.into_iter().map(CheckinView::from).collect(), next))
}
