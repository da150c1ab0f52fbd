//! Applying check-ins to figures, histories and leaderboards.

use std::collections::{BTreeMap, HashSet};

use checkin_domain::{Checkin, LocationId, UserId};
use checkin_storage::weeks::{kept_until, kept_weeks};
use checkin_storage::{Dangling, Result};
use quick_cache::sync::Cache;
use redis_link::{Reply, Script};

use crate::clock::now_ms;
use crate::connection::{Connection, at_once};
use crate::lists::Lists;
use crate::reply::{array, number, text, unexpected};

/// Maximum number of users or places in one run of a script. A run takes about a millisecond, during
/// which Redis does nothing else. On a cluster the number is one, because each has its own slot.
const KEYS_A_RUN: usize = 64;

/// The result of [`Figures::apply`].
pub(crate) struct Outcome {
    /// The number of check-ins that were not applied before.
    pub(crate) new: u64,
    /// The check-ins that cannot be applied, and why.
    pub(crate) dangling: Vec<(Checkin, Dangling)>,
}

/// The current figures of a user.
struct UserFigures {
    user: UserId,
    new: u64,
    num_checkins: u64,
    last_checkin: u64,
    last_seen_at: LocationId,
    before: Option<LocationId>,
    weeks: Vec<u64>,
}

/// The current figures of a place.
struct LocationFigures {
    location: LocationId,
    num_checkins: u64,
    weeks: Vec<u64>,
}

/// The figures, histories and leaderboards of users and places.
pub(crate) struct Figures<'a> {
    pub(crate) redis: &'a Connection,
    /// Places that are known to exist. Places are never deleted.
    pub(crate) known_locations: &'a Cache<LocationId, ()>,
}

impl Figures<'_> {
    /// Applies the check-ins that are not applied yet. The others change nothing.
    pub(crate) async fn apply(&self, checkins: &[Checkin]) -> Result<Outcome> {
        let weeks = kept_weeks(checkins.iter().map(|checkin| checkin.time_ms), now_ms());
        // The places are checked first and updated last: an entry is applied only if its user and its
        // place exist. Users and places are never deleted.
        let mut by_location = grouped(checkins, |checkin| checkin.location);
        let unknown = self.unknown_locations(by_location.keys().copied().collect()).await?;
        let placed = checkins.iter().filter(|checkin| !unknown.contains(&checkin.location));
        let placed: Vec<Checkin> = placed.copied().collect();

        let by_user = grouped(&placed, |checkin| checkin.user);
        let users = self.apply_to_users(&by_user, &weeks).await?;
        let known: HashSet<UserId> = users.iter().map(|figures| figures.user).collect();
        by_location.retain(|location, of_location| {
            of_location.retain(|checkin| known.contains(&checkin.user));
            !unknown.contains(location) && !of_location.is_empty()
        });
        let of_locations = async {
            let locations = self.apply_to_locations(&by_location, &weeks).await?;
            self.list_locations(&locations, &weeks).await
        };
        tokio::try_join!(of_locations, self.list_users(&users, &weeks))?;

        let missing = |checkin: &Checkin| {
            Dangling::of(!unknown.contains(&checkin.location), known.contains(&checkin.user))
        };
        let dangling = checkins.iter().filter_map(|checkin| Some((*checkin, missing(checkin)?)));
        let new = users.iter().map(|figures| figures.new).sum();
        Ok(Outcome { new, dangling: dangling.collect() })
    }

    async fn unknown_locations(&self, ids: Vec<LocationId>) -> Result<HashSet<LocationId>> {
        let ids = ids.into_iter().filter(|id| self.known_locations.get(id).is_none());
        let look = |id: LocationId| async move {
            let known = self.redis.exists(&self.redis.keys.location(id)).await?;
            if known {
                self.known_locations.insert(id, ());
            }
            Ok((!known).then_some(id))
        };
        let unknown = at_once(ids.map(look).collect()).await?;
        Ok(unknown.into_iter().flatten().collect())
    }

    async fn apply_to_users(
        &self,
        by_user: &BTreeMap<UserId, Vec<&Checkin>>,
        weeks: &[u64],
    ) -> Result<Vec<UserFigures>> {
        let groups: Vec<Group> = by_user
            .iter()
            .map(|(user, checkins)| Group {
                keys: vec![
                    self.redis.keys.user(*user),
                    self.redis.keys.user_history(*user),
                    self.redis.keys.user_base(*user),
                ],
                words: words(checkins, |checkin| checkin.location.to_string()),
            })
            .collect();
        let answers =
            self.run_in_groups(&self.redis.scripts.apply_to_users, &listed(weeks), &groups).await?;
        let figures = by_user.keys().zip(answers).map(|(user, answer)| user_figures(*user, answer));
        figures.filter_map(Result::transpose).collect()
    }

    async fn apply_to_locations(
        &self,
        by_location: &BTreeMap<LocationId, Vec<&Checkin>>,
        weeks: &[u64],
    ) -> Result<Vec<LocationFigures>> {
        let groups: Vec<Group> = by_location
            .iter()
            .map(|(location, checkins)| Group {
                keys: vec![
                    self.redis.keys.location(*location),
                    self.redis.keys.location_history(*location),
                    self.redis.keys.ratings(*location),
                    self.redis.keys.location_base(*location),
                ],
                words: words(checkins, |checkin| checkin.user.to_string()),
            })
            .collect();
        let answers = self
            .run_in_groups(&self.redis.scripts.apply_to_locations, &listed(weeks), &groups)
            .await?;
        let figures = by_location.keys().zip(answers);
        figures
            .map(|(location, answer)| location_figures(*location, answer))
            .filter_map(Result::transpose)
            .collect()
    }

    /// Runs a script on all groups, with these arguments before theirs. Returns all replies.
    async fn run_in_groups(
        &self,
        script: &Script,
        head: &[String],
        groups: &[Group],
    ) -> Result<Vec<Reply>> {
        let a_run = if self.redis.client.is_cluster() { 1 } else { KEYS_A_RUN };
        let run = |groups: &[Group]| {
            let keys: Vec<String> = groups.iter().flat_map(|group| group.keys.clone()).collect();
            let words = head.iter().chain(groups.iter().flat_map(|group| &group.words)).cloned();
            let words: Vec<String> = words.collect();
            async move {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                array(self.redis.run(script, &keys, &words).await?)
            }
        };
        let answers = at_once(groups.chunks(a_run).map(run).collect()).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn list_users(&self, users: &[UserFigures], weeks: &[u64]) -> Result<()> {
        let by_checkins = scores(users, |figures| (figures.num_checkins, figures.user.get()));
        Lists(self.redis).raise(&self.redis.keys.top_users(), &by_checkins).await?;
        let by_time = scores(users, |figures| (figures.last_checkin, figures.user.get()));
        Lists(self.redis).raise(&self.redis.keys.recent_users(), &by_time).await?;
        for (position, monday) in weeks.iter().enumerate() {
            let of_week = scores(users, |figures| (figures.weeks[position], figures.user.get()));
            self.raise_week(&self.redis.keys.top_users_of_week(*monday), &of_week, *monday).await?;
        }
        self.move_users(users).await
    }

    async fn list_locations(&self, locations: &[LocationFigures], weeks: &[u64]) -> Result<()> {
        let by_checkins =
            scores(locations, |figures| (figures.num_checkins, figures.location.get()));
        Lists(self.redis).raise(&self.redis.keys.top_locations(), &by_checkins).await?;
        for (position, monday) in weeks.iter().enumerate() {
            let of_week =
                scores(locations, |figures| (figures.weeks[position], figures.location.get()));
            self.raise_week(&self.redis.keys.top_locations_of_week(*monday), &of_week, *monday)
                .await?;
        }
        Ok(())
    }

    async fn raise_week(&self, key: &str, scores: &[(u64, u64)], monday: u64) -> Result<()> {
        if scores.is_empty() {
            return Ok(());
        }
        Lists(self.redis).raise(key, scores).await?;
        let end = kept_until(monday).to_string();
        self.redis.call(&["PEXPIREAT", key, &end]).await?;
        Ok(())
    }

    async fn move_users(&self, users: &[UserFigures]) -> Result<()> {
        let mut moves = BTreeMap::<LocationId, Vec<[String; 3]>>::new();
        for figures in users {
            let mut list = |location, here: &str| {
                let words =
                    [figures.user.to_string(), figures.last_checkin.to_string(), here.to_owned()];
                moves.entry(location).or_default().push(words);
            };
            list(figures.last_seen_at, "1");
            if let Some(before) = figures.before.filter(|before| *before != figures.last_seen_at) {
                list(before, "0");
            }
        }
        let groups: Vec<Group> = moves
            .into_iter()
            .map(|(location, moves)| {
                let count = moves.len().to_string();
                let words = std::iter::once(count).chain(moves.into_iter().flatten()).collect();
                Group { keys: vec![self.redis.keys.users_at(location)], words }
            })
            .collect();
        self.run_in_groups(&self.redis.scripts.move_users, &[], &groups).await?;
        Ok(())
    }
}

/// Returns the scores of a list with their ids. A record with a score of 0 is in no list.
fn scores<T>(figures: &[T], score: impl Fn(&T) -> (u64, u64)) -> Vec<(u64, u64)> {
    figures.iter().map(score).filter(|(score, _)| *score > 0).collect()
}

/// The arguments of a script for one user or place.
struct Group {
    keys: Vec<String>,
    words: Vec<String>,
}

/// Returns the number of weeks, and their Mondays, as arguments.
fn listed(weeks: &[u64]) -> Vec<String> {
    [weeks.len() as u64].iter().chain(weeks).map(u64::to_string).collect()
}

/// Returns the number of check-ins, and each check-in with `other`, as arguments.
fn words(checkins: &[&Checkin], other: impl Fn(&Checkin) -> String) -> Vec<String> {
    let each = checkins.iter().flat_map(|checkin| {
        let (id, time) = (checkin.id.to_string(), checkin.time_ms.to_string());
        [id, time, other(checkin), checkin.stars.to_string()]
    });
    std::iter::once(checkins.len().to_string()).chain(each).collect()
}

fn grouped<K: Ord>(
    checkins: &[Checkin],
    key: impl Fn(&Checkin) -> K,
) -> BTreeMap<K, Vec<&Checkin>> {
    let mut groups = BTreeMap::<K, Vec<&Checkin>>::new();
    for checkin in checkins {
        groups.entry(key(checkin)).or_default().push(checkin);
    }
    groups
}

fn user_figures(user: UserId, answer: Reply) -> Result<Option<UserFigures>> {
    if answer == Reply::Nil {
        return Ok(None);
    }
    let mut replies = array(answer)?.into_iter();
    let mut next = || replies.next().unwrap_or(Reply::Nil);
    let (new, num_checkins) = (count(next())?, count(next())?);
    let last_checkin = text(next())?.parse().map_err(|_| unexpected("a time"))?;
    let last_seen_at = text(next())?.parse().map_err(|_| unexpected("a place"))?;
    let before = text(next())?.parse().ok();
    let weeks = replies.map(count).collect::<Result<_>>()?;
    Ok(Some(UserFigures { user, new, num_checkins, last_checkin, last_seen_at, before, weeks }))
}

fn location_figures(location: LocationId, answer: Reply) -> Result<Option<LocationFigures>> {
    if answer == Reply::Nil {
        return Ok(None);
    }
    let mut replies = array(answer)?.into_iter();
    let num_checkins = count(replies.next().unwrap_or(Reply::Nil))?;
    let weeks = replies.map(count).collect::<Result<_>>()?;
    Ok(Some(LocationFigures { location, num_checkins, weeks }))
}

fn count(reply: Reply) -> Result<u64> {
    number(reply).map(i64::unsigned_abs)
}
