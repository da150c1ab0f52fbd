//! The Redis commands for one session.

use std::time::Duration;

use bytes::Bytes;
use redis_link::{Client, Obstacle, Reply, hash_slot};

use super::keys::Keys;
use super::{RedisStore, unexpected};
use crate::error::Error;
use crate::id::SessionId;
use crate::store::{Created, Stored, Updated};

/// The reported time to live of a session that another program stored without one.
const ENDLESS: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How much longer than its session the time of creation is kept, so that a session that only
/// another program uses does not count as a new one.
const CREATION_OUTLIVES: Duration = Duration::from_secs(30 * 86_400);

impl RedisStore {
    fn keys(&self, id: &SessionId) -> Keys {
        Keys::new(&self.prefix, id)
    }

    /// Returns the slot of a session's keys.
    pub(super) fn slot(&self, id: &SessionId) -> u16 {
        hash_slot(&self.keys(id).session)
    }

    pub(super) async fn read(
        &self,
        client: &Client,
        id: &SessionId,
    ) -> Result<Option<Stored>, Error> {
        let keys = self.keys(id);
        if let Some(absolute) = self.absolute_timeout {
            let arguments = [
                milliseconds(absolute),
                milliseconds(absolute + CREATION_OUTLIVES),
                milliseconds(CREATION_OUTLIVES),
            ];
            let found =
                client.run(&self.scripts.load, &bytes(&keys.all()), &bytes(&arguments)).await?;
            let Reply::Array(found) = found else { return Ok(None) };
            return stored(found.into_iter());
        }
        let session = keys.session.as_bytes();
        let left: &[&[u8]] = &[b"PTTL", session];
        if !self.tombstones {
            let found = client.pipeline(&[&[b"GET", session], left]).await?;
            return stored(found.into_iter());
        }
        let values: &[&[u8]] = &[b"MGET", session, keys.revoked.as_bytes(), keys.epoch.as_bytes()];
        let mut found = client.pipeline(&[values, left]).await?.into_iter();
        let Some(Reply::Array(values)) = found.next() else {
            return Err(unexpected("MGET", &Reply::Nil));
        };
        let [value, revoked, epoch] = <[Reply; 3]>::try_from(values)
            .map_err(|values| unexpected("MGET", &Reply::Array(values)))?;
        if revoked != Reply::Nil {
            if value != Reply::Nil {
                // Another program wrote the session back. It has ended, whether this deletion
                // succeeds or not.
                drop(client.call(&[b"DEL", session]).await);
            }
            return Ok(None);
        }
        stored([value].into_iter().chain(found).chain([epoch]))
    }

    pub(super) async fn make(
        &self,
        id: &SessionId,
        value: &Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        let keys = self.keys(id);
        let made = if self.tombstones || self.absolute_timeout.is_some() {
            let longest = self.absolute_timeout.unwrap_or(Duration::MAX);
            let kept = self.absolute_timeout.map(|time| milliseconds(time + CREATION_OUTLIVES));
            let arguments = [
                milliseconds(whole_seconds(ttl).min(longest)),
                kept.unwrap_or_default(),
                epoch.map(|epoch| epoch.to_string()).unwrap_or_default(),
            ];
            let arguments: Vec<&[u8]> = [&value[..]].into_iter().chain(bytes(&arguments)).collect();
            self.writes.run(&self.scripts.create, &bytes(&keys.all()), &arguments).await?
                == Reply::Int(1)
        } else {
            let (session, seconds) = (keys.session.as_bytes(), seconds(ttl));
            let set: &[&[u8]] = &[b"SET", session, value, b"EX", seconds.as_bytes(), b"NX"];
            self.writes.pipeline(&[set]).await? != [Reply::Nil]
        };
        Ok(if made { Created::Stored } else { Created::Exists })
    }

    pub(super) async fn replace(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: &Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let keys = self.keys(id);
        let times: Vec<String> = [Some(whole_seconds(ttl)), self.absolute_timeout]
            .into_iter()
            .flatten()
            .map(milliseconds)
            .collect();
        let mut arguments = vec![&base[..], value];
        arguments.extend(bytes(&times));
        match self.writes.run(&self.scripts.update, &bytes(&keys.all()), &arguments).await? {
            Reply::Int(1) => Ok(Updated::Stored),
            Reply::Int(0) => Ok(Updated::Gone),
            Reply::Bytes(current) => Ok(Updated::Changed(current)),
            other => Err(unexpected("update", &other)),
        }
    }

    pub(super) async fn put(
        &self,
        id: &SessionId,
        value: &Bytes,
        ttl: Duration,
    ) -> Result<(), Error> {
        let (session, seconds) = (self.keys(id).session, seconds(ttl));
        let set: &[&[u8]] = &[b"SET", session.as_bytes(), value, b"EX", seconds.as_bytes()];
        self.writes.pipeline(&[set]).await?;
        Ok(())
    }

    pub(super) async fn prolong(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let keys = self.keys(id);
        let found = if self.tombstones || self.absolute_timeout.is_some() {
            let times = [Some(whole_seconds(ttl)), self.absolute_timeout].into_iter().flatten();
            let arguments: Vec<String> = times.map(milliseconds).collect();
            self.client.run(&self.scripts.touch, &bytes(&keys.all()), &bytes(&arguments)).await?
        } else {
            let session = keys.session.as_bytes();
            self.client.call(&[b"EXPIRE", session, seconds(ttl).as_bytes()]).await?
        };
        Ok(found == Reply::Int(1))
    }

    /// Deletes a session and leaves a tombstone. Returns whether the session existed.
    pub(super) async fn end(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        let keys = self.keys(id);
        let delete: &[&[u8]] = &[b"DEL", keys.session.as_bytes()];
        if !self.tombstones {
            return Ok(self.writes.pipeline(&[delete]).await? == [Reply::Int(1)]);
        }
        let delete_epoch: &[&[u8]] = &[b"DEL", keys.epoch.as_bytes()];
        let is_revoked: &[&[u8]] = &[b"EXISTS", keys.revoked.as_bytes()];
        let ended = if tombstone.is_zero() {
            self.writes.pipeline(&[is_revoked, delete, delete_epoch]).await?
        } else {
            let life = milliseconds(whole_seconds(tombstone));
            let life = [life.as_bytes()];
            let all = self.keys(id).all();
            match self.writes.run(&self.scripts.end, &bytes(&all), &life).await {
                // When Redis is out of memory, it refuses the tombstone but not the deletion. It also
                // refuses the mark that is needed to wait for replicas.
                Err(error)
                    if error.obstacle() == Some(Obstacle::MemoryFull)
                        && !self.writes.is_waiting() =>
                {
                    let ended = self.client.pipeline(&[is_revoked, delete, delete_epoch]).await?;
                    Error::from(error).log("a session ended without a tombstone");
                    ended
                }
                was_there => return Ok(was_there? == Reply::Int(1)),
            }
        };
        // A value that was written back under a tombstone is not a session.
        Ok(matches!(&ended[..], [Reply::Int(0), .., Reply::Int(1), _]))
    }
}

/// Reads a session's value, its time to live, its epoch, and whether no touch prolongs it from the replies of Redis.
fn stored(mut replies: impl Iterator<Item = Reply>) -> Result<Option<Stored>, Error> {
    match (replies.next(), replies.next()) {
        (Some(Reply::Nil), _) => Ok(None),
        (Some(Reply::Bytes(value)), Some(Reply::Int(left))) => {
            let time_left = match left {
                -1 => ENDLESS,
                // The session ended between the two commands.
                left => Duration::from_millis(left.max(0).unsigned_abs()),
            };
            let epoch = replies.next().and_then(Reply::into_bytes);
            let is_final = replies.next() == Some(Reply::Int(1));
            let epoch = epoch.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
            Ok(Some(Stored::new(value, time_left).with_epoch(epoch).with_final(is_final)))
        }
        (value, _) => Err(unexpected("load", &value.unwrap_or(Reply::Nil))),
    }
}

/// Returns the time to live in whole seconds, as connect-redis sets it.
fn whole_seconds(ttl: Duration) -> Duration {
    Duration::from_secs(ttl.as_secs().max(1))
}

fn seconds(ttl: Duration) -> String {
    whole_seconds(ttl).as_secs().to_string()
}

pub(super) fn milliseconds(duration: Duration) -> String {
    // Redis rejects a time beyond the range of its clock.
    duration.min(ENDLESS).as_millis().to_string()
}

fn bytes(words: &[String]) -> Vec<&[u8]> {
    words.iter().map(String::as_bytes).collect()
}
