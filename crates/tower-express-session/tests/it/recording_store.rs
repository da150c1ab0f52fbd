//! A memory store that records its calls, can be unavailable, and has a clock that a test can
//! advance.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tower_express_session::store::{Created, Freshness, Stored, Updated};
use tower_express_session::{Error, ErrorKind, MemoryStore, SessionId, Store};

#[derive(Debug)]
pub(crate) struct RecordingStore {
    pub(crate) inner: MemoryStore,
    calls: Mutex<Vec<&'static str>>,
    unavailable: AtomicBool,
    never_answers: Mutex<Option<&'static str>>,
    now: Arc<Mutex<Instant>>,
}

impl Default for RecordingStore {
    fn default() -> Self {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        Self {
            inner: MemoryStore::with_clock(move || *clock.lock().unwrap()),
            calls: Mutex::default(),
            unavailable: AtomicBool::default(),
            never_answers: Mutex::default(),
            now,
        }
    }
}

impl RecordingStore {
    pub(crate) fn with_absolute_timeout(timeout: Duration) -> Self {
        let store = Self::default();
        Self { inner: store.inner.absolute_timeout(timeout), ..store }
    }

    /// Returns the calls since this was last called.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(crate) fn set_unavailable(&self, unavailable: bool) {
        self.unavailable.store(unavailable, Ordering::Relaxed);
    }

    /// Makes this operation start and never finish.
    pub(crate) fn never_answer(&self, operation: &'static str) {
        *self.never_answers.lock().unwrap() = Some(operation);
    }

    pub(crate) fn pass_time(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    async fn record(&self, operation: &'static str) -> Result<&MemoryStore, Error> {
        self.calls.lock().unwrap().push(operation);
        let never_answers = *self.never_answers.lock().unwrap();
        if never_answers == Some(operation) {
            std::future::pending::<()>().await;
        }
        // Yields, like a store on the network.
        tokio::task::yield_now().await;
        match self.unavailable.load(Ordering::Relaxed) {
            true => Err(ErrorKind::Unavailable.into()),
            false => Ok(&self.inner),
        }
    }
}

#[async_trait::async_trait]
impl Store for RecordingStore {
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error> {
        let operation = match freshness {
            Freshness::Cached => "load",
            Freshness::Latest => "load latest",
        };
        self.record(operation).await?.load(id, freshness).await
    }
    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        self.record("create").await?.create(id, value, ttl, epoch).await
    }
    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        self.record("update").await?.update(id, base, value, ttl).await
    }
    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.record("overwrite").await?.overwrite(id, value, ttl).await
    }
    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        self.record("touch").await?.touch(id, ttl).await
    }
    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        self.record("destroy").await?.destroy(id, tombstone).await
    }
}
