//! Where sessions are kept: [`MemoryStore`], `sqlite::SqliteStore` and `redis::RedisStore`, and the
//! trait for others, [`Store`].

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ConfigError, Error};
use crate::id::SessionId;

mod accounts;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use accounts::{AccountStore, IndexedSession, Visit};
pub use memory::MemoryStore;

/// Keeps sessions: one value of bytes under each id, for a time.
///
/// A store knows nothing of cookies or JSON: it returns the bytes that it was given.
///
/// # Contract
///
/// - Ids are opaque. No id, however hostile, reaches a value that is not a session of this store.
/// - A value is kept until its time to live, counted from the last write or touch, has passed. Then
///   [`load`](Self::load) returns `None`. The time to live is in whole seconds, at least one.
/// - An error never means "there is no session". A store that cannot be reached answers
///   [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
/// - A write that was answered is seen by every later load that asks for the
///   [latest](Freshness::Latest) value.
/// - A session that was destroyed stays gone for as long as its tombstone is kept, even if another
///   program writes without comparing, as connect-redis does.
/// - The epoch that a session is created with stays until the session ends, whatever is written or
///   touched, and is not part of its value. A session that another program created has none.
/// - A future that is dropped before it is ready may or may not have written.
///
/// The suite `store::conformance` (feature `conformance`) verifies all of it.
///
/// The example `own_store` is a whole store. This one wraps another, with a delay for tests:
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use tower_express_session::store::{Created, Freshness, Stored, Updated};
/// use tower_express_session::{Error, MemoryStore, SessionId, Store};
///
/// #[derive(Debug)]
/// struct Slow(MemoryStore);
///
/// #[async_trait::async_trait]
/// impl Store for Slow {
///     async fn load(&self, id: &SessionId, fresh: Freshness) -> Result<Option<Stored>, Error> {
///         tokio::time::sleep(Duration::from_millis(5)).await;
///         self.0.load(id, fresh).await
///     }
///     # async fn create(
///     #     &self, id: &SessionId, value: Bytes, ttl: Duration, epoch: Option<u64>,
///     # ) -> Result<Created, Error> {
///     #     self.0.create(id, value, ttl, epoch).await
///     # }
///     # async fn update(
///     #     &self, id: &SessionId, base: &Bytes, value: Bytes, ttl: Duration,
///     # ) -> Result<Updated, Error> {
///     #     self.0.update(id, base, value, ttl).await
///     # }
///     # async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
///     #     self.0.overwrite(id, value, ttl).await
///     # }
///     # async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
///     #     self.0.touch(id, ttl).await
///     # }
///     # async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
///     #     self.0.destroy(id, tombstone).await
///     # }
///     // … and the other methods likewise
/// }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the store cannot be reached or did not
/// answer in time, [`ErrorKind::Store`](crate::ErrorKind::Store) for other failures.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Returns the session of this id; `None` if it was never created, was destroyed or has expired.
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error>;

    /// Stores a new session. Never overwrites one. `epoch` is kept beside the value for
    /// [`load`](Self::load) to return.
    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error>;

    /// Replaces a session's value if it is still `base`, byte for byte, in one atomic step. Never
    /// brings back a session that is gone.
    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error>;

    /// Stores a value without comparing, as connect-redis does. Only the strict mode uses it.
    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error>;

    /// Starts the time to live again and leaves the value as it is. Returns whether there is a session.
    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error>;

    /// Deletes a session and keeps a tombstone for this time: a value that another program writes back
    /// under the id is not a session. Returns whether there was one; it is a success either way.
    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error>;

    /// Ends the store's background tasks and waits for them. The store may be slower afterwards, and
    /// works on. Does nothing by default.
    async fn shut_down(&self) {}

    /// Checks the store's settings against each other, once when a layer is built. The store is not
    /// contacted. Accepts everything by default.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] names the setting.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Checks the absolute timeout of a store.
fn check_absolute_timeout(timeout: Option<Duration>) -> Result<(), ConfigError> {
    match timeout {
        Some(timeout) if timeout < Duration::from_secs(1) => {
            Err(ConfigError::option("absolute_timeout", "must be at least one second"))
        }
        _ => Ok(()),
    }
}

/// A shared store is a store.
#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error> {
        (**self).load(id, freshness).await
    }

    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        (**self).create(id, value, ttl, epoch).await
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        (**self).update(id, base, value, ttl).await
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        (**self).overwrite(id, value, ttl).await
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        (**self).touch(id, ttl).await
    }

    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        (**self).destroy(id, tombstone).await
    }

    async fn shut_down(&self) {
        (**self).shut_down().await;
    }

    fn check(&self) -> Result<(), ConfigError> {
        (**self).check()
    }
}

/// A session as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The exact bytes that were written.
    pub value: Bytes,
    /// The rest of the session's time to live.
    pub time_left: Duration,
    /// The number that the session was created with; `None` if it had none, or another program
    /// created the session.
    pub epoch: Option<u64>,
}

impl Stored {
    /// Returns a session as a store loads it, without an epoch.
    #[must_use]
    pub fn new(value: Bytes, time_left: Duration) -> Self {
        Self { value, time_left, epoch: None }
    }

    /// Sets the number that the session was created with.
    #[must_use]
    pub fn with_epoch(self, epoch: Option<u64>) -> Self {
        Self { epoch, ..self }
    }
}

/// The age that an answer of [`Store::load`] may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// As old as the store's cache allows, if it has one.
    #[default]
    Cached,
    /// The store reads past its cache.
    Latest,
}

/// The answer to [`Store::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// The session is stored.
    Stored,
    /// A session of this id exists already, and was not changed.
    Exists,
}

/// The answer to [`Store::update`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Updated {
    /// The new value is stored.
    Stored,
    /// Another writer stored these bytes meanwhile; nothing was stored.
    Changed(Bytes),
    /// The session ended meanwhile; nothing was stored.
    Gone,
}
