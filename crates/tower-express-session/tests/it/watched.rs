//! A memory store that notes what it is asked, can be away, and has a clock that a test moves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tower_express_session::store::{Created, Freshness, Stored, Updated};
use tower_express_session::{Error, ErrorKind, MemoryStore, SessionId, Store};

#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: MemoryStore,
    calls: Mutex<Vec<&'static str>>,
    away: AtomicBool,
    never_answers: Mutex<Option<&'static str>>,
    now: Arc<Mutex<Instant>>,
}

impl Default for Watched {
    fn default() -> Self {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        Self {
            inner: MemoryStore::with_clock(move || *clock.lock().unwrap()),
            calls: Mutex::default(),
            away: AtomicBool::default(),
            never_answers: Mutex::default(),
            now,
        }
    }
}

impl Watched {
    /// What was asked since this was last called.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// This operation begins, and never comes to an end.
    pub(crate) fn never_answer(&self, operation: &'static str) {
        *self.never_answers.lock().unwrap() = Some(operation);
    }

    pub(crate) fn pass_time(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    async fn asked(&self, operation: &'static str) -> Result<&MemoryStore, Error> {
        self.calls.lock().unwrap().push(operation);
        let never_answers = *self.never_answers.lock().unwrap();
        if never_answers == Some(operation) {
            std::future::pending::<()>().await;
        }
        // As a store over a wire, it lets others have their turn.
        tokio::task::yield_now().await;
        match self.away.load(Ordering::Relaxed) {
            true => Err(ErrorKind::Unavailable.into()),
            false => Ok(&self.inner),
        }
    }
}

#[async_trait::async_trait]
impl Store for Watched {
    async fn load(&self, id: &SessionId, freshness: Freshness) -> Result<Option<Stored>, Error> {
        let operation = match freshness {
            Freshness::Cached => "load",
            Freshness::Latest => "load latest",
        };
        self.asked(operation).await?.load(id, freshness).await
    }
    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        self.asked("create").await?.create(id, value, ttl, epoch).await
    }
    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        self.asked("update").await?.update(id, base, value, ttl).await
    }
    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.asked("overwrite").await?.overwrite(id, value, ttl).await
    }
    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        self.asked("touch").await?.touch(id, ttl).await
    }
    async fn destroy(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        self.asked("destroy").await?.destroy(id, tombstone).await
    }
}
