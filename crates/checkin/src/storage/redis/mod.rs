//! Everything in Redis, in the hashes and the stream that the Express services share.
//!
//! | key | type | what |
//! | --- | --- | --- |
//! | `P:user:<id>` `P:location:<id>` | hash | an account, a place |
//! | `P:locationdetails:<id>` | string | what else is known of a place, as JSON |
//! | `P:checkins` | stream | the log |
//! | `{P:checkins}:recent:<user>:<location>:<stars>` | string with a life | the last identical check-in |
//! | `{P:checkins}:key:<hash>` | string with a life | what an idempotency key made |
//! | `P:users:email` | hash | canonical address to id |
//! | `{P:users:email}:claim:<address>` | string with a life | an account that is being written |
//! | `P:users:last-id` | string | the highest id given to an account |
//! | `P:users:ids` `P:locations:ids` | sorted set | all ids, by themselves |
//!
//! Beside them the session store has `P:session:…` and `P:account-sessions:…`.
//!
//! Every command and every script touches one slot, so that a cluster serves as well as one server.

mod accounts;
mod bulk;
mod checkins;
mod hash;
mod health;
mod info;
mod keys;
mod locations;
mod scripts;
mod users;

#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tower_express_session::store::redis::{Client, Reply, Script};

use self::keys::Keys;
use self::scripts::Scripts;
use super::{Result, StorageError};

/// Commands of one bulk load or page that wait for their answers at a time: enough to keep Redis
/// busy, few enough that the last is answered well within the client's time-out.
const IN_FLIGHT: usize = 128;

/// Users, places and check-ins in Redis; clones share the connection.
#[derive(Clone)]
pub struct RedisStorage {
    client: Client,
    keys: Keys,
    scripts: Arc<Scripts>,
}

impl RedisStorage {
    /// Storage under keys that begin with `prefix` and a colon. Nothing is asked of Redis yet.
    #[must_use]
    pub fn new(client: Client, prefix: &str) -> Self {
        Self { client, keys: Keys::new(prefix), scripts: Arc::default() }
    }

    async fn call(&self, words: &[&str]) -> Result<Reply> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Ok(self.client.call(&words).await?)
    }

    async fn run(&self, script: &Script, keys: &[&str], arguments: &[&str]) -> Result<Reply> {
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
        Ok(self.client.run(script, &keys, &arguments).await?)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        number(self.call(&["EXISTS", key]).await?).map(|found| found == 1)
    }
}

/// Lets many futures run at a time; answers in their order.
async fn at_once<T>(work: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    stream::iter(work).buffered(IN_FLIGHT).try_collect().await
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
