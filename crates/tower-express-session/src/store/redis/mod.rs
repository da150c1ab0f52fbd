//! Sessions in Redis, as connect-redis keeps them.

mod accounts;
mod cache;
mod client;
mod keys;
mod reply;
mod scan;
mod tracking;
mod url;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

pub use cache::CacheOptions;
pub use client::{Client, Script, Timeouts};
pub use reply::Reply;

use cache::Cache;
use keys::Keys;

use super::{Created, Freshness, Store, Stored, Updated};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;

/// A session that another program keeps alive forever is given so much time: beyond any answer.
const ENDLESS: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The note of when a session was made outlives its end by so much, so that a session which another
/// program keeps in use is not taken for a new one.
const CREATION_OUTLIVES: Duration = Duration::from_secs(30 * 86_400);

/// Keeps sessions under `<prefix><id>` with their time to live, readable and writable by
/// connect-redis at the same time.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_express_session::SessionLayer;
/// use tower_express_session::store::redis::{Client, RedisStore};
///
/// let client = Client::open("redis://127.0.0.1:6379")?;
/// let layer = SessionLayer::new(RedisStore::new(client).prefix("sess:"), ["keyboard cat"])?;
/// # Ok(())
/// # }
/// ```
///
/// What is kept besides lies at `{<prefix><id>}:revoked`, for a session that was ended, and, with an
/// [absolute timeout](Self::absolute_timeout), at `{<prefix><id>}:created`: in the same slot of a
/// cluster as the session, and outside of what connect-redis finds when it looks for sessions.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    prefix: Box<str>,
    account_prefix: Option<Box<str>>,
    tombstones: bool,
    absolute_timeout: Option<Duration>,
    cache: Option<Arc<Cache>>,
    /// The cache is being kept right.
    is_tracking: Arc<OnceLock<()>>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    load: Script,
    create: Script,
    update: Script,
    touch: Script,
    note: Script,
}

impl RedisStore {
    /// A store with connect-redis's default prefix, `sess:`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let scripts = Scripts {
            load: Script::new(include_str!("scripts/load.lua")),
            create: Script::new(include_str!("scripts/create.lua")),
            update: Script::new(include_str!("scripts/update.lua")),
            touch: Script::new(include_str!("scripts/touch.lua")),
            note: Script::new(include_str!("scripts/note.lua")),
        };
        Self {
            client,
            prefix: "sess:".into(),
            account_prefix: None,
            tombstones: true,
            absolute_timeout: None,
            cache: None,
            is_tracking: Arc::default(),
            scripts: Arc::new(scripts),
        }
    }

    /// The prefix before each id; an empty one is taken as it is.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The prefix before the name of each account, where its sessions are noted. Must not begin with
    /// the prefix of the sessions. Default: `accounts:` and the prefix of the sessions.
    #[must_use]
    pub fn account_prefix(mut self, prefix: &str) -> Self {
        self.account_prefix = Some(prefix.into());
        self
    }

    /// Whether a session that was ended leaves a note, so that it stays gone even where an Express
    /// request that was under way writes it back. Default: yes. Without, exactly the keys and
    /// commands of connect-redis are used, as conformance tests want it.
    #[must_use]
    pub fn tombstones(mut self, tombstones: bool) -> Self {
        self.tombstones = tombstones;
        self
    }

    /// Ends each session so long after it was made, however much it is used. Default: never.
    ///
    /// A session that an Express service made counts from when this store first saw it, since
    /// Express does not note when it made it.
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute_timeout = Some(timeout);
        self
    }

    /// Remembers sessions in the memory of this process, so that most requests read none from Redis.
    ///
    /// Redis tells of each change, whoever makes it (client tracking, on a connection of its own), and
    /// a session is answered from memory only while Redis is known to have been heard not longer ago
    /// than a [lease](CacheOptions::lease): even a process that is cut off from Redis, or was stopped
    /// for a while, is never further behind. What counts more asks for a
    /// [fresh](crate::LazySession::fresh) session; changes are compared with what Redis holds in any
    /// case.
    ///
    /// In front of a cluster nothing is remembered.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_express_session::store::redis::{CacheOptions, Client, RedisStore};
    ///
    /// let client = Client::open("redis://127.0.0.1:6379")?;
    /// let store = RedisStore::new(client).cached(CacheOptions::default());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cached(mut self, options: CacheOptions) -> Self {
        self.cache = Some(Arc::new(Cache::new(options)));
        self.is_tracking = Arc::default();
        self
    }

    /// The cache; the first call begins to keep it right.
    fn cache(&self) -> Option<&Cache> {
        let cache = self.cache.as_ref()?;
        self.is_tracking
            .get_or_init(|| tracking::start(self.client.clone(), self.prefix.clone(), cache));
        Some(cache)
    }

    fn forget(&self, id: &SessionId) {
        if let Some(cache) = &self.cache {
            cache.forget(id);
        }
    }

    fn keys(&self, id: &SessionId) -> Keys {
        Keys::new(&self.prefix, id)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error> {
        let Some(cache) = self.cache() else { return self.read(id).await };
        if freshness == Freshness::Cached
            && let Some(stored) = cache.get(id, Instant::now())
        {
            return Ok(Some(stored));
        }
        let fill = cache.begin(id, Instant::now());
        let stored = self.read(id).await?;
        if let (Some(fill), Some(stored)) = (fill, &stored) {
            cache.fill(id, fill, stored);
        }
        Ok(stored)
    }

    async fn create(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<Created, Error> {
        let created = self.make(id, &value, ttl).await;
        self.forget(id);
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
        self.forget(id);
        updated
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let session = self.keys(id).session;
        let seconds = seconds(ttl);
        let set = [b"SET", session.as_bytes(), &value, b"EX", seconds.as_bytes()];
        let set = self.client.call(&set).await;
        self.forget(id);
        set.map(drop)
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let touched = self.prolong(id, ttl).await;
        self.forget(id);
        touched
    }

    async fn destroy(&self, id: &SessionId, barred: Duration) -> Result<(), Error> {
        let destroyed = self.end(id, barred).await;
        self.forget(id);
        if let (Some(cache), Ok(())) = (&self.cache, &destroyed)
            && cache.options.destroy_waits
        {
            tokio::time::sleep(cache.options.lease).await;
        }
        destroyed
    }
}

impl RedisStore {
    async fn read(&self, id: &SessionId) -> Result<Option<Stored>, Error> {
        let keys = self.keys(id);
        let session = keys.session.as_bytes();
        if let Some(absolute) = self.absolute_timeout {
            let arguments = [
                milliseconds(absolute),
                milliseconds(absolute + CREATION_OUTLIVES),
                milliseconds(CREATION_OUTLIVES),
            ];
            let found =
                self.client.run(&self.scripts.load, &keys.all(), &bytes(&arguments)).await?;
            let Reply::Array(found) = found else { return Ok(None) };
            return stored(found.into_iter());
        }
        let left: &[&[u8]] = &[b"PTTL", session];
        if !self.tombstones {
            let found = self.client.pipeline(&[&[b"GET", session], left]).await?;
            return stored(found.into_iter());
        }
        let values: &[&[u8]] = &[b"MGET", session, keys.revoked.as_bytes()];
        let mut found = self.client.pipeline(&[values, left]).await?.into_iter();
        let Some(Reply::Array(values)) = found.next() else {
            return Err(unexpected("MGET", &Reply::Nil));
        };
        let [value, revoked] = <[Reply; 2]>::try_from(values)
            .map_err(|values| unexpected("MGET", &Reply::Array(values)))?;
        if revoked != Reply::Nil {
            if value != Reply::Nil {
                // Somebody wrote it back. For us it is over whether this succeeds or not.
                drop(self.client.call(&[b"DEL", session]).await);
            }
            return Ok(None);
        }
        stored([value].into_iter().chain(found))
    }

    async fn make(&self, id: &SessionId, value: &Bytes, ttl: Duration) -> Result<Created, Error> {
        let keys = self.keys(id);
        let session = keys.session.as_bytes();
        let made = if let Some(absolute) = self.absolute_timeout {
            let times = [
                milliseconds(whole_seconds(ttl).min(absolute)),
                milliseconds(absolute + CREATION_OUTLIVES),
            ];
            let arguments = [&value[..], times[0].as_bytes(), times[1].as_bytes()];
            let keys = [session, keys.created.as_bytes()];
            self.client.run(&self.scripts.create, &keys, &arguments).await? == Reply::Int(1)
        } else {
            let seconds = seconds(ttl);
            let set = [b"SET", session, value, b"EX", seconds.as_bytes(), b"NX"];
            self.client.call(&set).await? != Reply::Nil
        };
        Ok(if made { Created::Stored } else { Created::Exists })
    }

    async fn replace(
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
        match self.client.run(&self.scripts.update, &keys.all(), &arguments).await? {
            Reply::Int(1) => Ok(Updated::Stored),
            Reply::Int(0) => Ok(Updated::Gone),
            Reply::Bytes(current) => Ok(Updated::Changed(current)),
            other => Err(unexpected("update", &other)),
        }
    }

    async fn prolong(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let keys = self.keys(id);
        let session = keys.session.as_bytes();
        let found = if let Some(absolute) = self.absolute_timeout {
            let arguments = [whole_seconds(ttl), absolute].map(milliseconds);
            let keys = [session, keys.created.as_bytes()];
            self.client.run(&self.scripts.touch, &keys, &bytes(&arguments)).await?
        } else {
            self.client.call(&[b"EXPIRE", session, seconds(ttl).as_bytes()]).await?
        };
        Ok(found == Reply::Int(1))
    }

    async fn end(&self, id: &SessionId, barred: Duration) -> Result<(), Error> {
        let keys = self.keys(id);
        let delete: &[&[u8]] = &[b"DEL", keys.session.as_bytes()];
        if !self.tombstones || barred.is_zero() {
            self.client.call(delete).await?;
            return Ok(());
        }
        // The bar first: in between, a session that was written back must not be taken for one.
        let seconds = seconds(barred);
        let bar: &[&[u8]] = &[b"SET", keys.revoked.as_bytes(), b"1", b"EX", seconds.as_bytes()];
        self.client.pipeline(&[bar, delete]).await?;
        Ok(())
    }
}

/// A session's value and what is left of its time, as Redis answers them.
fn stored(mut replies: impl Iterator<Item = Reply>) -> Result<Option<Stored>, Error> {
    match (replies.next(), replies.next()) {
        (Some(Reply::Nil), _) => Ok(None),
        (Some(Reply::Bytes(value)), Some(Reply::Int(left))) => {
            let time_left = match left {
                -1 => ENDLESS,
                // It ended between the two commands.
                left => Duration::from_millis(left.max(0).unsigned_abs()),
            };
            Ok(Some(Stored { value, time_left }))
        }
        (value, _) => Err(unexpected("load", &value.unwrap_or(Reply::Nil))),
    }
}

/// Redis is told whole seconds, as connect-redis tells it.
fn whole_seconds(ttl: Duration) -> Duration {
    Duration::from_secs(ttl.as_secs().max(1))
}

fn seconds(ttl: Duration) -> String {
    whole_seconds(ttl).as_secs().to_string()
}

fn milliseconds(duration: Duration) -> String {
    // Redis refuses a time beyond its clock.
    duration.min(ENDLESS).as_millis().to_string()
}

fn bytes(words: &[String]) -> Vec<&[u8]> {
    words.iter().map(String::as_bytes).collect()
}

fn unexpected(command: &str, reply: &Reply) -> Error {
    Error::new(ErrorKind::Store, format!("{command} was answered with {}", reply.type_name()))
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
