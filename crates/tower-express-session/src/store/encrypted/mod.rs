//! Sessions that are encrypted before they are stored.

mod accounts;
mod keys;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use keys::EncryptionKeys;

pub(crate) use keys::Place;

use super::{Created, Freshness, Store, Stored, Updated};
use crate::error::{ConfigError, Error};
use crate::id::SessionId;

/// Keeps sessions in another store, encrypted and under hashed ids, so that a copy of that store
/// gives access to no session. Express services cannot share these sessions.
///
/// ```
/// use tower_express_session::store::encrypted::{EncryptedStore, EncryptionKeys};
/// use tower_express_session::{MemoryStore, SessionLayer};
///
/// # let [id_key, key] = ["k7Gm1ySvC2nZ0qVxJ4hT8rBpL5wEoUaD", "wq3ZtY6uN9sFj2XcR0eK7mHbV1gPiLdA"];
/// // Each of them from `openssl rand -base64 32`, and from no place that the store's readers can read.
/// let keys = EncryptionKeys::new(id_key, [key])?;
/// let store = EncryptedStore::new(MemoryStore::new(), keys);
/// let layer = SessionLayer::builder(store, ["keyboard cat"]).build()?;
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
///
/// A session is stored under the HMAC-SHA-256 of its id. Its value is encrypted with
/// XChaCha20-Poly1305 together with the id, and bound to the place where it is stored: copied to the
/// place of another session, it is no session. The entries of the index of accounts are encrypted in
/// the same way. These stay readable: the names of accounts in the index, the lengths of values, and
/// times and epochs.
///
/// A value that none of the keys decrypts is no session, and neither is one that was stored without
/// encryption. Such values are not deleted.
///
/// Give the inner store a prefix of its own. Beside services without encryption under the same
/// prefix, sessions are still safe, but these services would remove the entries from the index that
/// they cannot read.
///
/// The nonce of each value is derived from a key, the place and the value, as in a synthetic
/// initialization vector. So the same value has the same ciphertext in the same place, and
/// [`update`](Store::update) can compare it. A reader of the store can notice that a session has
/// returned to an earlier value.
#[derive(Clone)]
pub struct EncryptedStore<S> {
    inner: S,
    keys: EncryptionKeys,
}

impl<S> EncryptedStore<S> {
    /// Returns a store that keeps its sessions in `store`.
    #[must_use]
    pub fn new(store: S, keys: EncryptionKeys) -> Self {
        Self { inner: store, keys }
    }

    /// Returns the id under which the inner store has a session.
    #[must_use]
    pub fn inner_id(&self, id: &SessionId) -> SessionId {
        self.keys.hash(id)
    }

    /// Decrypts the value of this session; `None` if no key decrypts it.
    fn open(&self, id: &SessionId, place: &Place<'_>, sealed: &[u8]) -> Option<keys::Opened> {
        let opened = self.keys.open(place, sealed);
        if opened.is_none() {
            tracing::warn!(session.id = ?id, "ignoring a session that no key decrypts");
        }
        opened
    }
}

#[async_trait]
impl<S: Store> Store for EncryptedStore<S> {
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error> {
        let hash = self.keys.hash(id);
        let Some(stored) = self.inner.load(&hash, freshness).await? else { return Ok(None) };
        let place = Place::Session(&hash);
        let Some(opened) = self.open(id, &place, &stored.value) else { return Ok(None) };
        if opened.is_by_old_key {
            // Otherwise a session that is only touched would need the old key for as long as it is
            // in use. If this fails, the next request tries again.
            let sealed = self.keys.seal(&place, id, &opened.value);
            drop(self.inner.update(&hash, &stored.value, sealed, stored.time_left).await);
        }
        Ok(Some(Stored { value: opened.value, ..stored }))
    }

    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        let hash = self.keys.hash(id);
        let sealed = self.keys.seal(&Place::Session(&hash), id, &value);
        self.inner.create(&hash, sealed, ttl, epoch).await
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let hash = self.keys.hash(id);
        let place = Place::Session(&hash);
        let [expected, sealed] = [base, &value].map(|value| self.keys.seal(&place, id, value));
        let mut updated = self.inner.update(&hash, &expected, sealed.clone(), ttl).await?;
        if let Updated::Changed(current) = &updated
            && self.keys.open(&place, current).is_some_and(|opened| opened.value == *base)
        {
            // It is the same value, encrypted with another key.
            updated = self.inner.update(&hash, current, sealed, ttl).await?;
        }
        let Updated::Changed(current) = updated else { return Ok(updated) };
        let opened = self.open(id, &place, &current);
        Ok(opened.map_or(Updated::Gone, |opened| Updated::Changed(opened.value)))
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let hash = self.keys.hash(id);
        let sealed = self.keys.seal(&Place::Session(&hash), id, &value);
        self.inner.overwrite(&hash, sealed, ttl).await
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        self.inner.touch(&self.keys.hash(id), ttl).await
    }

    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        self.inner.destroy(&self.keys.hash(id), tombstone).await
    }

    async fn shut_down(&self) {
        self.inner.shut_down().await;
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.inner.check()
    }
}

impl<S: fmt::Debug> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncryptedStore").field(&self.inner).finish()
    }
}
