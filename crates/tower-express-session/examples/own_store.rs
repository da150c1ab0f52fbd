//! How do I write my own store, and verify that it is correct?
//!
//! ```console
//! $ cargo run --example own_store --features conformance
//! the store fulfils the contract
//! ```
//!
//! This store is a map in the process. A store over a database has the same six methods. Each must
//! be one atomic step there: a transaction, a conditional update or a script.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tower_express_session::store::conformance::{self, StoreUnderTest};
use tower_express_session::store::{Created, Freshness, Stored, Updated};
use tower_express_session::{Error, SessionId, SessionLayer, Store};

#[derive(Debug, Default)]
struct MapStore(Mutex<HashMap<SessionId, StoredEntry>>);

#[derive(Clone, Debug)]
struct StoredEntry {
    value: Bytes,
    epoch: Option<u64>,
    expires: Instant,
}

type Entries<'a> = MutexGuard<'a, HashMap<SessionId, StoredEntry>>;

impl MapStore {
    /// Returns the map after removing expired entries. The lock must not be held across an `await`.
    fn entries(&self) -> Entries<'_> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.expires > Instant::now());
        entries
    }
}

#[async_trait]
impl Store for MapStore {
    /// There is no cache in front of the map, so every result is the latest.
    async fn load(&self, id: &SessionId, _: Freshness) -> Result<Option<Stored>, Error> {
        let entries = self.entries();
        Ok(entries.get(id).map(|StoredEntry { value, epoch, expires }| {
            let time_left = expires.duration_since(Instant::now());
            Stored::new(value.clone(), time_left).with_epoch(*epoch)
        }))
    }

    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        let mut entries = self.entries();
        if entries.contains_key(id) {
            return Ok(Created::Exists);
        }
        entries.insert(id.clone(), StoredEntry { value, epoch, expires: Instant::now() + ttl });
        Ok(Created::Stored)
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(id) else { return Ok(Updated::Gone) };
        if entry.value != base {
            return Ok(Updated::Changed(entry.value.clone()));
        }
        *entry = StoredEntry { value, expires: Instant::now() + ttl, ..*entry };
        Ok(Updated::Stored)
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let mut entries = self.entries();
        let epoch = entries.get(id).and_then(|entry| entry.epoch);
        entries.insert(id.clone(), StoredEntry { value, epoch, expires: Instant::now() + ttl });
        Ok(())
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(id) else { return Ok(false) };
        entry.expires = Instant::now() + ttl;
        Ok(true)
    }

    /// Only this process writes to the map, so no other program can restore the session. A store to
    /// which other programs also write keeps a tombstone for the given time.
    async fn destroy(&self, id: &SessionId, _tombstone: Duration) -> Result<bool, Error> {
        Ok(self.entries().remove(id).is_some())
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints the result")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MapStore::default();
    // The suite does not wait for a session to expire: it calls this function to shorten the time
    // left.
    let pass_time = |id: &str, time| {
        if let Some(entry) = store.entries().get_mut(&SessionId::from(id)) {
            entry.expires = entry.expires.checked_sub(time).unwrap_or_else(Instant::now);
        }
    };
    conformance::run(&StoreUnderTest { store: &store, pass_time: &pass_time }).await;
    println!("the store fulfils the contract");

    let _layer = SessionLayer::builder(store, ["keyboard cat"]).build()?;
    Ok(())
}
