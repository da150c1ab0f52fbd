//! Private check-ins in Redis: a sorted set beside the account, in its slot, which is log and history at once.

use std::collections::BTreeMap;

use checkin_domain::{Checkin, CheckinId, Comment, NewCheckin, UserId};
use checkin_storage::{Accepted, Admission, IDEMPOTENCY_TTL, Loaded, Result, private_id};
use redis_link::Reply;

use crate::appends::{accepted, milliseconds};
use crate::connection::{Connection, at_once};
use crate::fault::failed;
use crate::history::{Histories, Member};
use crate::keys::IdempotencyKey;
use crate::reply::{array, number, text, unexpected};
use crate::retention::horizon_ms;

/// Maximum number of check-ins in one run of a script, during which Redis does nothing else.
const AT_ONCE: usize = 250;

/// Maximum number of check-ins that one run of a script removes, for the same reason.
const MOST: i64 = 250;

/// The private check-ins of all users.
pub(crate) struct Private<'a>(pub(crate) &'a Connection);

impl Private<'_> {
    /// Adds a check-in to the history that only its user sees.
    pub(crate) async fn append(
        &self,
        checkin: &NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted> {
        let NewCheckin { user, location, stars, comment, .. } = checkin;
        let key = idempotency_key.map(|key| IdempotencyKey::new(*user, key));
        if let Some(key) = &key
            && !self.claim_key(*user, key).await?
        {
            return Ok(Accepted::KeyReused);
        }
        let keys = &self.0.keys;
        let [first, second] = keys.private_keys(*user);
        let [_, _, status, _] = keys.standing(*user);
        let (history, comments) = (keys.private_history(*user), keys.private_comments(*user));
        let (recent, retracted) = (keys.private_recent(*user), keys.private_retracted(*user));
        let names = [history, comments, first, second, recent, status, retracted];
        let (window, life) =
            (milliseconds(admission.duplicate_window), milliseconds(IDEMPOTENCY_TTL));
        let (location, stars) = (location.to_string(), stars.to_string());
        let digest = key.map(|key| key.digest());
        let digest = digest.as_ref().map_or(&b""[..], |digest| digest);
        let seq = private_id(checkin, idempotency_key, 0).seq.to_string();
        let comment = comment.as_ref().map_or("", Comment::as_str).as_bytes();
        let before = [&window, &life, &location, &stars].map(String::as_bytes);
        let words = [&before[..], &[comment, digest, seq.as_bytes()]].concat();
        let names = names.each_ref().map(String::as_bytes);
        let script = &self.0.scripts.append_private;
        accepted(&text(self.0.writes.run(script, &names, &words).await.map_err(failed)?)?)
    }

    /// Claims an idempotency key, which lies in another slot, for private check-ins. Returns false if one that is
    /// not private came with it.
    async fn claim_key(&self, user: UserId, key: &IdempotencyKey) -> Result<bool> {
        let (old, [first, second]) =
            (self.0.keys.old_idempotency(user, key), self.0.keys.idempotency(user, key));
        let names = [first, second, old];
        let (digest, life) = (key.digest(), milliseconds(IDEMPOTENCY_TTL));
        let (names, words) =
            (names.each_ref().map(String::as_bytes), [&digest[..], life.as_bytes()]);
        let script = &self.0.scripts.claim_private_key;
        let claimed = self.0.writes.run(script, &names, &words).await.map_err(failed)?;
        Ok(number(claimed)? == 1)
    }

    /// Stores check-ins that keep their ids. Returns one result for each, in order.
    pub(crate) async fn load(&self, checkins: &[&Checkin]) -> Result<Vec<Loaded>> {
        let horizon = horizon_ms(self.0).await?.to_string();
        let mut by_user = BTreeMap::<UserId, Vec<usize>>::new();
        for (position, checkin) in checkins.iter().enumerate() {
            by_user.entry(checkin.user).or_default().push(position);
        }
        let mut loaded = vec![Loaded::Unchanged; checkins.len()];
        for (user, positions) in by_user {
            for positions in positions.chunks(AT_ONCE) {
                let of_run = positions.iter().map(|position| checkins[*position]).collect();
                let answers = self.load_run(user, &horizon, of_run).await?;
                for (position, answer) in positions.iter().zip(answers) {
                    loaded[*position] = answer;
                }
            }
        }
        Ok(loaded)
    }

    async fn load_run(
        &self,
        user: UserId,
        horizon: &str,
        checkins: Vec<&Checkin>,
    ) -> Result<Vec<Loaded>> {
        let words: Vec<String> = checkins
            .into_iter()
            .flat_map(|Checkin { id, time_ms, location, stars, comment, .. }| {
                let comment = comment.as_ref().map_or("", Comment::as_str).to_owned();
                [
                    id.to_string(),
                    time_ms.to_string(),
                    location.to_string(),
                    stars.to_string(),
                    comment,
                ]
            })
            .collect();
        let words: Vec<&str> =
            [horizon].into_iter().chain(words.iter().map(String::as_str)).collect();
        let (keys, [_, _, status, _]) = (&self.0.keys, self.0.keys.standing(user));
        let (history, comments) = (keys.private_history(user), keys.private_comments(user));
        let keys = [history, comments, keys.private_retracted(user), status];
        let keys = keys.each_ref().map(String::as_str);
        let answers = array(self.0.run(&self.0.scripts.load_private, &keys, &words).await?)?;
        let loaded = |answer| match number(answer)? {
            1 => Ok(Loaded::Stored),
            0 => Ok(Loaded::Unchanged),
            -1 => Ok(Loaded::TooOld),
            -2 => Ok(Loaded::Dangling),
            _ => Err(unexpected("a number from -2 to 1")),
        };
        answers.into_iter().map(loaded).collect()
    }

    /// Removes a check-in. Returns false if the user has no such private check-in.
    pub(crate) async fn retract(&self, user: UserId, id: CheckinId) -> Result<bool> {
        let keys = &self.0.keys;
        let history = keys.private_history(user);
        let Some(found) = Histories(self.0).find(&history, id).await? else { return Ok(false) };
        let names = [
            history,
            keys.private_comments(user),
            keys.private_retracted(user),
            keys.private_recent(user),
        ];
        let Member { time_ms, other, stars, .. } = found;
        let words = [id.to_string(), time_ms.to_string(), format!("{other} {stars}")];
        let (names, words) = (names.each_ref(), words.each_ref());
        let (names, words) = (names.map(String::as_str), words.map(String::as_str));
        let removed =
            self.0.run_replicated(&self.0.scripts.retract_private, &names, &words).await?;
        Ok(number(removed)? == 1)
    }

    /// Returns whether a check-in was retracted.
    pub(crate) async fn was_retracted(&self, user: UserId, id: CheckinId) -> Result<bool> {
        let (key, id) = (self.0.keys.private_retracted(user), id.to_string());
        let is_marked = self.0.call(&["ZSCORE", &key, &id]).await? != Reply::Nil;
        if is_marked {
            // It may not have reached the replicas.
            self.0.replicate(&[&key]).await?;
        }
        Ok(is_marked)
    }

    /// Returns whether the user has a private check-in at this location and time, of any rating, or retracted it.
    pub(crate) async fn has_visited(&self, checkin: &Checkin) -> Result<bool> {
        let key = self.0.keys.private_history(checkin.user);
        let is_there = Histories(self.0).has_visit(&key, checkin).await?;
        Ok(is_there || self.was_retracted(checkin.user, checkin.id).await?)
    }

    /// Returns whether a private visit has this Swarm id.
    pub(crate) async fn has_visit(&self, user: UserId, swarm_id: &str) -> Result<bool> {
        let key = self.0.keys.private_visits(user);
        Ok(number(self.0.call(&["SISMEMBER", &key, swarm_id]).await?)? == 1)
    }

    /// Keeps the Swarm id of a private visit.
    pub(crate) async fn keep_visit(&self, user: UserId, swarm_id: &str) -> Result<()> {
        let [_, _, status, _] = self.0.keys.standing(user);
        let keys = [self.0.keys.private_visits(user), status];
        let keys = keys.each_ref().map(String::as_str);
        self.0.run(&self.0.scripts.keep_private_visit, &keys, &[swarm_id]).await.map(drop)
    }

    /// Removes the check-ins of these users from before a time.
    pub(crate) async fn remove_old(
        &self,
        users: impl Iterator<Item = UserId>,
        before_ms: u64,
    ) -> Result<()> {
        let (before, most) = (before_ms.to_string(), MOST.to_string());
        let remove = |user: UserId| {
            let keys = &self.0.keys;
            let (history, comments) = (keys.private_history(user), keys.private_comments(user));
            let keys = [history, comments, keys.private_retracted(user)];
            let words = [before.as_str(), &most];
            async move {
                let (keys, script) =
                    (keys.each_ref().map(String::as_str), &self.0.scripts.fold_private);
                loop {
                    let removed = number(self.0.run(script, &keys, &words).await?)?;
                    if removed < MOST {
                        return Ok(());
                    }
                }
            }
        };
        at_once(users.map(remove).collect()).await.map(drop)
    }
}
