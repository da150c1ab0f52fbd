//! The log of check-ins in Redis.

use std::time::Duration;

use async_trait::async_trait;

use super::{RedisStorage, Reply, array, text, texts, unexpected};
use crate::domain::{Checkin, CheckinId, NewCheckin, StarRating};
use crate::storage::{Accepted, CheckinLog, IDEMPOTENCY_TTL, Result};

/// Entries asked for at a time.
const PAGE: usize = 1000;

#[async_trait]
impl CheckinLog for RedisStorage {
    async fn append(
        &self,
        checkin: NewCheckin,
        idempotency_key: Option<&str>,
        duplicate_window: Duration,
    ) -> Result<Accepted> {
        let (log, recent) = (self.keys.checkins(), self.keys.recent(&checkin));
        let key = idempotency_key.map(|key| self.keys.idempotency(checkin.user, key));
        let mut keys = vec![log.as_str(), &recent];
        keys.extend(key.as_deref());
        let arguments = [
            checkin.user.to_string(),
            checkin.location.to_string(),
            checkin.stars.to_string(),
            milliseconds(duplicate_window),
            milliseconds(IDEMPOTENCY_TTL),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        accepted(self.run(&self.scripts.append, &keys, &arguments).await?)
    }

    /// Entries that are no check-ins, whoever wrote them, are passed over: nobody could get past
    /// them otherwise.
    async fn checkins_after(&self, after: CheckinId, limit: usize) -> Result<Vec<Checkin>> {
        let (mut after, mut checkins) = (after, Vec::new());
        while checkins.len() < limit && after < LAST {
            let count = PAGE.min(limit - checkins.len());
            let entries = self.entries_after(after, count).await?;
            let Some((last, _)) = entries.last() else {
                break;
            };
            after = *last;
            let at_end = entries.len() < count;
            checkins.extend(entries.into_iter().filter_map(checkin));
            if at_end {
                break;
            }
        }
        Ok(checkins)
    }
}

/// No entry can come after this one.
const LAST: CheckinId = CheckinId { ms: u64::MAX, seq: u64::MAX };

/// An entry of the stream: its id, and its names and values in turn.
type Entry = (CheckinId, Vec<String>);

impl RedisStorage {
    async fn entries_after(&self, after: CheckinId, count: usize) -> Result<Vec<Entry>> {
        let (after, count) = (format!("({after}"), count.to_string());
        let range = ["XRANGE", &self.keys.checkins(), &after, "+", "COUNT", &count];
        array(self.call(&range).await?)?.into_iter().map(entry).collect()
    }
}

fn entry(reply: Reply) -> Result<Entry> {
    match <[Reply; 2]>::try_from(array(reply)?) {
        Ok([id, fields]) => Ok((checkin_id(id)?, texts(fields)?)),
        Err(_) => Err(unexpected("an entry of a stream")),
    }
}

fn checkin((id, fields): Entry) -> Option<Checkin> {
    let value = |name| fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| &pair[1]);
    let stars = crate::domain::number::decimal(value("starRating")?)?;
    Some(Checkin {
        id,
        user: value("userId")?.parse().ok()?,
        location: value("locationId")?.parse().ok()?,
        stars: StarRating::try_from(stars).ok()?,
    })
}

fn accepted(reply: Reply) -> Result<Accepted> {
    let mut replies = array(reply)?.into_iter();
    let verdict = text(replies.next().unwrap_or(Reply::Nil))?;
    let mut id = || checkin_id(replies.next().unwrap_or(Reply::Nil));
    match verdict.as_str() {
        "stored" => id().map(Accepted::Stored),
        "replayed" => id().map(Accepted::Replayed),
        "duplicate" => Ok(Accepted::Duplicate),
        "reused" => Ok(Accepted::KeyReused),
        _ => Err(unexpected("what became of a check-in")),
    }
}

fn checkin_id(reply: Reply) -> Result<CheckinId> {
    text(reply)?.parse().map_err(|_| unexpected("the id of an entry"))
}

/// The longest life that Redis takes is far beyond a century.
fn milliseconds(duration: Duration) -> String {
    const CENTURY_MS: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    duration.as_millis().min(CENTURY_MS).to_string()
}
