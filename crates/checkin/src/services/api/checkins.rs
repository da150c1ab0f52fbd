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
use crate::storage::HistoryPosition;

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
    let found = log.checkins_between(start.0..=end.0, page.after, page.one_more()).await?;
    shown(&api, &visitor, &page, found, |checkin| checkin.into()).await
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
    let before = page.after.unwrap_or(CheckinId::MAX);
    let found = api.stores.log.latest_checkins(before, page.one_more()).await?;
    shown(&api, &visitor, &page, found, |checkin| checkin.id).await
}

/// Returns a page of check-ins without those of people who hide.
async fn shown<C: Cursor, const USUAL: u64>(
    api: &Api,
    visitor: &Visitor,
    page: &Paging<C, USUAL, 1000>,
    found: Vec<Checkin>,
    position: impl FnOnce(&Checkin) -> C,
) -> Result<Paged<CheckinView>, Problem> {
    let users = found.iter().map(|checkin| checkin.user);
    let hidden = api.whereabouts.hidden_from(Some(visitor.id), users).await?;
    let show = |checkin: Checkin| (!hidden.has(checkin.user)).then(|| CheckinView::from(checkin));
    Ok(page.answer(found, position, show).without_gaps())
}
