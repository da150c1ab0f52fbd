//! The storage in Redis, with the hashes and the stream that Express services share.
//!
//! | key | type | content |
//! | --- | --- | --- |
//! | `P:user:<id>` `P:location:<id>` | hash | an account, a location |
//! | `P:locationdetails:<id>` | string | the details of a location, as JSON |
//! | `P:checkins`; of several partitions `P:checkins:{0}` … | stream | the log |
//! | `{P:checkins}:recent:<user>:<location>:<stars>` | string with a time to live | the time of the last identical check-in |
//! | `{P:checkins}:keys:<group>:<turn>` | hash with a time to live | from a digest of a user and an idempotency key to the id and content of the check-in, in 12 bytes |
//! | `{P:checkins}:key:<hash>` | string with a time to live | the same as older programs keep it, during an upgrade |
//! | `{P:checkins}:checkpoint` | hash | `id`: the last entry that is applied; `counted` `trimmed`: the number of entries that are applied, and that left the log; `added` `passed` `passed-id`: the comparison that finds entries which were removed unapplied, and `lost`: their number; `keys-since`: when a receiver first kept idempotency keys in hashes |
//! | `{…}:replicated…` `P:replicated:{…}` | string for a second | the mark of a write that replicas must have |
//! | `{P:checkins}:lease` | string with a time to live | the processor that holds the partition |
//! | `{P:checkins}:dead` | stream | entries that cannot be applied, with their ids |
//! | `{P:checkins}:retractions` | sorted set | the retracted check-ins that may still be in histories and figures |
//! | `{P:checkins}:retracted` | sorted set | the ids and users of the retracted check-ins, by the times of the ids |
//! | `{P:user:<id>}:retracted` `{P:location:<id>}:retracted` | sorted set with a time to live | the retracted check-ins that nothing may bring back into the history, by the time until which they are kept |
//! | `P:users:lowered` `P:locations:lowered` | sorted set with a time to live | the users and locations whose figures were lowered, by the time until which they are kept |
//! | `{P:checkins}:imported` | set | the check-ins that were imported behind later entries |
//! | `{P:checkins}:times` | sorted set | the entries whose ids are not their times, by their times |
//! | `P:checkins:partitions` | string | the number of partitions |
//! | `P:processors` | sorted set | the live processors |
//! | `{P:user:<id>}:checkins` `{P:location:<id>}:checkins` | sorted set | the history, `<id> <location or user> <stars>` by time |
//! | `{P:user:<id>}:epoch` | string | the epoch of an account |
//! | `{P:location:<id>}:ratings` | hash | from the number of stars to the number of check-ins |
//! | `{P:user:<id>}:audience` | string | who may see where the user checks in |
//! | `{P:user:<id>}:new` | string with a time to live | the account is new |
//! | `{P:user:<id>}:base` `{P:location:<id>}:base` | hash | the figures that were imported without a history |
//! | `P:users:email` | hash | canonical address to id |
//! | `{P:users:email}:claim:<address>` | string with a time to live | an account that is being written |
//! | `P:users:last-id` | string | the highest id given to an account |
//! | `P:users:ids` `P:locations:ids` | sorted set | all ids; the scores are the ids |
//! | `P:users:recent` `P:users:at:<location>` | sorted set | users by their last check-in |
//! | `P:users:bycheckins` `P:locations:bycheckins`, with `:<monday>` of one week | sorted set | by number of check-ins |
//! | `P:locations:geo` `P:locations:geo:<category>` | geographic set | the coordinates of locations |
//! | `P:locations:category:<category>` | sorted set | ids of locations; the scores are the ids |
//! | `P:locations:words:2` | sorted set | `<word>\0<id>` for each word by which a location is found |
//! | `P:locations:words` `P:locations:words:2:from` | with a time to live | the index of older programs, and how much of it was copied |
//! | `P:security-events` | stream | changes that people make to their accounts, new accounts, messages that reset a password; of older versions, also logins, logouts and what operators did |
//! | `P:security-events:logins` `P:security-events:failed-logins` | stream | logins, logouts and ends of sessions by their owners; failed logins |
//! | `P:security-events:operators` | stream | what operators did to accounts of others, and commands to any |
//! | `P:attempts:<hash>` | string with a time to live | a budget of attempts to give a password: their number, and until when (ms) the next one has to wait |
//! | `P:weather:<location>` | string with a time to live | the response of the weather service |
//!
//! The session store has the keys `P:session:…` and `P:account-sessions:…`.
//!
//! Every command and every script uses one slot, so that a cluster can be used like one server.

mod accounts;
mod appends;
mod applier;
mod attempts;
mod audit;
mod bulk;
mod clock;
mod connection;
mod dead_letters;
mod directory;
mod entry;
mod erasure;
mod fault;
mod figures;
#[cfg(any(test, feature = "internals"))]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
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
mod permissions;
mod privacy;
mod private;
mod reply;
mod retention;
mod retractions;
mod scripts;
mod search;
mod searches;
mod second_factors;
mod security_events;
mod settings;
mod settle;
mod swarm;
mod time_index;
mod times;
mod upgrade;
mod users;
mod weather;
mod window;

#[cfg(feature = "external-tests")]
#[cfg(test)]
mod account_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod append_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod attempts_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod cluster_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod directory_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod history_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod log_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod retraction_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(feature = "external-tests")]
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use checkin_domain::LocationId;
use quick_cache::sync::Cache;
use redis_link::Client;
use tokio::sync::OnceCell;

use self::appends::Appends;
use self::clock::Clock;
use self::connection::Connection;
use self::figures::Figures;
use self::keys::Keys;
use self::partition::Partition;

/// Maximum number of locations that are cached as existing.
const MAX_KNOWN: usize = 1_000_000;

/// Users, locations and check-ins in Redis; clones share the connection.
#[derive(Clone)]
pub struct RedisStorage {
    redis: Connection,
    appends: Appends,
    /// The number of replicas that changes wait for.
    replicas: u32,
    /// Locations that are known to exist. Locations are never deleted.
    known_locations: Arc<Cache<LocationId, ()>>,
    /// Is set when the index of times is complete.
    has_times: Arc<OnceCell<()>>,
}

impl RedisStorage {
    /// Creates a storage whose keys begin with `prefix` and a colon, and whose log has this number of
    /// partitions. Sends no command yet.
    #[must_use]
    pub fn new(client: Client, prefix: &str, partitions: usize) -> Self {
        let writes = client.replicated(0, Duration::ZERO).expect("no connection of its own");
        Self {
            redis: Connection::new(client, writes, Keys::new(prefix, partitions)),
            appends: Appends::new(partitions),
            replicas: 0,
            known_locations: Arc::new(Cache::new(MAX_KNOWN)),
            has_times: Arc::default(),
        }
    }

    /// Makes appends, new accounts and changes of passwords wait until this number of replicas has them.
    /// If too few have them in time, the operation returns an error, although it stays on the primary. On
    /// a cluster, a batch counts as applied only when each primary has this number of replicas that have
    /// it: elsewhere its effects and the checkpoint are lost together or not at all.
    ///
    /// Waiting uses a separate connection. The time must be shorter than the time limit of a command.
    ///
    /// # Errors
    ///
    /// As [`Client::replicated`].
    pub fn wait_for_replicas(
        mut self,
        wanted: u32,
        within: Duration,
    ) -> std::result::Result<Self, redis_link::Error> {
        self.redis.writes = self.redis.client.replicated(wanted, within)?;
        self.replicas = wanted;
        // Those who append already do not wait for replicas.
        self.appends = Appends::new(self.redis.keys.partitions());
        Ok(self)
    }

    /// Replaces the clock of this process, which is the system's. It decides which leaderboards of weeks are
    /// still kept, and which entries have ids that are ahead of the time.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.redis.clock = Clock::new(now);
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
