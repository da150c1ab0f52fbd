//! Computes a user's statistics.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use crate::concurrency::Concurrency;
use crate::domain::{Category, Checkin, LocationId, Statistics, StatisticsSum, UserId};
use crate::storage::{History, HistoryPosition, Locations, StorageError};

/// The number of check-ins that are read at once.
const PAGE: usize = 1000;

/// The maximum number of pages that are counted. Somebody who checks in twenty times a day fills them in
/// fourteen years; a program that checks in all the time fills them in hours, and must not cost more and more.
const MAX_PAGES: usize = 100;

/// The maximum number of computations of one user in this process at the same time, such as those of several tabs.
const MAX_PER_USER: usize = 4;

/// Computes statistics of users.
pub(crate) struct UserStatistics {
    history: Arc<dyn History>,
    locations: Arc<dyn Locations>,
    in_progress: Concurrency<UserId>,
    refused: Counter,
}

/// Why there are no statistics.
#[derive(Debug)]
pub(crate) enum StatisticsError {
    /// Too many of them are being computed for this user.
    TooMany,
    Storage(StorageError),
}

impl From<StorageError> for StatisticsError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl UserStatistics {
    /// Refused computations are counted in `refused`.
    pub(crate) fn new(
        history: Arc<dyn History>,
        locations: Arc<dyn Locations>,
        refused: Counter,
    ) -> Self {
        Self { history, locations, in_progress: Concurrency::new(MAX_PER_USER), refused }
    }

    /// Computes a user's statistics at `now_ms` (milliseconds since 1970), from the latest 100,000 check-ins of
    /// their history. An unreadable location has no category.
    ///
    /// # Errors
    ///
    /// If too many are being computed for this user, or the store fails.
    pub(crate) async fn of(
        &self,
        user: UserId,
        now_ms: u64,
    ) -> Result<Statistics, StatisticsError> {
        let place = self.in_progress.enter(user).ok_or_else(|| {
            self.refused.inc();
            StatisticsError::TooMany
        });
        let _place = place?;
        let (mut tally, mut categories) = (StatisticsSum::default(), HashMap::new());
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page = self.history.of_user(user, after, PAGE).await?;
            read_categories(&*self.locations, &page, &mut categories).await?;
            after = page.last().map(HistoryPosition::from);
            let is_last = page.len() < PAGE;
            let category = |checkin: &Checkin| categories.get(&checkin.location).copied().flatten();
            let known = page.iter().map(category).collect::<Vec<_>>();
            tally.extend(page.into_iter().zip(known));
            if is_last {
                break;
            }
        }
        Ok(tally.statistics(now_ms))
    }
}

/// Reads the categories of those locations of these check-ins that are not known yet.
async fn read_categories(
    locations: &dyn Locations,
    checkins: &[Checkin],
    categories: &mut HashMap<LocationId, Option<Category>>,
) -> Result<(), StorageError> {
    let places = checkins.iter().map(|checkin| checkin.location);
    let unknown: HashSet<LocationId> = places.filter(|id| !categories.contains_key(id)).collect();
    let unknown: Vec<LocationId> = unknown.into_iter().collect();
    // One read, because each has to wait for its turn while the store is busy.
    let found = locations.categories(&unknown).await?;
    categories.extend(unknown.into_iter().map(|id| (id, found.get(&id).copied())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use checkin_sqlite::SqliteStorage;
    use futures_util::FutureExt;
    use sqlite_writer::Database;

    use super::*;
    use crate::domain::{CheckinId, StarRating};
    use crate::storage::Result;

    const USER: u64 = 7;

    /// The time of a check-in that is later than those of the history, in milliseconds since 1970.
    const END: u64 = 1_800_000_000_000;

    /// A history of 150,000 check-ins, or one that does not answer.
    struct Long {
        is_answering: bool,
    }

    #[async_trait]
    impl History for Long {
        async fn of_user(
            &self,
            user: UserId,
            after: Option<HistoryPosition>,
            limit: usize,
        ) -> Result<Vec<Checkin>> {
            if !self.is_answering {
                std::future::pending::<()>().await;
            }
            let end = after.map_or(END, |after| after.time_ms);
            let checkin = |time_ms| Checkin {
                id: CheckinId { ms: time_ms, seq: 0 },
                time_ms,
                user,
                location: LocationId::try_from(1).unwrap(),
                stars: StarRating::try_from(4).unwrap(),
                comment: None,
                is_private: false,
            };
            Ok((END - 150_000..end).rev().take(limit).map(checkin).collect())
        }

        async fn of_location(
            &self,
            _: LocationId,
            _: Option<HistoryPosition>,
            _: usize,
        ) -> Result<Vec<Checkin>> {
            Ok(Vec::new())
        }
    }

    async fn statistics(is_answering: bool) -> (tempfile::TempDir, UserStatistics) {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("checkin.db")).unwrap();
        let locations = Arc::new(SqliteStorage::open(database).await.unwrap());
        let history = Arc::new(Long { is_answering });
        (directory, UserStatistics::new(history, locations, Counter::default()))
    }

    #[tokio::test]
    async fn the_latest_check_ins_of_a_long_history_are_counted() {
        let (_directory, statistics) = statistics(true).await;
        let found = statistics.of(USER.try_into().unwrap(), END).await.unwrap();
        assert_eq!(found.num_checkins, 100_000);
        assert_eq!(found.last_checkin, Some(END - 1));
    }

    #[tokio::test]
    async fn a_user_has_few_computations_at_the_same_time() {
        let (_directory, statistics) = statistics(false).await;
        let of = |user: u64| Box::pin(statistics.of(user.try_into().unwrap(), 0));
        let mut computations = [(); MAX_PER_USER].map(|()| of(USER));
        for computation in &mut computations {
            assert!(computation.now_or_never().is_none(), "it waits for the history");
        }
        let refused = of(USER).now_or_never();
        assert!(matches!(refused, Some(Err(StatisticsError::TooMany))));
        assert_eq!(statistics.refused.get(), 1);
        assert!(of(USER + 1).now_or_never().is_none(), "another user has places");
        drop(computations);
        assert!(of(USER).now_or_never().is_none(), "the places are free again");
    }
}
