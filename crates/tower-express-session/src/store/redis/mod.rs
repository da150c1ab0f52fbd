//! Sessions in Redis, in the format of connect-redis.

mod accounts;
mod cache;
mod cache_options;
mod commands;
mod error;
mod keys;
mod tracking;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use redis_link::{Client, Obstacle, Replicated, Reply, Script};

pub use cache_options::{CacheCounts, CacheOptions};

use cache::Cache;
use tracking::Tracking;

use super::{Created, Freshness, Store, Stored, Updated, check_absolute_timeout};
use crate::error::{ConfigError, Error};
use crate::id::SessionId;

/// Keeps sessions in Redis under `<prefix><id>` with their time to live. Services with
/// connect-redis can read and write them at the same time.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_express_session::SessionLayer;
/// use tower_express_session::store::redis::RedisStore;
///
/// let store = RedisStore::open("redis://127.0.0.1:6379")?.prefix("sess:");
/// let layer = SessionLayer::builder(store, ["keyboard cat"]).build()?;
/// # Ok(())
/// # }
/// ```
///
/// Three more keys may belong to a session: `{<prefix><id>}:revoked` is the tombstone of an ended
/// session, `{<prefix><id>}:epoch` holds the session's [epoch](crate::Session::epoch), if it has
/// one, and `{<prefix><id>}:created` its time of creation, if there is an [absolute
/// timeout](Self::absolute_timeout). They are in the same slot of a cluster as the session, and
/// connect-redis does not find them under its prefix.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    /// For changes that must survive the loss of the primary.
    writes: Replicated,
    prefix: Box<str>,
    account_prefix: Option<Box<str>>,
    tombstones: bool,
    absolute_timeout: Option<Duration>,
    cache: Option<Arc<Cache>>,
    destroy_waits: Duration,
    /// The task that receives the notifications for the cache.
    tracking: Arc<OnceLock<Tracking>>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    load: Script,
    create: Script,
    update: Script,
    touch: Script,
    end: Script,
    index: Script,
}

impl RedisStore {
    /// Opens a store at this address, with `sess:`, the default prefix of connect-redis. It
    /// connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the address is not valid or needs a feature
    /// that is not enabled; the source tells which.
    pub fn open(url: &str) -> Result<Self, Error> {
        Ok(Self::new(Client::open(url)?))
    }

    /// Returns a store over a client that the application also uses.
    ///
    /// ```no_run
    /// use redis_link::Client;
    /// use tower_express_session::store::redis::RedisStore;
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::open("redis://127.0.0.1:6379")?;
    /// let store = RedisStore::new(client.clone()); // and the application uses `client`
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(client: Client) -> Self {
        let scripts = Scripts {
            load: Script::named("session_load", include_str!("scripts/load.lua")),
            create: Script::named("session_create", include_str!("scripts/create.lua")),
            update: Script::named("session_update", include_str!("scripts/update.lua")),
            touch: Script::named("session_touch", include_str!("scripts/touch.lua")),
            end: Script::named("session_end", include_str!("scripts/end.lua")),
            index: Script::named("session_index", include_str!("scripts/index.lua")),
        };
        Self {
            writes: client.replicated(0, Duration::ZERO).expect("no connection of its own"),
            client,
            prefix: "sess:".into(),
            account_prefix: None,
            tombstones: true,
            absolute_timeout: None,
            cache: None,
            destroy_waits: Duration::ZERO,
            tracking: Arc::default(),
            scripts: Arc::new(scripts),
        }
    }

    /// Sets the prefix of all keys: connect-redis's option `prefix`. It may be empty. Default: `sess:`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        // A cache holds the sessions of one prefix, and is notified only of their changes.
        match self.cache.take() {
            Some(cache) => self.cached(cache.options),
            None => self,
        }
    }

    /// Sets the prefix of the keys that hold the index of each account's sessions. It must not begin with
    /// the prefix of the sessions. Default: `accounts:` and the prefix of the sessions.
    #[must_use]
    pub fn account_prefix(mut self, prefix: &str) -> Self {
        self.account_prefix = Some(prefix.into());
        self
    }

    /// Sets whether an ended session leaves a tombstone, so that it does not come back even if an
    /// Express request in progress writes it back. Default: yes. Without tombstones the store uses
    /// exactly the keys and commands of connect-redis, for conformance tests, and sessions have no
    /// epoch.
    #[must_use]
    pub fn tombstones(mut self, tombstones: bool) -> Self {
        self.tombstones = tombstones;
        self
    }

    /// Ends each session this long after its creation, even if it is in use. Default: never.
    ///
    /// For a session that an Express service created, the time starts when this store first reads
    /// it, because Express does not store the time of creation.
    ///
    /// ```no_run
    /// # use tower_express_session::store::redis::RedisStore;
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let week = std::time::Duration::from_secs(7 * 86_400);
    /// let store = RedisStore::open("redis://127.0.0.1:6379")?.absolute_timeout(week);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute_timeout = Some(timeout);
        self
    }

    /// Caches sessions in the memory of this process, so that most requests do not read from Redis.
    ///
    /// Redis notifies the cache of each change, whichever program makes it (client tracking, on a
    /// dedicated connection). The cache is used only under a [lease](CacheOptions::lease) that a
    /// heartbeat renews, so a cached session is never older than the lease, even if the process is
    /// cut off from Redis or was suspended for a while. [`fresh`](crate::LazySession::fresh)
    /// bypasses the cache. Writes always compare with the value in Redis.
    ///
    /// On a cluster each primary is followed under a lease of its own, and a session is cached only
    /// while its primary has its slot. With a client made by [`Client::from_connection`], nothing is
    /// cached.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_express_session::store::redis::{CacheOptions, RedisStore};
    ///
    /// let store = RedisStore::open("redis://127.0.0.1:6379")?.cached(CacheOptions::default());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cached(mut self, options: CacheOptions) -> Self {
        self.cache = Some(Arc::new(Cache::new(options)));
        self.tracking = Arc::default();
        self
    }

    /// Makes `destroy` wait this long after it deleted the session. Set it to the longest cache
    /// [lease](CacheOptions::lease) in the deployment: when `destroy` returns, no process still accepts
    /// the session. Default: no wait; another process may accept the session for the rest of its lease.
    #[must_use]
    pub fn destroy_waits(mut self, lease: Duration) -> Self {
        self.destroy_waits = lease;
        self
    }

    /// Returns what the cache has done, for metrics, or `None` if the store has no cache. Clones share
    /// the cache.
    #[must_use]
    pub fn cache_counts(&self) -> Option<CacheCounts> {
        self.cache.as_ref().map(|cache| cache.counts())
    }

    /// Makes the creation, each change and the end of a session wait until this number of Redis's
    /// replicas has it. If fewer have it within this time, the operation fails with
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable), although it stays on the primary.
    /// Then a fail-over undoes no login and no logout that was confirmed, if every replica that may
    /// become the primary counts. Default: 0, which waits for none. A touch never waits.
    ///
    /// Waiting uses a dedicated connection, and the time must be shorter than the time limit of a
    /// command.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) for a client made by
    /// [`Client::from_connection`].
    pub fn wait_for_replicas(mut self, replicas: u32, within: Duration) -> Result<Self, Error> {
        self.writes = self.client.replicated(replicas, within)?;
        Ok(self)
    }

    /// Returns the cache. The first call starts the task that receives its notifications.
    fn cache(&self) -> Option<&Cache> {
        let cache = self.cache.as_ref()?;
        let (client, prefix) = (&self.client, &self.prefix);
        self.tracking
            .get_or_init(|| tracking::start(client.clone(), prefix.clone(), Arc::clone(cache)));
        Some(cache)
    }

    /// Reads a session, and caches it if there is a cache.
    async fn read_through(
        &self,
        cache: Option<&Cache>,
        id: &SessionId,
    ) -> Result<Option<Stored>, Error> {
        let begin = |cache: &Cache| cache.begin(id, self.slot(id), Instant::now());
        let Some((cache, fill)) = cache.and_then(|cache| Some((cache, begin(cache)?))) else {
            return self.read(&self.client, id).await;
        };
        let stored = match &fill.reader {
            None => self.read(&self.client, id).await?,
            Some(reader) => match self.read(reader, id).await {
                // The slot has moved, or the connection was lost.
                Err(error) if Obstacle::of(&error) != Some(Obstacle::TimedOut) => {
                    return self.read(&self.client, id).await;
                }
                read => read?,
            },
        };
        if let Some(stored) = &stored {
            cache.fill(id, &fill, stored);
        }
        Ok(stored)
    }

    fn invalidate(&self, id: &SessionId) {
        if let Some(cache) = &self.cache {
            cache.invalidate(id);
        }
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error> {
        let cache = self.cache();
        if freshness == Freshness::Cached
            && let Some(stored) = cache.and_then(|cache| cache.get(id, Instant::now()))
        {
            return Ok(Some(stored));
        }
        // The future of a cached session has no room for the steps of a read.
        Box::pin(self.read_through(cache, id)).await
    }

    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        let created = self.make(id, &value, ttl, epoch).await;
        self.invalidate(id);
        created
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let updated = self.replace(id, base, &value, ttl).await;
        self.invalidate(id);
        updated
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let written = self.put(id, &value, ttl).await;
        self.invalidate(id);
        written
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let touched = self.prolong(id, ttl).await;
        self.invalidate(id);
        touched
    }

    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        let was_there = self.end_now(id, tombstone).await?;
        tokio::time::sleep(self.destroy_waits).await;
        Ok(was_there)
    }

    async fn shut_down(&self) {
        if let Some(tracking) = self.tracking.get() {
            tracking.stop().await;
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_absolute_timeout(self.absolute_timeout)?;
        let options = self.cache.as_ref().map(|cache| cache.options);
        if options.is_some_and(|options| options.heartbeat * 2 > options.lease) {
            return Err(ConfigError::option(
                "cached",
                "must have a lease of at least two heartbeats",
            ));
        }
        let accounts = self.account_prefix.as_ref();
        if accounts
            .is_some_and(|accounts| !self.prefix.is_empty() && accounts.starts_with(&*self.prefix))
        {
            let rule = "must not begin with the prefix of the sessions";
            return Err(ConfigError::option("account_prefix", rule));
        }
        Ok(())
    }
}

fn unexpected(command: &str, reply: &Reply) -> Error {
    redis_link::Error::unexpected(command, reply).into()
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
