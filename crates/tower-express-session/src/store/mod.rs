//! The stores: [`MemoryStore`], `sqlite::SqliteStore` and `redis::RedisStore`, `encrypted::EncryptedStore`
//! around one of them, and [`Store`], the trait for others.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ConfigError, Error};
use crate::id::SessionId;
use crate::shared_record::SharedRecord;

mod accounts;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "encryption")]
pub mod encrypted;
mod memory;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use accounts::{AccountStore, IndexedSession, SessionVisitor};
pub use memory::MemoryStore;

/// Keeps sessions: for each id a value of bytes with a time to live.
///
/// A store knows nothing of cookies or JSON: it returns the bytes that it was given.
///
/// # Contract
///
/// - Ids are opaque. Even a hostile id never gives access to a value that is not a session of this
///   store.
/// - A value is kept until its time to live, counted from the last write or touch, has passed.
///   After that [`load`](Self::load) returns `None`. The time to live is in whole seconds, at least
///   one.
/// - An error never means "there is no session". A store that cannot be reached returns
///   [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
/// - After a write has returned, every load of the [latest](Freshness::Latest) value sees it.
/// - A destroyed session cannot be loaded for as long as its tombstone is kept, even if another
///   program writes it back without comparing, as connect-redis does.
/// - The epoch of a session is set when it is created, is not part of its value, and never changes,
///   whatever is written or touched. A session that another program created has none.
/// - A write whose future is dropped may or may not have taken effect.
///
/// The suite `store::conformance` (feature `conformance`) verifies this contract.
///
/// The example `own_store` is a complete store. This one wraps another store and adds a delay, for
/// tests:
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
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the store cannot be reached or does
/// not answer in time, [`ErrorKind::Store`](crate::ErrorKind::Store) for other failures.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Returns the session with this id; `None` if it was never created, was destroyed or has
    /// expired.
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error>;

    /// Stores a new session. Never overwrites an existing one. `epoch` is kept beside the value and
    /// returned by [`load`](Self::load).
    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error>;

    /// Replaces a session's value if it is still `base`, byte for byte, in one atomic step. Never
    /// restores a session that has ended.
    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error>;

    /// Stores a value without comparing, as connect-redis does. Only the strict mode uses it.
    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error>;

    /// Restarts the time to live and does not change the value. Returns whether the session exists.
    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error>;

    /// Deletes a session and keeps a tombstone for this time, during which a value that another
    /// program writes back under the id does not count as a session. A tombstone that is there already
    /// and is kept for longer stays so. Returns whether the session existed. It is not an error if it did
    /// not.
    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error>;

    /// Ends the store's background tasks and waits for them. Afterwards the store still works, but
    /// may be slower. Does nothing by default.
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

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The exact bytes that were written.
    pub value: Bytes,
    /// The rest of the session's time to live.
    pub time_left: Duration,
    /// The epoch that the session was created with; `None` if it has none, or if another program
    /// created the session.
    pub epoch: Option<u64>,
    /// Whether no touch prolongs the session, because it lives until its absolute timeout.
    pub is_final: bool,
    /// The parsed value, where a cache keeps it.
    pub(crate) record: SharedRecord,
}

impl Stored {
    /// Returns a stored session without an epoch.
    #[must_use]
    pub fn new(value: Bytes, time_left: Duration) -> Self {
        let record = SharedRecord::default();
        Self { value, time_left, epoch: None, is_final: false, record }
    }

    /// Sets the epoch.
    #[must_use]
    pub fn with_epoch(self, epoch: Option<u64>) -> Self {
        Self { epoch, ..self }
    }

    /// Sets whether no touch prolongs the session.
    #[must_use]
    pub fn with_final(self, is_final: bool) -> Self {
        Self { is_final, ..self }
    }
}

/// How old the result of [`Store::load`] may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// The store may answer from its cache, if it has one.
    #[default]
    Cached,
    /// The store must not answer from a cache.
    Latest,
}

/// The result of [`Store::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// The session is stored.
    Stored,
    /// A session with this id exists already, and was not changed.
    Exists,
}

/// The result of [`Store::update`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Updated {
    /// The new value is stored.
    Stored,
    /// Another writer has stored these bytes in the meantime; nothing was stored.
    Changed(Bytes),
    /// The session has ended in the meantime; nothing was stored.
    Gone,
}
