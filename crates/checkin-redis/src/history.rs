//! Histories in Redis: sorted sets of `<id> <location or user> <stars>` by time. Redis sorts check-ins of the same
//! millisecond by the text of their ids, and so do the pages: imports may put very many into one millisecond, of which a
//! page can only be found in this order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use checkin_domain::{Checkin, CheckinId, LocationId, StarRating, UserId};
use checkin_storage::{History, HistoryPosition, Result};
use redis_link::Reply;

use crate::RedisStorage;
use crate::connection::{Connection, at_once};
use crate::reply::{array, scored, text, texts};

/// Maximum number of members in one request.
pub(crate) const PAGE: usize = 1000;

#[async_trait]
impl History for RedisStorage {
    async fn of_user(
        &self,
        user: UserId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let read_private =
            |member: Member| Some(Checkin { is_private: true, ..member.of_user(user)? });
        let (histories, keys) = (Histories(&self.redis), &self.redis.keys);
        let (history, private) = (keys.user_history(user), keys.private_history(user));
        let comments = keys.comments(user);
        let (mut checkins, private, has_comments) = tokio::try_join!(
            histories.read(&history, after, limit, |member| member.of_user(user)),
            histories.read(&private, after, limit, read_private),
            self.redis.exists(&comments),
        )?;
        // Most users have none, and a history may be long.
        if has_comments {
            checkins = histories.with_comments(checkins).await?;
        }
        if !private.is_empty() {
            checkins.extend(histories.with_comments(private).await?);
            // As Redis sorts them.
            checkins.sort_by_cached_key(|it| Reverse((it.time_ms, it.id.to_string())));
            checkins.truncate(limit);
        }
        Ok(checkins)
    }

    async fn of_location(
        &self,
        location: LocationId,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let read = |member: Member| {
            let user = UserId::try_from(member.other).ok()?;
            Some(member.checkin(user, location))
        };
        let (histories, key) = (Histories(&self.redis), self.redis.keys.location_history(location));
        histories.with_comments(histories.read(&key, after, limit, read).await?).await
    }
}

/// A member of a history.
pub(crate) struct Member {
    pub(crate) time_ms: u64,
    pub(crate) id: CheckinId,
    /// The id of the location in a user's history, and of the user in a location's history.
    pub(crate) other: u64,
    pub(crate) stars: StarRating,
}

impl Member {
    pub(crate) fn read(member: &str, score: &str) -> Option<Self> {
        let mut words = member.split(' ');
        Some(Self {
            time_ms: milliseconds(score)?,
            id: words.next()?.parse().ok()?,
            other: words.next()?.parse().ok()?,
            stars: StarRating::try_from(words.next()?.parse::<u64>().ok()?).ok()?,
        })
    }

    /// Returns the check-in of a member of this user's history, without its comment.
    pub(crate) fn of_user(&self, user: UserId) -> Option<Checkin> {
        let location = LocationId::try_from(self.other).ok()?;
        Some(self.checkin(user, location))
    }

    fn checkin(&self, user: UserId, location: LocationId) -> Checkin {
        let Self { time_ms, id, stars, .. } = *self;
        Checkin { id, time_ms, user, location, stars, comment: None, is_private: false }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, other, stars, .. } = self;
        write!(f, "{id} {other} {stars}")
    }
}

/// The histories: sorted sets of check-ins by their times.
pub(crate) struct Histories<'a>(pub(crate) &'a Connection);

impl Histories<'_> {
    async fn read(
        &self,
        key: &str,
        after: Option<HistoryPosition>,
        limit: usize,
        read: impl Fn(Member) -> Option<Checkin> + Send,
    ) -> Result<Vec<Checkin>> {
        let mut position = after.map(|after| (after.id.to_string(), after.time_ms.to_string()));
        let mut members = Vec::new();
        while members.len() < limit {
            let count = PAGE.min(limit - members.len());
            let page = self.page(key, position.as_ref(), count).await?;
            members.extend(page.iter().filter_map(|(member, score)| Member::read(member, score)));
            if page.len() < count {
                break;
            }
            position = page.into_iter().next_back();
        }
        Ok(members.into_iter().filter_map(read).collect())
    }

    /// Returns the members after a position, latest first, with their scores. The position is a member, or a text that
    /// is compared with members, and its score.
    pub(crate) async fn page(
        &self,
        key: &str,
        position: Option<&(String, String)>,
        limit: usize,
    ) -> Result<Vec<(String, String)>> {
        let limit = limit.to_string();
        let position = position.into_iter().flat_map(|(member, score)| [&**score, member]);
        let words: Vec<&str> = ["desc", &limit].into_iter().chain(position).collect();
        scored(self.0.run(&self.0.scripts.page, &[key], &words).await?)
    }

    /// Adds the comments, which lie beside the histories of the users.
    async fn with_comments(&self, mut checkins: Vec<Checkin>) -> Result<Vec<Checkin>> {
        let mut by_key = BTreeMap::<String, Vec<usize>>::new();
        for (position, checkin) in checkins.iter().enumerate() {
            let key = match checkin.is_private {
                true => self.0.keys.private_comments(checkin.user),
                false => self.0.keys.comments(checkin.user),
            };
            by_key.entry(key).or_default().push(position);
        }
        let read = by_key.iter().map(|(key, positions)| {
            let ids = positions.iter().map(|position| checkins[*position].id.to_string());
            let words: Vec<String> =
                ["HMGET", key].map(str::to_owned).into_iter().chain(ids).collect();
            async move {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                array(self.0.call(&words).await?)
            }
        });
        let comments = at_once(read.collect()).await?.into_iter().flatten();
        for (position, comment) in by_key.values().flatten().zip(comments) {
            if comment != Reply::Nil {
                checkins[*position].comment = text(comment)?.parse().ok();
            }
        }
        Ok(checkins)
    }

    /// Returns a wanted member of one millisecond.
    pub(crate) async fn find_at(
        &self,
        key: &str,
        time_ms: u64,
        is_wanted: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<Option<Member>> {
        let mut found = None;
        let is_found = |member: &str| {
            found = is_wanted(member).then(|| member.to_owned());
            found.is_some()
        };
        self.read_at(key, time_ms, is_found).await?;
        Ok(found.and_then(|member| Member::read(&member, &time_ms.to_string())))
    }

    /// Reads the members of one millisecond until `is_enough` returns true, in pages: imports may have put very many into
    /// it.
    pub(crate) async fn read_at(
        &self,
        key: &str,
        time_ms: u64,
        is_enough: impl FnMut(&str) -> bool + Send,
    ) -> Result<()> {
        let (time, count) = (time_ms.to_string(), PAGE.to_string());
        let (mut is_enough, mut skipped) = (is_enough, 0);
        loop {
            let offset = skipped.to_string();
            let range = ["ZRANGEBYSCORE", key, &time, &time, "LIMIT", &offset, &count];
            let page = texts(self.0.call(&range).await?)?;
            if page.iter().any(|member| is_enough(member)) || page.len() < PAGE {
                return Ok(());
            }
            skipped += PAGE;
        }
    }

    /// Returns whether the history of a user has a check-in at this location and time, of any rating.
    pub(crate) async fn has_visit(&self, key: &str, checkin: &Checkin) -> Result<bool> {
        let location = checkin.location.to_string();
        let is_there = |member: &str| member.split(' ').nth(1) == Some(&location);
        Ok(self.find_at(key, checkin.time_ms, is_there).await?.is_some())
    }

    /// Returns a page of the members before a time, oldest first, after the first `skipped` ones.
    pub(crate) async fn before(
        &self,
        key: &str,
        before_ms: u64,
        skipped: usize,
        limit: usize,
    ) -> Result<Vec<Member>> {
        let (before, limit) = (format!("({before_ms}"), limit.to_string());
        let skipped = skipped.to_string();
        let range =
            ["ZRANGEBYSCORE", key, "-inf", &before, "WITHSCORES", "LIMIT", &skipped, &limit];
        read_members(self.0.call(&range).await?)
    }

    /// Returns a part of a complete history, and the cursor of the next part; "0" is the first and the last
    /// one. Members may be removed meanwhile: each one that stays is returned, maybe several times.
    pub(crate) async fn scan(&self, key: &str, cursor: &str) -> Result<(Vec<Member>, String)> {
        let scan = ["ZSCAN", key, cursor, "COUNT", &PAGE.to_string()];
        let mut step = array(self.0.call(&scan).await?)?.into_iter();
        let cursor = text(step.next().unwrap_or(Reply::Nil))?;
        Ok((read_members(step.next().unwrap_or(Reply::Nil))?, cursor))
    }
}

/// Reads members and their scores. Members that we did not write are skipped.
fn read_members(reply: Reply) -> Result<Vec<Member>> {
    let pairs = scored(reply)?;
    Ok(pairs.iter().filter_map(|(member, score)| Member::read(member, score)).collect())
}

/// Reads a score that is a time. Redis sometimes writes large scores as `1.79e+12`.
pub(crate) fn milliseconds(score: &str) -> Option<u64> {
    let time: f64 = score.parse().ok()?;
    // It must be an integer that a double represents exactly.
    (0.0..=9_007_199_254_740_991.0).contains(&time).then_some(time as u64)
}
