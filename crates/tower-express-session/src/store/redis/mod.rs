//! Sessions in Redis, as connect-redis keeps them.

mod client;
mod reply;
mod url;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use client::{Client, Script, Timeouts};
pub use reply::Reply;

use super::{Created, Store, Updated};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;

/// Replaces a session if it still holds the bytes that the writer read. Answers 1 when it did, 0
/// when the session is gone, and otherwise the bytes that are there.
const UPDATE: &str = "
local current = redis.call('GET', KEYS[1])
if not current then return 0 end
if current ~= ARGV[1] then return current end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1";

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
pub struct RedisStore {
    client: Client,
    prefix: Box<str>,
    update: Script,
}

impl RedisStore {
    /// A store with connect-redis's default prefix, `sess:`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, prefix: "sess:".into(), update: Script::new(UPDATE) }
    }

    /// The prefix before each id; an empty one is taken as it is.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn key(&self, id: &SessionId) -> String {
        format!("{}{}", self.prefix, id.as_str())
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self, id: &SessionId) -> Result<Option<Bytes>, Error> {
        match self.client.call(&[b"GET", self.key(id).as_bytes()]).await? {
            Reply::Nil => Ok(None),
            Reply::Bytes(value) => Ok(Some(value)),
            other => Err(unexpected("GET", &other)),
        }
    }

    async fn create(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<Created, Error> {
        let (key, seconds) = (self.key(id), seconds(ttl));
        let set = [b"SET", key.as_bytes(), &value, b"EX", seconds.as_bytes(), b"NX"];
        match self.client.call(&set).await? {
            Reply::Nil => Ok(Created::Exists),
            _ => Ok(Created::Stored),
        }
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let (key, seconds) = (self.key(id), seconds(ttl));
        let arguments = [&base[..], &value, seconds.as_bytes()];
        match self.client.run(&self.update, &[key.as_bytes()], &arguments).await? {
            Reply::Int(1) => Ok(Updated::Stored),
            Reply::Int(0) => Ok(Updated::Gone),
            Reply::Bytes(current) => Ok(Updated::Changed(current)),
            other => Err(unexpected("update", &other)),
        }
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let (key, seconds) = (self.key(id), seconds(ttl));
        self.client.call(&[b"SET", key.as_bytes(), &value, b"EX", seconds.as_bytes()]).await?;
        Ok(())
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let (key, seconds) = (self.key(id), seconds(ttl));
        let found = self.client.call(&[b"EXPIRE", key.as_bytes(), seconds.as_bytes()]).await?;
        Ok(found == Reply::Int(1))
    }

    async fn destroy(&self, id: &SessionId) -> Result<(), Error> {
        self.client.call(&[b"DEL", self.key(id).as_bytes()]).await?;
        Ok(())
    }
}

fn seconds(ttl: Duration) -> String {
    ttl.as_secs().max(1).to_string()
}

fn unexpected(command: &str, reply: &Reply) -> Error {
    Error::new(ErrorKind::Store, format!("{command} was answered with {}", reply.type_name()))
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
