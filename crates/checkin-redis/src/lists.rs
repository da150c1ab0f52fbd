//! The entries of one record in the indexes.
//!
//! A record is written before its entries, so that no entry names a record that does not exist. If a
//! writer dies in between, entries are missing; loading the same record again adds them with the
//! current values. Scores of figures only increase (`GT`), so that an older value does not overwrite
//! that of a processor. `settle` lowers them.

use checkin_domain::words::index_words;
use checkin_domain::{Location, LocationId, User, UserId};
use checkin_storage::{Page, Position, Ranked, Result, StorageError, readable};

use crate::connection::{Connection, at_once, few_at_once};
use crate::reply::texts;
use crate::{locations, nearby, users};

/// Maximum number of records in one request.
const STEP: usize = 1000;

/// Maximum number of scores in one command. It takes about a millisecond, during which Redis does nothing
/// else.
const SCORES_A_COMMAND: usize = 256;

/// Scores of a list, each with its id.
pub(crate) type Scores = Vec<(u64, u64)>;

/// The order of a list: by scores; members of the same score by their bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    LowestFirst,
    HighestFirst,
}

/// The lists and the other indexes.
pub(crate) struct Lists<'a>(pub(crate) &'a Connection);

impl Lists<'_> {
    pub(crate) async fn reindex_user(&self, id: UserId) -> Result<()> {
        match readable(users::read(self.0, id).await)? {
            Some(user) => {
                self.index_user(&user).await?;
                let key = self.0.keys.lowered_users();
                if self.lowered(&key, [id.get()].into_iter()).await?.is_empty() {
                    return Ok(());
                }
                self.settle_user(id, &[], &user.last_seen_at.into_iter().collect()).await
            }
            None => Ok(()),
        }
    }

    pub(crate) async fn reindex_location(&self, id: LocationId) -> Result<()> {
        match readable(locations::read(self.0, id).await)? {
            Some(location) => {
                self.index_location(&location).await?;
                let key = self.0.keys.lowered_locations();
                if self.lowered(&key, [id.get()].into_iter()).await?.is_empty() {
                    return Ok(());
                }
                self.settle_location(id, &[]).await
            }
            None => Ok(()),
        }
    }

    /// Adds a user to the indexes. A user without a check-in is in no index.
    pub(crate) async fn index_user(&self, user: &User) -> Result<()> {
        let id = user.id.get();
        if user.num_checkins > 0 {
            self.raise(self.0.keys.top_users(), vec![(user.num_checkins, id)]).await?;
        }
        if let Some(ms) = user.last_checkin {
            self.raise(self.0.keys.recent_users(), vec![(ms, id)]).await?;
            if let Some(place) = user.last_seen_at {
                self.raise(self.0.keys.users_at(place), vec![(ms, id)]).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn index_location(&self, location: &Location) -> Result<()> {
        let (id, category) = (location.id.get(), location.category);
        let (longitude, latitude) = nearby::position(location.coordinates);
        for key in [self.0.keys.geo(None), self.0.keys.geo(Some(category))] {
            self.0.call(&["GEOADD", &key, &longitude, &latitude, &id.to_string()]).await?;
        }
        self.raise(self.0.keys.locations_in(category), vec![(id, id)]).await?;
        self.index_name(location).await?;
        if location.num_checkins > 0 {
            self.raise(self.0.keys.top_locations(), vec![(location.num_checkins, id)]).await?;
        }
        Ok(())
    }

    pub(crate) async fn index_name(&self, location: &Location) -> Result<()> {
        let (key, id) = (self.0.keys.words(), location.id);
        let members: Vec<String> =
            index_words(&location.name).iter().map(|word| format!("{word}\0{id}")).collect();
        if !members.is_empty() {
            let scored = members.iter().flat_map(|member| ["0", member]);
            self.0.call(&["ZADD", &key].into_iter().chain(scored).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Increases scores of a list. A score that is already higher does not change.
    pub(crate) async fn raise(&self, key: String, scores: Scores) -> Result<()> {
        let scores = scores.into_iter().map(|(score, id)| (score, id.to_string()));
        let mut scores: Vec<(u64, String)> = scores.collect();
        // In the order of the list, so that Redis finds each location close to the one before.
        scores.sort_unstable();
        let raise = async |scores: &[(u64, String)]| {
            let words = scores.iter().flat_map(|(score, id)| [score.to_string(), id.clone()]);
            let words: Vec<String> = words.collect();
            let mut command = vec!["ZADD", &key, "GT"];
            command.extend(words.iter().map(String::as_str));
            self.0.call(&command).await
        };
        few_at_once(scores.chunks(SCORES_A_COMMAND).map(raise).collect()).await.map(drop)
    }

    /// Returns a page of a list. An entry for which `read` returns `None` is left out.
    pub(crate) async fn page<T, F>(
        &self,
        key: &str,
        order: Order,
        page: Page,
        read: impl Fn(Position) -> F,
    ) -> Result<Vec<Ranked<T>>>
    where
        F: Future<Output = Result<Option<T>>> + Send,
    {
        let (mut after, mut listed) = (page.after, Vec::new());
        let step = page.limit.min(STEP);
        while listed.len() < page.limit {
            let (entries, is_last) = self.entries(key, order, after, step).await?;
            let items = at_once(entries.iter().copied().map(&read).collect()).await?;
            let ranks = entries.iter().map(|entry| entry.rank);
            let records = ranks.zip(items).filter_map(|(rank, item)| Some((rank, item?)));
            listed.extend(records.map(|(rank, item)| Ranked { rank, item }));
            // An entry that we did not write cannot be used as a position.
            if is_last || entries.is_empty() {
                break;
            }
            after = entries.last().copied();
        }
        listed.truncate(page.limit);
        Ok(listed)
    }

    /// Returns the entries after a position, whose own entry may have moved or been removed, without
    /// those that name no record, and whether the list ends there.
    async fn entries(
        &self,
        key: &str,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<(Vec<Position>, bool)> {
        let direction = match order {
            Order::LowestFirst => "asc",
            Order::HighestFirst => "desc",
        };
        let mut words = vec![direction.to_owned(), limit.to_string()];
        words.extend(
            after.into_iter().flat_map(|after| [after.rank, after.id]).map(|n| n.to_string()),
        );
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let flat = texts(self.0.run(&self.0.scripts.page, &[key], &words).await?)?;
        let found = flat.chunks_exact(2).map(|pair| entry(&pair[0], &pair[1]));
        let entries = found.filter_map(|entry| self.0.reports.logged(key, entry).ok()).collect();
        Ok((entries, flat.len() < 2 * limit))
    }
}

fn entry(member: &str, score: &str) -> Result<Position> {
    let wrong = |what| StorageError::unreadable(format!("a member of the index is not {what}"));
    let id = member.parse().map_err(|_| wrong("the number of a record"))?;
    // Scores are floating-point numbers, which represent all our numbers exactly.
    let score: f64 = score.parse().map_err(|_| wrong("with a score"))?;
    Ok(Position { rank: score as u64, id })
}
