//! Erasing what a deleted account has beside its hash: its check-ins, its figures, and what imports keep of them.

use std::collections::BTreeSet;

use checkin_domain::week::WEEK_MS;
use checkin_domain::{Checkin, CheckinId, UserId};
use checkin_storage::Result;
use checkin_storage::weeks::kept_weeks;
use redis_link::Reply;

use crate::connection::at_once;
use crate::entry::{self, RawEntry};
use crate::history::Histories;
use crate::lists::Lists;
use crate::partition::{PAGE, Partition};
use crate::reply::{array, text, texts};
use crate::retractions::add_marks;
use crate::users;

/// No user has this id.
const NOBODY: &str = "0";

/// Erases what belongs to the check-ins of a user, all of which are in this partition.
pub(crate) struct Erasure<'a> {
    pub(crate) partition: Partition<'a>,
    pub(crate) user: UserId,
}

impl Erasure<'_> {
    /// Retracts the check-ins of the history, of the log and of the dead letters.
    pub(crate) async fn retract(&self) -> Result<()> {
        let redis = self.partition.redis;
        let (key, mut cursor) = (redis.keys.user_history(self.user), "0".to_owned());
        loop {
            let members;
            (members, cursor) = Histories(redis).scan(&key, &cursor).await?;
            let own = members.into_iter().filter_map(|member| member.of_user(self.user));
            self.retract_each(own.collect()).await?;
            if cursor == "0" {
                break;
            }
        }
        let mut after = CheckinId::MIN;
        loop {
            let entries = self.partition.entries_after(after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = last.id;
            self.retract_entries(entries).await?;
        }
        let (key, mut from) = (redis.keys.dead_letters(self.partition.number), "-".to_owned());
        loop {
            let range = ["XRANGE", &key, &from, "+", "COUNT", &PAGE.to_string()];
            let letters = entry::read_all(redis.call(&range).await?)?;
            let Some(last) = letters.last() else { return Ok(()) };
            from = format!("({}", last.id);
            let fields = |letter: &RawEntry| {
                RawEntry::from_json(letter.id, letter.value("fields").unwrap_or("{}")).ok()
            };
            self.retract_entries(letters.iter().filter_map(fields).collect()).await?;
        }
    }

    async fn retract_entries(&self, mut entries: Vec<RawEntry>) -> Result<()> {
        let user = self.user.to_string();
        entries.retain(|entry| entry.value("userId") == Some(&user));
        let entries = self.partition.dated(entries).await?;
        let checkins = entries.into_iter().filter_map(|entry| entry.checkin().ok());
        self.retract_each(checkins.collect()).await
    }

    async fn retract_each(&self, checkins: Vec<Checkin>) -> Result<()> {
        let retract = checkins.iter().map(|checkin| self.partition.retract(checkin));
        at_once(retract.collect()).await.map(drop)
    }

    /// Removes the figures of the user, and what is kept about the check-ins against another import: nothing is
    /// imported for a deleted account.
    pub(crate) async fn forget(&self) -> Result<()> {
        let (redis, id) = (self.partition.redis, self.user.get());
        let (keys, number) = (&redis.keys, self.partition.number);
        let places: BTreeSet<_> = match users::read(redis, self.user).await? {
            Some(user) => user.last_seen_at.into_iter().collect(),
            None => BTreeSet::new(),
        };
        add_marks(redis, keys.lowered_users(), [id].into_iter()).await?;
        let of_user =
            [keys.user(self.user), keys.user_history(self.user), keys.user_base(self.user)];
        let of_user = of_user.each_ref().map(String::as_str);
        redis.run(&redis.scripts.forget_figures, &of_user, &[]).await?;
        let now_ms = redis.clock.now_ms();
        let recent = (0..8).map(|week| now_ms.saturating_sub(week * WEEK_MS));
        Lists(redis).settle_user(self.user, &kept_weeks(recent, now_ms), &places).await?;

        let is_second = |member: &str| member.split(' ').nth(1) == Some(&id.to_string());
        let of_visit = |member: &str| match member.split_once(' ') {
            Some(("at", rest)) => rest.split(' ').nth(1) == Some(&id.to_string()),
            _ => is_second(member),
        };
        self.remove_from("SSCAN", "SREM", keys.imported(number), is_second).await?;
        self.remove_from("SSCAN", "SREM", keys.swarm_visits(number), of_visit).await?;
        self.remove_from("ZSCAN", "ZREM", keys.retracted(number), is_second).await
    }

    /// Leaves marks without the user: whoever moves the checkpoint has to know that entries of a batch that was read
    /// before are not in the log any more.
    async fn leave_ids(&self, key: &str, marks: &[&str]) -> Result<()> {
        let ids = marks.iter().filter_map(|mark| mark.split_once(' ')).map(|(id, _)| id);
        let ids = ids.filter_map(|id| id.parse::<CheckinId>().ok());
        let words: Vec<String> =
            ids.flat_map(|id| [id.ms.to_string(), format!("{id} {NOBODY}")]).collect();
        let words = words.iter().map(String::as_str);
        self.partition
            .redis
            .call(&["ZADD", key].into_iter().chain(words).collect::<Vec<_>>())
            .await?;
        Ok(())
    }

    /// Removes the members of a set, or of a sorted set, that are those of the user.
    async fn remove_from(
        &self,
        scan: &str,
        remove: &str,
        key: String,
        is_own: impl Fn(&str) -> bool + Send,
    ) -> Result<()> {
        let (redis, mut cursor) = (self.partition.redis, "0".to_owned());
        // The scores of a sorted set come between its members.
        let step = if scan == "ZSCAN" { 2 } else { 1 };
        loop {
            let words = [scan, &key, &cursor, "COUNT", &PAGE.to_string()];
            let mut found = array(redis.call(&words).await?)?.into_iter();
            cursor = text(found.next().unwrap_or(Reply::Nil))?;
            let members = texts(found.next().unwrap_or(Reply::Nil))?;
            let own = members.iter().step_by(step).filter(|member| is_own(member));
            let own: Vec<&str> = own.map(String::as_str).collect();
            if !own.is_empty() {
                if scan == "ZSCAN" {
                    self.leave_ids(&key, &own).await?;
                }
                redis.call(&[&[remove, &key], &own[..]].concat()).await?;
            }
            if cursor == "0" {
                return Ok(());
            }
        }
    }
}
