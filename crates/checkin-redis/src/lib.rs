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
mod applier;
mod audit;
mod bulk;
mod clock;
mod connection;
mod dead_letters;
mod directory;
mod entry;
mod fault;
mod figures;
mod hash;
mod health;
mod history;
mod info;
mod keys;
mod lists;
mod locations;
mod log;
mod log_ids;
mod membership;
mod nearby;
mod partition;
mod reply;
mod scripts;
mod search;
mod swarm;
mod time_index;
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

use std::fmt;
use std::sync::Arc;

use checkin_domain::LocationId;
use quick_cache::sync::Cache;
use redis_link::Client;
use tokio::sync::OnceCell;

use self::connection::Connection;
use self::figures::Figures;
use self::keys::Keys;
use self::log::Replicas;
use self::partition::Partition;

/// Maximum number of places that are remembered as existing.
const MAX_KNOWN: usize = 1_000_000;

/// Users, places and check-ins in Redis; clones share the connection.
#[derive(Clone)]
pub struct RedisStorage {
    redis: Connection,
    replicas: Option<Replicas>,
    /// Places that exist: they are never deleted.
    known_locations: Arc<Cache<LocationId, ()>>,
    /// Set when the index of times is complete.
    has_times: Arc<OnceCell<()>>,
}

impl RedisStorage {
    /// Storage under keys that begin with `prefix` and a colon, with this number of partitions of the
    /// log. Nothing is asked of Redis yet.
    #[must_use]
    pub fn new(client: Client, prefix: &str, partitions: usize) -> Self {
        Self {
            redis: Connection::new(client, Keys::new(prefix, partitions)),
            replicas: None,
            known_locations: Arc::new(Cache::new(MAX_KNOWN)),
            has_times: Arc::default(),
        }
    }

    /// Acknowledges an append only when this number of replicas has it; an error says that too few
    /// have, and the entry stays. Such appends go over `client`, a connection of their own, so that
    /// other commands need not wait with them.
    #[must_use]
    pub fn wait_for_replicas(mut self, wanted: u32, client: Client) -> Self {
        let redis = self.redis.over(client);
        self.replicas = (wanted > 0).then_some(Replicas { wanted, redis });
        self
    }

    fn partitions(&self) -> impl Iterator<Item = Partition<'_>> {
        Partition::all(&self.redis)
    }

    fn figures(&self) -> Figures<'_> {
        Figures { redis: &self.redis, known_locations: &self.known_locations }
    }
}

impl fmt::Debug for RedisStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStorage").field("redis", &self.redis).finish_non_exhaustive()
    }
}
