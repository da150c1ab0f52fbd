//! The index of each account's sessions, encrypted.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::EncryptedStore;
use super::keys::Place;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::store::{AccountStore, IndexedSession, SessionVisitor};

/// An entry is stored under the hash of the id. Its device is the ciphertext of the id, the device and
/// the address, as text, and it has no address.
#[async_trait]
impl<S: AccountStore> AccountStore for EncryptedStore<S> {
    async fn index(
        &self,
        account: &str,
        session: &IndexedSession,
        keep: Duration,
    ) -> Result<(), Error> {
        let IndexedSession { id, created_ms, last_seen_ms, device, address } = session;
        let details = serde_json::to_vec(&[device, address])
            .map_err(|cause| Error::new(ErrorKind::Store, cause))?;
        let hash = self.keys.hash(id);
        let sealed = self.keys.seal(&Place::Index { id: &hash, account }, id, &details);
        let entry = IndexedSession {
            id: hash,
            created_ms: *created_ms,
            last_seen_ms: *last_seen_ms,
            device: URL_SAFE_NO_PAD.encode(sealed),
            address: String::new(),
        };
        self.inner.index(account, &entry, keep).await
    }

    async fn indexed(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let entries = self.inner.indexed(account).await?.into_iter();
        Ok(entries.filter_map(|entry| self.decrypted(account, entry)).collect())
    }

    async fn destroy_each(&self, sessions: &[(SessionId, Duration)]) -> Result<usize, Error> {
        let hashed = |(id, tombstone): &(SessionId, Duration)| (self.keys.hash(id), *tombstone);
        self.inner.destroy_each(&sessions.iter().map(hashed).collect::<Vec<_>>()).await
    }

    async fn unindex(&self, account: &str, ids: &[SessionId]) -> Result<(), Error> {
        let hashes: Vec<_> = ids.iter().map(|id| self.keys.hash(id)).collect();
        self.inner.unindex(account, &hashes).await
    }

    async fn each(&self, visit: &mut SessionVisitor<'_>) -> Result<(), Error> {
        let mut decrypt = |hash, sealed: bytes::Bytes| {
            if let Some(opened) = self.keys.open(&Place::Session(&hash), &sealed) {
                visit(opened.id, opened.value);
            }
        };
        self.inner.each(&mut decrypt).await
    }
}

impl<S> EncryptedStore<S> {
    /// Returns an entry of the index as it was before it was encrypted; `None` if no key decrypts it.
    fn decrypted(&self, account: &str, entry: IndexedSession) -> Option<IndexedSession> {
        let sealed = URL_SAFE_NO_PAD.decode(&entry.device).ok()?;
        let opened = self.keys.open(&Place::Index { id: &entry.id, account }, &sealed)?;
        let [device, address] = serde_json::from_slice(&opened.value).ok()?;
        Some(IndexedSession { id: opened.id, device, address, ..entry })
    }
}
