//! What a user's check-ins come to.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::document::Id;
use super::parameters::Parameters;
use super::representation::StatisticsView;
use super::users::user_id;
use super::{Api, Visitor, now_ms};
use crate::domain::{Category, Checkin, LocationId, Tally, UserId};
use crate::http::ApiError;
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::storage::{HistoryPosition, readable};

/// Check-ins read at a time.
const PAGE: usize = 1000;

/// Places asked for at a time.
const LOOKUPS: usize = 16;

/// What one's own check-ins come to.
#[utoipa::path(
    get, operation_id = "getUserStatistics", path = "/api/user/{id}/statistics", tag = "users", security(("session" = [])), params(Id),
    responses((status = 200, body = StatisticsView), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn statistics(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    given: Parameters,
) -> Result<Json<StatisticsView>, ApiError> {
    let id = visitor.is(given.read(user_id)?)?;
    let tally = api.tally(id).await?;
    Ok(Json(tally.statistics(now_ms()).into()))
}

impl Api {
    async fn tally(&self, user: UserId) -> Result<Tally, ApiError> {
        let (mut tally, mut categories, mut after) = (Tally::default(), HashMap::new(), None);
        loop {
            let page = self.stores.history.of_user(user, after, PAGE).await?;
            self.learn_categories(&page, &mut categories).await?;
            after = page.last().map(HistoryPosition::from);
            let is_last = page.len() < PAGE;
            let category = |checkin: &Checkin| categories.get(&checkin.location).copied().flatten();
            tally.extend(page.into_iter().map(|checkin| (checkin, category(&checkin))));
            if is_last {
                return Ok(tally);
            }
        }
    }

    /// Asks for the places of these check-ins that are not known yet.
    async fn learn_categories(
        &self,
        checkins: &[Checkin],
        categories: &mut HashMap<LocationId, Option<Category>>,
    ) -> Result<(), ApiError> {
        let mut unknown: Vec<LocationId> = checkins
            .iter()
            .map(|checkin| checkin.location)
            .filter(|id| !categories.contains_key(id))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let lookups = unknown.into_iter().map(async |id| {
            Ok::<_, ApiError>((id, readable(self.stores.locations.category(id).await)?))
        });
        let found = stream::iter(lookups).buffer_unordered(LOOKUPS).try_collect::<Vec<_>>();
        categories.extend(found.await?);
        Ok(())
    }
}
