//! Sessions in the memory of one process, for tests and experiments.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    AccountStore, Created, Freshness, IndexedSession, SessionVisitor, Store, Stored, Updated,
    check_absolute_timeout,
};
use crate::error::{ConfigError, Error};
use crate::id::SessionId;

/// The number of writes after which expired sessions are removed.
const WRITES_PER_SWEEP: usize = 1024;

/// The longest time to live: a hundred years. The clock cannot represent every longer time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Keeps sessions in the memory of this process, for tests and experiments. Their number is
/// unlimited; expired sessions are removed.
///
/// ```
/// use std::sync::Arc;
/// use tower_express_session::{MemoryStore, SessionLayer};
///
/// let store = Arc::new(MemoryStore::new());
/// let layer = SessionLayer::builder(store.clone(), ["a secret"]).build()?;
/// assert!(store.is_empty()); // a test can inspect the store
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
pub struct MemoryStore {
    // Locked for a few instructions, never across an await.
    sessions: Mutex<Sessions>,
    absolute_timeout: Duration,
    clock: Arc<dyn Fn() -> Instant + Send + Sync>,
}

#[derive(Default)]
struct Sessions {
    entries: HashMap<SessionId, MemorySession>,
    accounts: HashMap<String, AccountEntries>,
    writes_since_sweep: usize,
}

struct MemorySession {
    value: Bytes,
    epoch: Option<u64>,
    ends: Instant,
    /// The end by the absolute timeout.
    ends_at_last: Instant,
}

/// The index of one account's sessions.
struct AccountEntries {
    indexed: Vec<IndexedSession>,
    ends: Instant,
}

impl MemoryStore {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Instant::now)
    }

    /// Returns an empty store with its own clock, so that a test need not wait.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// use std::sync::Arc;
    /// use std::time::{Duration, Instant};
    /// use tower_express_session::MemoryStore;
    ///
    /// let (start, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    /// let passed = seconds.clone();
    /// let now = move || start + Duration::from_secs(passed.load(Relaxed));
    /// let store = MemoryStore::with_clock(now).absolute_timeout(Duration::from_secs(3600));
    /// seconds.store(3601, Relaxed); // all sessions from before have ended
    /// ```
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        let clock = Arc::new(clock);
        Self { sessions: Mutex::default(), absolute_timeout: LONGEST, clock }
    }

    /// Ends each session this long after its creation, even if it is in use. Default: never. A
    /// login or a renewal creates a new session.
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute_timeout = timeout.min(LONGEST);
        self
    }

    /// Returns the number of sessions that have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        let now = (self.clock)();
        self.sessions().entries.values().filter(|entry| entry.ends > now).count()
    }

    /// Returns whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry(
        &self,
        value: Bytes,
        epoch: Option<u64>,
        now: Instant,
        ttl: Duration,
    ) -> MemorySession {
        let ends_at_last = now + self.absolute_timeout;
        let mut entry = MemorySession { value, epoch, ends: now, ends_at_last };
        entry.keep(now, ttl);
        entry
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // No code under the lock panics half-way, so the map behind a poisoned lock is still
        // consistent.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    fn live(&mut self, id: &SessionId, now: Instant) -> Option<&mut MemorySession> {
        self.entries.get_mut(id).filter(|entry| entry.ends > now)
    }

    fn put(&mut self, id: &SessionId, entry: MemorySession, now: Instant) {
        self.entries.insert(id.clone(), entry);
        self.writes_since_sweep += 1;
        if self.writes_since_sweep >= WRITES_PER_SWEEP {
            self.writes_since_sweep = 0;
            self.entries.retain(|_, entry| entry.ends > now);
            self.accounts.retain(|_, account| account.ends > now);
        }
    }
}

impl MemorySession {
    fn keep(&mut self, now: Instant, ttl: Duration) {
        self.ends = (now + ttl.min(LONGEST)).min(self.ends_at_last);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, id: &SessionId, _: Freshness) -> Result<Option<Stored>, Error> {
        let now = (self.clock)();
        let mut sessions = self.sessions();
        let entry = sessions.live(id, now);
        Ok(entry.map(|entry| {
            Stored::new(entry.value.clone(), entry.ends - now)
                .with_epoch(entry.epoch)
                .with_final(entry.ends == entry.ends_at_last)
        }))
    }

    async fn create(
        &self,
        id: &SessionId,
        value: Bytes,
        ttl: Duration,
        epoch: Option<u64>,
    ) -> Result<Created, Error> {
        let now = (self.clock)();
        let mut sessions = self.sessions();
        if sessions.live(id, now).is_some() {
            return Ok(Created::Exists);
        }
        sessions.put(id, self.entry(value, epoch, now, ttl), now);
        Ok(Created::Stored)
    }

    async fn update(
        &self,
        id: &SessionId,
        base: &Bytes,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Updated, Error> {
        let now = (self.clock)();
        let mut sessions = self.sessions();
        let Some(entry) = sessions.live(id, now) else { return Ok(Updated::Gone) };
        if entry.value != base {
            return Ok(Updated::Changed(entry.value.clone()));
        }
        entry.value = value;
        entry.keep(now, ttl);
        Ok(Updated::Stored)
    }

    async fn overwrite(&self, id: &SessionId, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let now = (self.clock)();
        let mut sessions = self.sessions();
        let epoch = sessions.live(id, now).and_then(|entry| entry.epoch);
        sessions.put(id, self.entry(value, epoch, now, ttl), now);
        Ok(())
    }

    async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let now = (self.clock)();
        let mut sessions = self.sessions();
        let Some(entry) = sessions.live(id, now) else { return Ok(false) };
        entry.keep(now, ttl);
        Ok(true)
    }

    // No other program writes to this store, and this crate never writes an ended session back, so
    // no tombstone is needed.
    async fn destroy(&self, id: &SessionId, _: Duration) -> Result<bool, Error> {
        let now = (self.clock)();
        let mut sessions = self.sessions();
        let was_there = sessions.live(id, now).is_some();
        sessions.entries.remove(id);
        Ok(was_there)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_absolute_timeout(Some(self.absolute_timeout))
    }
}

#[async_trait]
impl AccountStore for MemoryStore {
    async fn index(
        &self,
        account: &str,
        session: &IndexedSession,
        keep: Duration,
    ) -> Result<(), Error> {
        let now = (self.clock)();
        let ends = now + keep.min(LONGEST);
        let mut sessions = self.sessions();
        let account = sessions
            .accounts
            .entry(account.to_owned())
            .or_insert_with(|| AccountEntries { indexed: Vec::new(), ends });
        if account.ends <= now {
            account.indexed.clear();
        }
        account.ends = account.ends.max(ends);
        match account.indexed.iter_mut().find(|indexed| indexed.id == session.id) {
            Some(indexed) => {
                *indexed = IndexedSession { created_ms: indexed.created_ms, ..session.clone() };
            }
            None => account.indexed.push(session.clone()),
        }
        Ok(())
    }

    async fn indexed(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let now = (self.clock)();
        let sessions = self.sessions();
        let account = sessions.accounts.get(account).filter(|account| account.ends > now);
        Ok(account.map(|account| account.indexed.clone()).unwrap_or_default())
    }

    async fn destroy_each(&self, sessions: &[(SessionId, Duration)]) -> Result<usize, Error> {
        let mut ended = 0;
        for (id, tombstone) in sessions {
            ended += usize::from(self.destroy(id, *tombstone).await?);
        }
        Ok(ended)
    }

    async fn unindex(&self, account: &str, ids: &[SessionId]) -> Result<(), Error> {
        if let Some(account) = self.sessions().accounts.get_mut(account) {
            account.indexed.retain(|indexed| !ids.contains(&indexed.id));
        }
        Ok(())
    }

    async fn each(&self, visit: &mut SessionVisitor<'_>) -> Result<(), Error> {
        let now = (self.clock)();
        let sessions = self.sessions();
        for (id, entry) in sessions.entries.iter().filter(|(_, entry)| entry.ends > now) {
            visit(id.clone(), entry.value.clone());
        }
        Ok(())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("sessions", &self.len()).finish()
    }
}
