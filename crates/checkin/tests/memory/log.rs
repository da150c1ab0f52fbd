//! The log: two parts, so that two processors can share it, with ids that grow across both.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::RangeInclusive;

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId, LocationId, NewCheckin, StarRating, UserId};
use checkin_storage::{
    Accepted, Admission, AdmissionFacts, Decision, HistoryPosition, IDEMPOTENCY_TTL, Log,
    LogPosition, Result, Status, StorageError, UsedUp, private_id,
};

use crate::store::{Contents, MemoryStorage};

pub(crate) const PARTS: usize = 2;

/// A part of the log.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) entries: BTreeMap<CheckinId, Checkin>,
    pub(crate) checkpoint: CheckinId,
    /// The processor that holds the lease, and its end in milliseconds since 1970.
    pub(crate) lease: Option<(String, u64)>,
}

/// What an idempotency key came with, and what it made.
#[derive(Debug)]
pub(crate) struct IdempotentAnswer {
    checkin: NewCheckin,
    id: CheckinId,
    /// Milliseconds since 1970.
    until_ms: u64,
}

impl IdempotentAnswer {
    pub(crate) fn is_private(&self) -> bool {
        self.checkin.is_private
    }
}

#[async_trait]
impl Log for MemoryStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        admission: Admission,
    ) -> Result<Accepted> {
        let mut contents = self.contents();
        let (part, now_ms) = (part_of(checkin.user), contents.now_ms);
        let key = idempotency_key.map(|key| (checkin.user, key.to_owned()));
        let private = Admission { max_backlog: u64::MAX, max_length: u64::MAX, ..admission };
        let admission = if checkin.is_private { private } else { admission };
        let status = contents.users.get(&checkin.user).map(|stored| stored.standing.status);
        if status == Some(Status::Deleted) {
            return Ok(Accepted::Behind);
        }
        let trim = match admission.decide(&checkin, &contents.facts(&checkin, key.as_ref())) {
            Decision::Append { trim } => trim,
            Decision::Answer(answer) => return Ok(answer),
        };
        let id = match checkin.is_private {
            true => {
                let mut id = private_id(&checkin, idempotency_key, now_ms);
                while contents.private.values().any(|known| known.id == id)
                    || contents.private_retracted.contains(&(checkin.user, id))
                {
                    id = id.next_private();
                }
                id
            }
            false => contents.next_id(now_ms)?,
        };
        for _ in 0..trim {
            contents.parts[part].entries.pop_first();
        }
        let entry = Checkin { time_ms: now_ms, ..checkin.clone().with_id(id) };
        match checkin.is_private {
            true => drop(contents.private.insert((entry.user, (&entry).into()), entry)),
            false => contents.insert_entry(entry),
        }
        contents.appended_ms.insert(content(&checkin), now_ms);
        if let Some(key) = key {
            let until_ms = contents.until(IDEMPOTENCY_TTL);
            contents.idempotency_keys.insert(key, IdempotentAnswer { checkin, id, until_ms });
        }
        Ok(Accepted::Stored(id))
    }

    async fn checkins_between(
        &self,
        times_ms: RangeInclusive<u64>,
        after: Option<HistoryPosition>,
        limit: usize,
    ) -> Result<Vec<Checkin>> {
        let contents = self.contents();
        let mut checkins: Vec<Checkin> = contents
            .entries()
            .filter(|checkin| times_ms.contains(&checkin.time_ms))
            .filter(|checkin| after.is_none_or(|after| HistoryPosition::from(*checkin) > after))
            .cloned()
            .collect();
        checkins.sort_unstable_by_key(|checkin| HistoryPosition::from(checkin));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn latest_checkins(&self, before: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let contents = self.contents();
        let mut checkins: Vec<Checkin> =
            contents.entries().filter(|checkin| checkin.id < before).cloned().collect();
        checkins.sort_unstable_by_key(|checkin| Reverse(checkin.id));
        checkins.truncate(limit);
        Ok(checkins)
    }

    async fn log_end(&self) -> Result<LogPosition> {
        let end = |part: &Part| part.entries.last_key_value().map_or(CheckinId::MIN, |(id, _)| *id);
        Ok(LogPosition(self.contents().parts.iter().map(end).collect()))
    }

    async fn follow(&self, from: &mut LogPosition, limit: usize) -> Result<Vec<(usize, Checkin)>> {
        from.0.resize(PARTS, CheckinId::MIN);
        let (contents, mut checkins) = (self.contents(), Vec::new());
        for (number, (part, after)) in contents.parts.iter().zip(&mut from.0).enumerate() {
            let page = part.after(*after, limit);
            *after = page.last().map_or(*after, |checkin| checkin.id);
            checkins.extend(page.into_iter().map(|checkin| (number, checkin)));
        }
        Ok(checkins)
    }
}

/// What makes two check-ins identical.
fn content(checkin: &NewCheckin) -> (UserId, LocationId, StarRating, bool) {
    (checkin.user, checkin.location, checkin.stars, checkin.is_private)
}

pub(crate) fn part_of(user: UserId) -> usize {
    (user.get() % PARTS as u64) as usize
}

impl Part {
    pub(crate) fn after(&self, after: CheckinId, limit: usize) -> Vec<Checkin> {
        let entries = self.entries.range((Excluded(after), Unbounded));
        entries.take(limit).map(|(_, checkin)| checkin.clone()).collect()
    }

    /// The entries that are applied or are dead letters.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Checkin> {
        self.entries.range(..=self.checkpoint).map(|(_, checkin)| checkin)
    }

    pub(crate) fn waiting(&self) -> u64 {
        (self.entries.len() - self.counted().count()) as u64
    }
}

impl Default for Part {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), checkpoint: CheckinId::MIN, lease: None }
    }
}

impl Contents {
    fn facts(&self, checkin: &NewCheckin, key: Option<&(UserId, String)>) -> AdmissionFacts {
        let remembered = key.and_then(|key| self.idempotency_keys.get(key));
        let remembered = remembered.filter(|first| first.until_ms > self.now_ms);
        let part = &self.parts[part_of(checkin.user)];
        AdmissionFacts {
            remembered: remembered.map(|first| (first.checkin.clone(), first.id)),
            last_identical_ms: self.appended_ms.get(&content(checkin)).copied(),
            now_ms: self.now_ms,
            length: part.entries.len() as u64,
            counted: part.counted().count() as u64,
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Checkin> {
        self.parts.iter().flat_map(|part| part.entries.values())
    }

    /// The first id at this time or later that is behind the last one.
    pub(crate) fn next_id(&self, ms: u64) -> Result<CheckinId> {
        let next = CheckinId { ms, seq: 0 };
        if next > self.last_id {
            return Ok(next);
        }
        let CheckinId { ms, seq } = self.last_id;
        let seq = seq.checked_add(1).ok_or_else(|| StorageError::new(UsedUp("the log")))?;
        Ok(CheckinId { ms, seq })
    }

    /// Adds an entry whose id is behind the last one.
    pub(crate) fn insert_entry(&mut self, checkin: Checkin) {
        self.last_id = checkin.id;
        self.parts[part_of(checkin.user)].entries.insert(checkin.id, checkin);
    }
}
