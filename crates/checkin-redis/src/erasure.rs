//! Erasing what a deleted account has beside its hash: its check-ins, its figures, and what imports keep of them.

use std::collections::BTreeSet;

use checkin_domain::week::WEEK_MS;
use checkin_domain::{Checkin, CheckinId, UserId};
use checkin_storage::weeks::kept_weeks;
use checkin_storage::{Result, Retractions as _};

use crate::RedisStorage;
use crate::connection::at_once;
use crate::entry::{self, RawEntry};
use crate::history::{Histories, Member};
use crate::lists::Lists;
use crate::partition::Partition;
use crate::reply::{texts, unexpected};
use crate::retractions::add_marks;
use crate::users;

/// Maximum number of retractions that are applied at the same time. All of them stay if one fails.
const APPLIED_AT_ONCE: usize = 100;

/// What is done, in this order: the check-ins of the log, of the dead letters and of the history are retracted, the
/// retractions are applied, and the figures are removed with what is kept against another import. A check-in that
/// leaves the log meanwhile goes to the dead letters or into the history, so neither is read before the log.
const PHASES: [&str; 8] =
    ["log", "dead-letters", "history", "apply", "figures", "imported", "visits", "retracted"];

/// Erases what belongs to the check-ins of a user, all of which are in one partition.
pub(crate) struct Erasure<'a> {
    pub(crate) storage: &'a RedisStorage,
    pub(crate) user: UserId,
    /// The number of check-ins of a step.
    pub(crate) limit: usize,
}

impl Erasure<'_> {
    /// Does one step. Its beginning is a phase, and a place there that is empty at first. Returns where the next one begins.
    pub(crate) async fn step(&self, from: Option<&str>) -> Result<Option<String>> {
        let (phase, at) = from.and_then(|from| from.split_once(' ')).unwrap_or((PHASES[0], ""));
        let (keys, number) = (&self.storage.redis.keys, self.partition().number);
        let next = match phase {
            "log" => self.retract_log(at).await,
            "dead-letters" => self.retract_dead_letters(at).await,
            "history" => self.retract_history(at).await,
            "apply" => self.apply(number).await,
            "figures" => self.forget_figures().await,
            "imported" => self.remove_from(keys.imported(number), "SSCAN", at).await,
            "visits" => self.remove_from(keys.swarm_visits(number), "SSCAN", at).await,
            _ => self.remove_from(keys.retracted(number), "ZSCAN", at).await,
        };
        if let Some(at) = next? {
            return Ok(Some(format!("{phase} {at}")));
        }
        let mut following = PHASES.iter().skip_while(|known| **known != phase).skip(1);
        Ok(following.next().map(|phase| format!("{phase} ")))
    }

    fn partition(&self) -> Partition<'_> {
        let redis = &self.storage.redis;
        Partition { redis, number: redis.keys.partition_of(self.user) }
    }

    async fn retract_history(&self, at: &str) -> Result<Option<String>> {
        let redis = &self.storage.redis;
        let position = at.split_once(' ').map(|(score, member)| (member.into(), score.into()));
        let key = redis.keys.user_history(self.user);
        let page = Histories(redis).page(&key, position.as_ref(), self.limit).await?;
        let members = page.iter().filter_map(|(member, score)| Member::read(member, score));
        self.retract_each(members.filter_map(|member| member.of_user(self.user)).collect()).await?;
        Ok(page.last().map(|(member, score)| format!("{score} {member}")))
    }

    async fn retract_log(&self, at: &str) -> Result<Option<String>> {
        let after = at.parse().unwrap_or(CheckinId::MIN);
        let entries = self.partition().entries_after(after, self.limit).await?;
        let last = entries.last().map(|entry| entry.id.to_string());
        self.retract_entries(entries).await?;
        Ok(last)
    }

    async fn retract_dead_letters(&self, at: &str) -> Result<Option<String>> {
        let Partition { redis, number } = self.partition();
        let key = redis.keys.dead_letters(number);
        let after = if at.is_empty() { "-".to_owned() } else { format!("({at}") };
        let range = ["XRANGE", &key, &after, "+", "COUNT", &self.limit.to_string()];
        let letters = entry::read_all(redis.call(&range).await?)?;
        let fields = |letter: &RawEntry| {
            RawEntry::from_json(letter.id, letter.value("fields").unwrap_or("{}")).ok()
        };
        self.retract_entries(letters.iter().filter_map(fields).collect()).await?;
        Ok(letters.last().map(|letter| letter.id.to_string()))
    }

    async fn apply(&self, number: usize) -> Result<Option<String>> {
        let limit = self.limit.min(APPLIED_AT_ONCE);
        let applied = self.storage.apply_retractions(number, limit).await?;
        Ok((applied > 0).then(String::new))
    }

    async fn retract_entries(&self, mut entries: Vec<RawEntry>) -> Result<()> {
        let user = self.user.to_string();
        entries.retain(|entry| entry.value("userId") == Some(&user));
        let entries = self.partition().dated(entries).await?;
        let checkins = entries.into_iter().filter_map(|entry| entry.checkin().ok());
        self.retract_each(checkins.collect()).await
    }

    async fn retract_each(&self, checkins: Vec<Checkin>) -> Result<()> {
        let partition = self.partition();
        let retract = checkins.iter().map(|checkin| partition.retract(checkin));
        at_once(retract.collect()).await.map(drop)
    }

    /// Removes the figures of the user. Nothing is imported for a deleted account.
    async fn forget_figures(&self) -> Result<Option<String>> {
        let (redis, keys) = (&self.storage.redis, &self.storage.redis.keys);
        let places: BTreeSet<_> = match users::read(redis, self.user).await? {
            Some(user) => user.last_seen_at.into_iter().collect(),
            None => BTreeSet::new(),
        };
        add_marks(redis, keys.lowered_users(), [self.user.get()].into_iter()).await?;
        let of_user =
            [keys.user(self.user), keys.user_history(self.user), keys.user_base(self.user)];
        let of_user = of_user.each_ref().map(String::as_str);
        redis.run(&redis.scripts.forget_figures, &of_user, &[]).await?;
        let now_ms = redis.clock.now_ms();
        let recent = (0..8).map(|week| now_ms.saturating_sub(week * WEEK_MS));
        Lists(redis).settle_user(self.user, &kept_weeks(recent, now_ms), &places).await?;
        Ok(None)
    }

    /// Removes the user's members from a part of a set, which this command scans. Returns where the next part begins.
    async fn remove_from(&self, key: String, scan: &str, at: &str) -> Result<Option<String>> {
        let (redis, limit, user) =
            (&self.storage.redis, self.limit.to_string(), self.user.to_string());
        let words: Vec<&str> =
            [scan, &limit, &user].into_iter().chain(at.split_whitespace()).collect();
        let next = redis.run(&redis.scripts.remove_own, &[&key], &words).await?;
        let Ok([server, cursor]) = <[String; 2]>::try_from(texts(next)?) else {
            return Err(unexpected("the next part of a set"));
        };
        Ok((cursor != "0").then(|| format!("{server} {cursor}")))
    }
}
