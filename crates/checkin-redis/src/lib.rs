//! Everything in Redis, in the hashes and the stream that the Express services share.
//!
//! | key | type | what |
//! | --- | --- | --- |
//! | `P:user:<id>` `P:location:<id>` | hash | an account, a place |
//! | `P:locationdetails:<id>` | string | what else is known of a place, as JSON |
//! | `P:checkins`; of several partitions `P:checkins:{0}` … | stream | the log |
//! | `{P:checkins}:recent:<user>:<location>:<stars>` | string with a life | the last identical check-in |
//! | `{P:checkins}:key:<hash>` | string with a life | what an idempotency key made |
//! | `{P:checkins}:checkpoint` | hash | `id`: the last entry that is counted; `counted` `trimmed`: how many entries are counted, how many left the log |
//! | `{P:checkins}:lease` | string with a life | the processor that counts the partition |
//! | `{P:checkins}:dead` | stream | entries that cannot be counted, under their ids |
//! | `{P:checkins}:imported` | set | what was imported behind later entries |
//! | `{P:checkins}:times` | sorted set | the entries whose ids are not their times, by their times |
//! | `P:checkins:partitions` | string | how many partitions the log was made with |
//! | `P:processors` | sorted set | the processors that live |
//! | `{P:user:<id>}:checkins` `{P:location:<id>}:checkins` | sorted set | the history, `<id> <location or user> <stars>` by time |
//! | `{P:user:<id>}:epoch` | string | how often the password was changed |
//! | `{P:location:<id>}:ratings` | hash | number of stars to number of check-ins |
//! | `{P:user:<id>}:base` `{P:location:<id>}:base` | hash | the figures from before the history |
//! | `P:users:email` | hash | canonical address to id |
//! | `{P:users:email}:claim:<address>` | string with a life | an account that is being written |
//! | `P:users:last-id` | string | the highest id given to an account |
//! | `P:users:ids` `P:locations:ids` | sorted set | all ids, by themselves |
//! | `P:users:recent` `P:users:at:<location>` | sorted set | users by their last check-in |
//! | `P:users:bycheckins` `P:locations:bycheckins`, with `:<monday>` of one week | sorted set | by number of check-ins |
//! | `P:locations:geo` `P:locations:geo:<category>` | geographic set | where places are |
//! | `P:locations:category:<category>` | sorted set | ids of places, by themselves |
//! | `P:locations:words:2` | sorted set | `<word>\0<id>` for each word under which a place is found |
//! | `P:locations:words` `P:locations:words:2:from` | with a life | the index of older programs, and how much of it is taken over |
//! | `P:weather:<location>` | string with a life | what the weather service said |
//!
//! Beside them the session store has `P:session:…` and `P:account-sessions:…`.
//!
//! Every command and every script touches one slot, so that a cluster serves as well as one server.

mod accounts;
mod apply;
mod audit;
mod bulk;
mod checkins;
mod consumer;
mod directory;
mod entry;
mod fault;
mod hash;
mod health;
mod history;
mod indexes;
mod info;
mod keys;
mod locations;
mod log_ids;
mod nearby;
mod page;
mod scripts;
mod search;
mod swarm;
mod times;
mod upgrade;
mod users;
mod weather;

#[cfg(feature = "external-tests")]
#[cfg(test)]
mod cluster_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod directory_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use quick_cache::sync::Cache;
use redis_link::{Client, Reply, Script};
use tokio::sync::OnceCell;

use self::hash::Hash;
use self::keys::Keys;
use self::scripts::Scripts;
use checkin_domain::LocationId;
use checkin_storage::{Reports, Result, StorageError};

/// Commands of one bulk load or page that wait for their answers at a time: enough to keep Redis
/// busy, few enough that the last is answered well within the client's time-out.
const IN_FLIGHT: usize = 128;

/// Ids of users or places that are asked for at a time.
const ID_PAGE: usize = 1000;

/// So many places are remembered as existing.
const MAX_KNOWN: usize = 1_000_000;

/// Users, places and check-ins in Redis; clones share the connection.
#[derive(Clone)]
pub struct RedisStorage {
    client: Client,
    /// For appends that wait for replicas: the connection does nothing else meanwhile.
    waiting: Client,
    keys: Keys,
    scripts: Arc<Scripts>,
    /// Places that are there: they are never deleted.
    known_locations: Arc<Cache<LocationId, ()>>,
    /// Set when the index of times is complete.
    has_times: Arc<OnceCell<()>>,
    reports: Reports,
}

impl RedisStorage {
    /// Storage under keys that begin with `prefix` and a colon, with a log of so many partitions.
    /// Nothing is asked of Redis yet.
    #[must_use]
    pub fn new(client: Client, prefix: &str, partitions: usize) -> Self {
        Self {
            waiting: client.clone(),
            client,
            keys: Keys::new(prefix, partitions),
            scripts: Arc::default(),
            known_locations: Arc::new(Cache::new(MAX_KNOWN)),
            has_times: Arc::default(),
            reports: Reports::default(),
        }
    }

    /// Appends that wait for replicas go over this client; other commands need not wait with them.
    #[must_use]
    pub fn waiting_over(mut self, client: Client) -> Self {
        self.waiting = client;
        self
    }

    async fn call(&self, words: &[&str]) -> Result<Reply> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.client.call(&words).await.map_err(fault::failed)
    }

    async fn run(&self, script: &Script, keys: &[&str], arguments: &[&str]) -> Result<Reply> {
        run_over(&self.client, script, keys, arguments).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        number(self.call(&["EXISTS", key]).await?).map(|found| found == 1)
    }

    /// What is read of a hash; nothing if there is no such hash.
    async fn hash<T>(
        &self,
        key: String,
        read: impl FnOnce(&Hash) -> Result<T>,
    ) -> Result<Option<T>> {
        let found = async {
            let reply = self.call(&["HGETALL", &key]).await?;
            Hash::read(key.clone(), reply)?.map(|hash| read(&hash)).transpose()
        };
        self.reports.told(&key, found.await)
    }

    /// The ids above `after` in a sorted set of ids by themselves, lowest first, at most `limit`.
    async fn ids_after<T: FromStr<Err: Display>>(
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
}

impl RedisStorage {
    /// The id in an index; nothing, and a line in the log, if it is none.
    fn listed<T: FromStr<Err: Display>>(&self, key: &str, id: &str) -> Option<T> {
        self.reports.told(key, indexed_id(id)).ok()
    }
}

async fn run_over(
    client: &Client,
    script: &Script,
    keys: &[&str],
    arguments: &[&str],
) -> Result<Reply> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let arguments: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
    client.run(script, &keys, &arguments).await.map_err(fault::failed)
}

/// Lets many futures run at a time; answers in their order.
async fn at_once<T>(work: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    stream::iter(work).buffered(IN_FLIGHT).try_collect().await
}

fn indexed_id<T: FromStr<Err: Display>>(id: &str) -> Result<T> {
    id.parse().map_err(|rule| StorageError::unreadable(format!("an id in an index {rule}")))
}

fn number(reply: Reply) -> Result<i64> {
    match reply {
        Reply::Int(number) => Ok(number),
        _ => Err(unexpected("a number")),
    }
}

fn array(reply: Reply) -> Result<Vec<Reply>> {
    match reply {
        Reply::Array(replies) => Ok(replies),
        Reply::Nil => Ok(Vec::new()),
        _ => Err(unexpected("an array")),
    }
}

fn text(reply: Reply) -> Result<String> {
    match reply {
        Reply::Bytes(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(unexpected("a string")),
    }
}

fn texts(reply: Reply) -> Result<Vec<String>> {
    array(reply)?.into_iter().map(text).collect()
}

fn unexpected(wanted: &str) -> StorageError {
    StorageError::new(format!("Redis was expected to answer with {wanted}"))
}

impl fmt::Debug for RedisStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, keys) = (&self.client, &self.keys);
        f.debug_struct("RedisStorage").field("client", client).field("keys", keys).finish()
    }
}
