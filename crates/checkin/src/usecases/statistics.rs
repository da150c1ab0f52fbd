//! Computes a user's statistics.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::domain::{Category, Checkin, LocationId, Statistics, StatisticsSum, UserId};
use crate::storage::{History, HistoryPosition, Locations, StorageError, readable};

/// The number of check-ins that are read at once.
const PAGE: usize = 1000;

/// The number of locations that are read at the same time.
const LOOKUPS: usize = 16;

/// Computes a user's statistics at `now_ms` (milliseconds since 1970), from their whole history. An
/// unreadable location has no category.
pub(crate) async fn of_user(
    history: &dyn History,
    locations: &dyn Locations,
    user: UserId,
    now_ms: u64,
) -> Result<Statistics, StorageError> {
    let (mut tally, mut categories, mut after) = (StatisticsSum::default(), HashMap::new(), None);
    loop {
        let page = history.of_user(user, after, PAGE).await?;
        read_categories(locations, &page, &mut categories).await?;
        after = page.last().map(HistoryPosition::from);
        let is_last = page.len() < PAGE;
        let category = |checkin: &Checkin| categories.get(&checkin.location).copied().flatten();
        let known = page.iter().map(category).collect::<Vec<_>>();
        tally.extend(page.into_iter().zip(known));
        if is_last {
            return Ok(tally.statistics(now_ms));
        }
    }
}

/// Reads the categories of those locations of these check-ins that are not known yet.
async fn read_categories(
    locations: &dyn Locations,
    checkins: &[Checkin],
    categories: &mut HashMap<LocationId, Option<Category>>,
) -> Result<(), StorageError> {
    let mut unknown: Vec<LocationId> = checkins
        .iter()
        .map(|checkin| checkin.location)
        .filter(|id| !categories.contains_key(id))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    let lookups = unknown
        .into_iter()
        .map(async |id| Ok::<_, StorageError>((id, readable(locations.category(id).await)?)));
    let found = stream::iter(lookups).buffer_unordered(LOOKUPS).try_collect::<Vec<_>>();
    categories.extend(found.await?);
    Ok(())
}
