//! The log of check-ins.

use std::sync::Arc;

use axum::extract::State;

use super::document::CheckinPage;
use super::paging::{Limits, Paged};
use super::parameters::{Parameters, integer};
use super::representation::CheckinView;
use super::routes::Api;
use super::visitor::Visitor;
use crate::domain::{Checkin, CheckinId};
use crate::http::Problem;
use crate::http::document::{LoginNeeded, Problems};
use crate::storage::HistoryPosition;

/// A check-in is short, so a page has many.
const LIMITS: Limits = Limits { usual: 1000, most: 1000 };

/// The check-ins of a time, in the order in which they were made.
#[utoipa::path(
    get, operation_id = "listCheckins", path = "/api/checkins/{start}/{end}", tag = "check-ins", security(("session" = [])),
    params(
        ("start" = u64, Path, description = "Milliseconds since 1970, included", maximum = 9007199254740991i64),
        ("end" = u64, Path, description = "The same, included; not before `start`", maximum = 9007199254740991i64),
        CheckinPage,
    ),
    responses((status = 200, body = Vec<CheckinView>), LoginNeeded, Problems),
)]
pub(super) async fn between(
    State(api): State<Arc<Api>>,
    _visitor: Visitor,
    given: Parameters,
) -> Result<Paged<CheckinView>, Problem> {
    let (paging, start, end) = given.read(|given| {
        let paging = given.paging::<HistoryPosition>(LIMITS);
        let (start, end) = (given.path("start", integer), given.path("end", integer));
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            given.refuse("end", "must not be before start");
        }
        Some((paging, start?, end?))
    })?;
    let found =
        api.stores.log.checkins_between(start..=end, paging.after, paging.one_more()).await?;
    Ok(paging.answer(found, |checkin: &Checkin| checkin.into(), CheckinView::from))
}

/// The latest check-ins, those first, in the order in which they came into the log.
#[utoipa::path(
    get, operation_id = "listLatestCheckins", path = "/api/checkins/latest", tag = "check-ins", security(("session" = [])),
    params(CheckinPage),
    responses((status = 200, body = Vec<CheckinView>), LoginNeeded, Problems),
)]
pub(super) async fn latest(
    State(api): State<Arc<Api>>,
    _visitor: Visitor,
    given: Parameters,
) -> Result<Paged<CheckinView>, Problem> {
    let limits = Limits { usual: 20, ..LIMITS };
    let paging = given.read(|given| Some(given.paging(limits)))?;
    let before = paging.after.unwrap_or(CheckinId::MAX);
    let found = api.stores.log.latest_checkins(before, paging.one_more()).await?;
    Ok(paging.answer(found, |checkin: &Checkin| checkin.id, CheckinView::from))
}
