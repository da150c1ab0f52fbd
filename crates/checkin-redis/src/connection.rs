//! The connection with the names of the keys and the scripts, which every part uses.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use checkin_storage::{Reports, Result};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use redis_link::{Client, Replicated, Reply, Script};

use crate::clock::Clock;
use crate::fault::failed;
use crate::hash::{Fields, Hash};
use crate::keys::Keys;
use crate::reply::{indexed_id, number, texts};
use crate::scripts::Scripts;

/// Maximum number of commands of one bulk load or page that wait for their replies at the same time:
/// enough to keep Redis busy, and few enough that the last reply arrives well within the client's
/// time-out.
pub(crate) const IN_FLIGHT: usize = 128;

/// Maximum number of commands that take Redis about a millisecond each and wait for their replies at the
/// same time, for the same reason.
const LONG_IN_FLIGHT: usize = 8;

/// Maximum number of ids of users or locations in one request.
pub(crate) const ID_PAGE: usize = 1000;

/// A connection with the keys, the scripts and the reports of unreadable records; clones share them.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// For writes that must survive the loss of the primary.
    pub(crate) writes: Replicated,
    pub(crate) keys: Keys,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) reports: Reports,
    pub(crate) clock: Clock,
}

impl Connection {
    pub(crate) fn new(client: Client, writes: Replicated, keys: Keys) -> Self {
        let (scripts, reports, clock) = (Arc::default(), Reports::default(), Clock::default());
        Self { client, writes, keys, scripts, reports, clock }
    }

    pub(crate) async fn call(&self, words: &[&str]) -> Result<Reply> {
        self.call_bytes(&bytes(words)).await
    }

    pub(crate) async fn call_bytes(&self, words: &[&[u8]]) -> Result<Reply> {
        self.client.call(words).await.map_err(failed)
    }

    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<Reply> {
        self.client.run(script, &bytes(keys), &bytes(arguments)).await.map_err(failed)
    }

    /// Runs a script whose writes must survive the loss of the primary, if the storage waits for replicas.
    pub(crate) async fn run_replicated(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<Reply> {
        self.writes.run(script, &bytes(keys), &bytes(arguments)).await.map_err(failed)
    }

    /// Waits until replicas have what was written to these keys before, if the storage waits for replicas.
    pub(crate) async fn replicate(&self, keys: &[&str]) -> Result<()> {
        for key in keys.iter().filter(|_| self.writes.is_waiting()) {
            self.writes.pipeline(&[&[b"EXISTS", key.as_bytes()]]).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) async fn exists(&self, key: &str) -> Result<bool> {
        number(self.call(&["EXISTS", key]).await?).map(|found| found == 1)
    }

    /// Sends several commands at once and returns their replies.
    pub(crate) async fn pipeline(&self, commands: &[&[&[u8]]]) -> Result<Vec<Reply>> {
        self.client.pipeline(commands).await.map_err(failed)
    }

    /// Reads some fields of a hash. Returns `None` if it does not exist.
    pub(crate) async fn hash<T>(
        &self,
        key: String,
        fields: Fields,
        read: impl FnOnce(&Hash<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let found = async {
            let reply = self.call_bytes(&read_hash(&key, fields)).await?;
            Hash::read(&key, fields, reply)?.map(|hash| read(&hash)).transpose()
        };
        self.reports.logged(&key, found.await)
    }

    /// Creates a hash. Returns false and changes nothing if it exists.
    pub(crate) async fn create_hash(&self, key: &str, fields: &[(&str, String)]) -> Result<bool> {
        let words = fields.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        let words: Vec<&str> = words.collect();
        number(self.run(&self.scripts.create_hash, &[key], &words).await?).map(|made| made == 1)
    }

    /// Returns the ids above `after` in a sorted set whose scores are the ids, lowest first, at most
    /// `limit`.
    pub(crate) async fn ids_after<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<T>> {
        let (above, limit) = (format!("({after}"), limit.to_string());
        let page = ["ZRANGEBYSCORE", key, &above, "+inf", "LIMIT", "0", &limit];
        let ids = texts(self.call(&page).await?)?;
        Ok(ids.iter().filter_map(|id| self.listed(key, id)).collect())
    }

    /// Returns the id in an index. Returns `None` and logs the member if it is not an id.
    pub(crate) fn listed<T: FromStr<Err: Display>>(&self, key: &str, id: &str) -> Option<T> {
        self.reports.logged(key, indexed_id(id)).ok()
    }
}

fn bytes<'a>(words: &[&'a str]) -> Vec<&'a [u8]> {
    words.iter().map(|word| word.as_bytes()).collect()
}

/// Returns the command that reads some fields of a hash.
pub(crate) fn read_hash(key: &str, fields: Fields) -> Vec<&[u8]> {
    let fields = fields.iter().map(|field| field.as_bytes());
    [b"HMGET", key.as_bytes()].into_iter().chain(fields).collect()
}

/// The longest time to live that we set, more than a thousand years. Redis refuses one that ends after its
/// last millisecond.
pub(crate) const LONGEST_LIFE_MS: u128 = 1 << 45;

/// Runs many futures at the same time and returns their results in order.
pub(crate) async fn at_once<T>(
    work: Vec<impl Future<Output = Result<T>> + Send>,
) -> Result<Vec<T>> {
    in_order(boxed(work), IN_FLIGHT).await
}

/// Does the same with commands that take Redis about a millisecond each.
pub(crate) async fn few_at_once<T>(
    work: Vec<impl Future<Output = Result<T>> + Send>,
) -> Result<Vec<T>> {
    in_order(boxed(work), LONG_IN_FLIGHT).await
}

/// Boxes the futures, so that what runs them is compiled for each type of result only.
fn boxed<'a, T>(
    work: Vec<impl Future<Output = Result<T>> + Send + 'a>,
) -> Vec<BoxFuture<'a, Result<T>>> {
    work.into_iter().map(FutureExt::boxed).collect()
}

async fn in_order<T>(work: Vec<BoxFuture<'_, Result<T>>>, limit: usize) -> Result<Vec<T>> {
    stream::iter(work).buffered(limit).try_collect().await
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, keys) = (&self.client, &self.keys);
        f.debug_struct("Connection").field("client", client).field("keys", keys).finish()
    }
}
