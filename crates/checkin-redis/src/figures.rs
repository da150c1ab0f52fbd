//! Applying check-ins to figures, histories and leaderboards.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use checkin_domain::{Checkin, LocationId, UserId};
use checkin_storage::weeks::{kept_until, kept_weeks};
use checkin_storage::{Dangling, Result};
use quick_cache::sync::Cache;
use redis_link::{Reply, Script};

use crate::connection::{Connection, at_once, few_at_once};
use crate::groups::{Applicable, Run, by_location, by_user, runs};
use crate::lists::{Lists, Scores};
use crate::reply::{array, number, text};

/// The result of [`Figures::apply`].
pub(crate) struct Outcome {
    /// The number of check-ins that were not applied before.
    pub(crate) new: u64,
    /// The check-ins that cannot be applied, and why.
    pub(crate) dangling: Vec<(Checkin, Dangling)>,
    /// The check-ins of deleted accounts, which are not applied and have to be retracted.
    pub(crate) ownerless: Vec<Checkin>,
}

/// What a script says about a user.
enum Reached {
    Applied(UserFigures),
    Deleted(UserId),
}

/// The current figures of a user.
struct UserFigures {
    user: UserId,
    new: u64,
    num_checkins: u64,
    last_checkin: u64,
    /// `None` if the user has no check-in any more.
    last_seen_at: Option<LocationId>,
    before: Option<LocationId>,
    weeks: Vec<u64>,
}

/// The current figures of a location.
struct LocationFigures {
    location: LocationId,
    num_checkins: u64,
    weeks: Vec<u64>,
}

/// A user who was last at another location before the check-in at this time.
struct Departure {
    location: LocationId,
    user: UserId,
    time_ms: u64,
}

/// The figures, histories and leaderboards of users and locations.
pub(crate) struct Figures<'a> {
    pub(crate) redis: &'a Connection,
    /// Locations that are known to exist. Locations are never deleted.
    pub(crate) known_locations: &'a Cache<LocationId, ()>,
}

impl Figures<'_> {
    /// Applies the check-ins that are not applied yet. The others change nothing.
    pub(crate) async fn apply(&self, checkins: &[Checkin]) -> Result<Outcome> {
        let weeks =
            kept_weeks(checkins.iter().map(|checkin| checkin.time_ms), self.redis.clock.now_ms());
        // The locations are checked first and updated last: an entry is applied only if its user and its
        // location exist. Users and locations are never deleted.
        let locations = checkins.iter().map(|checkin| checkin.location).collect();
        let unknown = self.unknown_locations(locations).await?;
        let is_placed = |checkin: &&Checkin| !unknown.contains(&checkin.location);

        let placed = by_user(checkins.iter().filter(is_placed));
        let (users, deleted) = self.apply_to_users(&placed, &weeks).await?;
        let applied: HashSet<UserId> = users.iter().map(|figures| figures.user).collect();
        let is_applied = |checkin: &&Checkin| applied.contains(&checkin.user);
        let is_ownerless = |checkin: &&Checkin| deleted.contains(&checkin.user);
        let of_locations = async {
            let known = by_location(checkins.iter().filter(is_placed).filter(is_applied));
            let locations = self.apply_to_locations(&known, &weeks).await?;
            self.list_locations(&locations, &weeks).await
        };
        tokio::try_join!(of_locations, self.list_users(&users, &weeks))?;

        let is_known = |checkin: &Checkin| is_applied(&checkin) || is_ownerless(&checkin);
        let missing = |checkin: &Checkin| Dangling::of(is_placed(&checkin), is_known(checkin));
        let dangling =
            checkins.iter().filter_map(|checkin| Some((checkin.clone(), missing(checkin)?)));
        let ownerless = checkins.iter().filter(is_placed).filter(is_ownerless).cloned();
        let new = users.iter().map(|figures| figures.new).sum();
        Ok(Outcome { new, dangling: dangling.collect(), ownerless: ownerless.collect() })
    }

    async fn unknown_locations(&self, ids: BTreeSet<LocationId>) -> Result<HashSet<LocationId>> {
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

    /// Returns the figures of the users who exist, and the users whose accounts are deleted.
    async fn apply_to_users(
        &self,
        checkins: &[Applicable<UserId>],
        weeks: &[u64],
    ) -> Result<(Vec<UserFigures>, HashSet<UserId>)> {
        let keys = &self.redis.keys;
        let arguments = |user: UserId, checkins: &[Applicable<UserId>]| {
            let mut words = vec![checkins.len().to_string()];
            words.extend(checkins.iter().flat_map(history_words));
            let comments: Vec<_> = checkins.iter().filter_map(|one| one.comment.as_ref()).collect();
            words.push(comments.len().to_string());
            words.extend(comments.iter().flat_map(|(id, text)| [id.to_string(), text.to_string()]));
            let [_, _, status, _] = keys.standing(user);
            let keys = vec![
                keys.user(user),
                keys.user_history(user),
                keys.user_base(user),
                keys.comments(user),
                status,
                keys.retracted_of_user(user),
            ];
            Arguments { keys, words }
        };
        let runs = runs(checkins, |checkin| checkin.of, self.redis.client.is_cluster());
        let script = &self.redis.scripts.apply_to_users;
        let answers = self.run_all(script, &listed(weeks), runs, arguments).await?;
        let (mut users, mut deleted) = (Vec::new(), HashSet::new());
        for (user, answer) in answers {
            match reached(user, answer)? {
                Some(Reached::Applied(figures)) => users.push(figures),
                Some(Reached::Deleted(user)) => drop(deleted.insert(user)),
                None => {}
            }
        }
        Ok((users, deleted))
    }

    async fn apply_to_locations(
        &self,
        checkins: &[Applicable<LocationId>],
        weeks: &[u64],
    ) -> Result<Vec<LocationFigures>> {
        let keys = &self.redis.keys;
        let arguments = |location: LocationId, checkins: &[Applicable<LocationId>]| {
            let count = std::iter::once(checkins.len().to_string());
            Arguments {
                keys: vec![
                    keys.location(location),
                    keys.location_history(location),
                    keys.ratings(location),
                    keys.location_base(location),
                    keys.retracted_of_location(location),
                ],
                words: count.chain(checkins.iter().flat_map(history_words)).collect(),
            }
        };
        let runs = runs(checkins, |checkin| checkin.of, self.redis.client.is_cluster());
        let script = &self.redis.scripts.apply_to_locations;
        let answers = self.run_all(script, &listed(weeks), runs, arguments).await?;
        let figures = answers.into_iter().map(|(place, answer)| location_figures(place, answer));
        figures.filter_map(Result::transpose).collect()
    }

    /// Runs a script on all groups, with these arguments before theirs. Returns the reply for each group.
    async fn run_all<K: Copy + Sync, T: Sync>(
        &self,
        script: &Script,
        head: &[String],
        runs: Vec<Run<'_, K, T>>,
        arguments: impl Fn(K, &[T]) -> Arguments + Sync,
    ) -> Result<Vec<(K, Reply)>> {
        // The arguments of a run are made while Redis is busy with the runs before it.
        let run = async |run: &Run<'_, K, T>| {
            let each = run.iter().map(|(key, items)| arguments(*key, items)).collect::<Vec<_>>();
            let keys = each.iter().flat_map(|one| &one.keys).map(String::as_str);
            let words = head.iter().chain(each.iter().flat_map(|one| &one.words));
            let (keys, words): (Vec<_>, Vec<_>) =
                (keys.collect(), words.map(String::as_str).collect());
            array(self.redis.run(script, &keys, &words).await?)
        };
        let answers = few_at_once(runs.iter().map(run).collect()).await?;
        let keys = runs.iter().flatten().map(|(key, _)| *key);
        Ok(keys.zip(answers.into_iter().flatten()).collect())
    }

    async fn list_users(&self, users: &[UserFigures], weeks: &[u64]) -> Result<()> {
        let (lists, keys) = (Lists(self.redis), &self.redis.keys);
        let of_weeks = weeks.iter().enumerate().map(|(position, monday)| {
            let of_week = scores(users, |figures| (figures.weeks[position], figures.user.get()));
            self.raise_week(keys.top_users_of_week(*monday), of_week, *monday)
        });
        tokio::try_join!(
            lists.raise(
                keys.top_users(),
                scores(users, |figures| (figures.num_checkins, figures.user.get())),
            ),
            lists.raise(
                keys.recent_users(),
                scores(users, |figures| (figures.last_checkin, figures.user.get())),
            ),
            at_once(of_weeks.collect()),
            self.move_users(users),
        )?;
        let mut lowered = BTreeMap::<_, BTreeSet<_>>::new();
        let ids = users.iter().map(|figures| figures.user.get());
        let ids = lists.lowered(&keys.lowered_users(), ids).await?;
        for figures in users.iter().filter(|figures| ids.contains(&figures.user.get())) {
            let places = figures.before.into_iter().chain(figures.last_seen_at);
            lowered.entry(figures.user).or_default().extend(places);
        }
        let settle = lowered.iter().map(|(user, places)| lists.settle_user(*user, weeks, places));
        at_once(settle.collect()).await.map(drop)
    }

    async fn list_locations(&self, locations: &[LocationFigures], weeks: &[u64]) -> Result<()> {
        let (lists, keys) = (Lists(self.redis), &self.redis.keys);
        let of_weeks = weeks.iter().enumerate().map(|(position, monday)| {
            let of_week =
                scores(locations, |figures| (figures.weeks[position], figures.location.get()));
            self.raise_week(keys.top_locations_of_week(*monday), of_week, *monday)
        });
        tokio::try_join!(
            lists.raise(
                keys.top_locations(),
                scores(locations, |figures| (figures.num_checkins, figures.location.get())),
            ),
            at_once(of_weeks.collect()),
        )?;
        let ids = locations.iter().map(|figures| figures.location.get());
        let lowered = lists.lowered(&keys.lowered_locations(), ids).await?;
        let lowered = lowered.into_iter().filter_map(|id| LocationId::try_from(id).ok());
        let settle = lowered.map(|location| lists.settle_location(location, weeks));
        at_once(settle.collect()).await.map(drop)
    }

    async fn raise_week(&self, key: String, scores: Scores, monday: u64) -> Result<()> {
        if scores.is_empty() {
            return Ok(());
        }
        Lists(self.redis).raise(key.clone(), scores).await?;
        let end = kept_until(monday).to_string();
        self.redis.call(&["PEXPIREAT", &key, &end]).await?;
        Ok(())
    }

    /// Moves users to the lists of the locations where they are now.
    async fn move_users(&self, users: &[UserFigures]) -> Result<()> {
        let (lists, keys) = (Lists(self.redis), &self.redis.keys);
        let (arrivals, departures) = moves(users);
        let arrive = |(location, users)| lists.raise(keys.users_at(location), users);
        few_at_once(arrivals.into_iter().map(arrive).collect()).await?;
        let arguments = |location: LocationId, departures: &[Departure]| {
            let each = departures
                .iter()
                .flat_map(|gone| [gone.user.to_string(), gone.time_ms.to_string()]);
            let count = std::iter::once(departures.len().to_string());
            Arguments { keys: vec![keys.users_at(location)], words: count.chain(each).collect() }
        };
        let runs = runs(&departures, |gone| gone.location, self.redis.client.is_cluster());
        let script = &self.redis.scripts.leave_locations;
        self.run_all(script, &[], runs, arguments).await.map(drop)
    }
}

/// The arguments of a script for one group.
struct Arguments {
    keys: Vec<String>,
    words: Vec<String>,
}

/// Returns, for each location, the users who are there now and since when, and the users who have left their
/// locations, by location.
fn moves(users: &[UserFigures]) -> (BTreeMap<LocationId, Scores>, Vec<Departure>) {
    let (mut arrivals, mut departures) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    // The figures of a user with very many check-ins are there several times.
    for of_user in users.chunk_by(|a, b| a.user == b.user) {
        let Some(now) = of_user.iter().max_by_key(|figures| figures.last_checkin) else { continue };
        let (Some(here), user, time_ms) = (now.last_seen_at, now.user, now.last_checkin) else {
            continue;
        };
        arrivals.entry(here).or_default().push((time_ms, user.get()));
        let left = of_user.iter().filter_map(|figures| figures.before).filter(|at| *at != here);
        departures.extend(left.map(|location| Departure { location, user, time_ms }));
    }
    departures.sort_by_key(|departure| departure.location);
    (arrivals, departures)
}

/// Returns the scores of a list with their ids. A record with a score of 0 is in no list.
fn scores<T>(figures: &[T], score: impl Fn(&T) -> (u64, u64)) -> Scores {
    figures.iter().map(score).filter(|(score, _)| *score > 0).collect()
}

/// Returns the number of weeks, and their Mondays, as arguments.
fn listed(weeks: &[u64]) -> Vec<String> {
    [weeks.len() as u64].iter().chain(weeks).map(u64::to_string).collect()
}

/// Returns the score and the member in a history as arguments.
fn history_words<K>(checkin: &Applicable<K>) -> [String; 2] {
    [checkin.time_ms.to_string(), checkin.member.clone()]
}

fn reached(user: UserId, answer: Reply) -> Result<Option<Reached>> {
    let replies = match answer {
        Reply::Nil => return Ok(None),
        Reply::Array(replies) => replies,
        // The script says that it is deleted.
        _ => return Ok(Some(Reached::Deleted(user))),
    };
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(Reply::Nil);
    let (new, num_checkins, last_checkin) = (count(next())?, count(next())?, count(next())?);
    let last_seen_at = text(next())?.parse().ok();
    let before = text(next())?.parse().ok();
    let weeks = replies.map(count).collect::<Result<_>>()?;
    let figures =
        UserFigures { user, new, num_checkins, last_checkin, last_seen_at, before, weeks };
    Ok(Some(Reached::Applied(figures)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn location(id: u64) -> LocationId {
        LocationId::try_from(id).unwrap()
    }

    fn at(user: u64, before: Option<u64>, place: u64, last_checkin: u64) -> UserFigures {
        UserFigures {
            user: UserId::try_from(user).unwrap(),
            new: 1,
            num_checkins: 1,
            last_checkin,
            last_seen_at: Some(location(place)),
            before: before.map(location),
            weeks: Vec::new(),
        }
    }

    #[test]
    fn users_move_from_their_last_locations_to_the_latest_one() {
        let users = [
            at(1, None, 5, 10),
            at(2, Some(5), 5, 20),
            // Two groups of one user, who comes from location 6.
            at(3, Some(6), 7, 30),
            at(3, Some(7), 8, 40),
            at(4, Some(5), 8, 50),
        ];
        let (arrivals, departures) = moves(&users);
        let arrivals: Vec<_> = arrivals.into_iter().collect();
        let wanted = [(5, vec![(10, 1), (20, 2)]), (8, vec![(40, 3), (50, 4)])];
        assert_eq!(arrivals, wanted.map(|(place, users)| (location(place), users)));
        let left = departures.iter().map(|gone| (gone.location, gone.user.get(), gone.time_ms));
        let wanted = [(5, 4, 50), (6, 3, 40), (7, 3, 40)];
        assert!(left.eq(wanted.map(|(place, user, time)| (location(place), user, time))));
    }
}
