//! The cache of a process in front of Redis, and the lease that limits the age of its results.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;

use crate::id::SessionId;
use crate::shared_record::SharedRecord;
use crate::store::Stored;

/// The settings of the cache of a [`RedisStore`](super::RedisStore); see
/// [`cached`](super::RedisStore::cached).
///
/// ```
/// use std::time::Duration;
/// use tower_express_session::store::redis::CacheOptions;
///
/// let mut options = CacheOptions::with_lease(Duration::from_millis(100));
/// options.max_bytes = 64 << 20;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The maximum age of a session from the cache. Default: 250 ms.
    pub lease: Duration,
    /// The interval between the heartbeats that renew the lease. It must be at most half of the
    /// lease. Default: 100 ms.
    pub heartbeat: Duration,
    /// The maximum memory of the cache, in bytes. Default: 16 MiB, enough for about 10,000 small
    /// sessions. A session leaves the cache after 30 seconds at the latest.
    pub max_bytes: usize,
}

impl CacheOptions {
    /// Returns settings with this lease, a suitable heartbeat, and the other defaults.
    #[must_use]
    pub fn with_lease(lease: Duration) -> Self {
        Self { lease, heartbeat: lease * 2 / 5, ..Self::default() }
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(250),
            heartbeat: Duration::from_millis(100),
            max_bytes: 16 << 20,
        }
    }
}

/// What a cache has done since it was made; see [`cache_counts`](super::RedisStore::cache_counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounts {
    /// Sessions that were returned from memory.
    pub hits: u64,
    /// Sessions that had to be read from Redis.
    pub misses: u64,
    /// Changes of sessions that removed an entry, whoever made them.
    pub invalidations: u64,
    /// The times that a valid lease was lost: the connection ended, all keys were flushed, or no
    /// heartbeat was answered in time.
    pub lease_losses: u64,
}

/// The maximum time for which a session is cached, even if Redis reports no change: a safeguard
/// against unforeseen faults.
const MAX_AGE: Duration = Duration::from_secs(30);

/// The estimated memory of an entry without its id and its value, in bytes.
const ENTRY_OVERHEAD: usize = 160;

/// A session whose value is larger than the cache's memory divided by this number is not cached.
const MAX_SHARE_DIVISOR: usize = 16;

/// Sessions by id, each as it was stored in Redis at most one lease ago.
///
/// Redis notifies the cache of each change on a dedicated connection
/// ([`tracking`](super::tracking)). When a heartbeat is answered, the lease is renewed from the
/// time at which that heartbeat was sent. Replies and notifications arrive in order on that
/// connection, so every earlier change is known by then. Reads may use another connection; so the
/// result of a read is cached only if no change of its session was notified since the read began.
pub(super) struct Cache {
    pub(super) options: CacheOptions,
    // Locked for a few instructions, never across an await.
    state: Mutex<CacheState>,
}

struct CacheState {
    slots: LruCache<SessionId, CacheSlot>,
    bytes: usize,
    /// The end of the lease, after which the cache returns nothing. `None` until the connection is
    /// established.
    lease_ends: Option<Instant>,
    fills: u64,
    counts: CacheCounts,
}

enum CacheSlot {
    /// A read is in progress. A change that is notified during the read removes the entry.
    Filling(u64),
    Ready(CachedSession),
}

struct CachedSession {
    /// As it was read.
    stored: Stored,
    /// When the session expires.
    ends: Instant,
    /// When the entry leaves the cache.
    stale: Instant,
}

/// A read in progress whose result is to be cached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    number: u64,
    began: Instant,
}

impl Cache {
    pub(super) fn new(options: CacheOptions) -> Self {
        let state = CacheState {
            slots: LruCache::new_unbounded(),
            bytes: 0,
            lease_ends: None,
            fills: 0,
            counts: CacheCounts::default(),
        };
        Self { options, state: Mutex::new(state) }
    }

    /// Returns the session if the cache may answer for it.
    pub(super) fn get(&self, id: &SessionId, now: Instant) -> Option<Stored> {
        let mut state = self.state();
        let found = state.get(id, now);
        match found {
            Some(_) => state.counts.hits += 1,
            None => state.counts.misses += 1,
        }
        found
    }

    pub(super) fn counts(&self) -> CacheCounts {
        self.state().counts
    }

    /// Registers a read. Returns `None` if its result must not be cached.
    pub(super) fn begin(&self, id: &SessionId, now: Instant) -> Option<Fill> {
        let mut state = self.state();
        if !state.has_lease(now) {
            return None;
        }
        state.fills += 1;
        let number = state.fills;
        state.put(id, CacheSlot::Filling(number), self.options.max_bytes);
        Some(Fill { number, began: now })
    }

    /// Caches the result of a read, unless a change was notified since the read began, or another
    /// read began later.
    pub(super) fn fill(&self, id: &SessionId, fill: Fill, stored: &Stored) {
        let mut state = self.state();
        let is_awaited = matches!(state.slots.peek(id), Some(CacheSlot::Filling(number)) if *number == fill.number);
        if !is_awaited {
            return;
        }
        if stored.value.len() > self.options.max_bytes / MAX_SHARE_DIVISOR {
            state.remove(id);
            return;
        }
        let entry = CachedSession {
            stored: Stored { record: SharedRecord::unparsed(), ..stored.clone() },
            ends: fill.began + stored.time_left,
            stale: fill.began + MAX_AGE,
        };
        state.put(id, CacheSlot::Ready(entry), self.options.max_bytes);
    }

    /// Removes a session that was changed.
    pub(super) fn invalidate(&self, id: &SessionId) {
        let mut state = self.state();
        if state.remove(id) {
            state.counts.invalidations += 1;
        }
    }

    /// Drops all entries. Nothing is cached before the next lease.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.slots.clear();
        state.bytes = 0;
        if state.lease_ends.take().is_some() {
            state.counts.lease_losses += 1;
        }
    }

    /// Renews the lease: a heartbeat that was sent at this time has been answered.
    pub(super) fn renew(&self, sent: Instant) {
        let mut state = self.state();
        // The heartbeat before it came too late.
        if state.lease_ends.is_some_and(|ends| ends < sent) {
            state.counts.lease_losses += 1;
        }
        state.lease_ends = Some(sent + self.options.lease);
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        // No code under the lock panics half-way, so the state behind a poisoned lock is still
        // consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheState {
    fn has_lease(&self, now: Instant) -> bool {
        self.lease_ends.is_some_and(|ends| now < ends)
    }

    fn get(&mut self, id: &SessionId, now: Instant) -> Option<Stored> {
        if !self.has_lease(now) {
            return None;
        }
        match self.slots.get(id)? {
            CacheSlot::Ready(entry) if now < entry.ends && now < entry.stale => {
                Some(Stored { time_left: entry.ends - now, ..entry.stored.clone() })
            }
            _ => None,
        }
    }

    fn put(&mut self, id: &SessionId, slot: CacheSlot, max_bytes: usize) {
        self.bytes += cost(id, &slot);
        if let Some(old) = self.slots.insert(id.clone(), slot) {
            self.bytes -= cost(id, &old);
        }
        while self.bytes > max_bytes {
            let Some((id, slot)) = self.slots.remove_lru() else { return };
            self.bytes -= cost(&id, &slot);
        }
    }

    /// Removes an entry, and returns whether there was one.
    fn remove(&mut self, id: &SessionId) -> bool {
        let slot = self.slots.remove(id);
        if let Some(slot) = &slot {
            self.bytes -= cost(id, slot);
        }
        slot.is_some()
    }
}

fn cost(id: &SessionId, slot: &CacheSlot) -> usize {
    let value = match slot {
        CacheSlot::Filling(_) => 0,
        CacheSlot::Ready(entry) => {
            let value = &entry.stored.value;
            value.len() + SharedRecord::estimated_bytes(value)
        }
    };
    ENTRY_OVERHEAD + id.as_str().len() + value
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Cache")
            .field("sessions", &state.slots.len())
            .field("bytes", &state.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn id(text: &str) -> SessionId {
        SessionId::from(text)
    }

    fn stored(value: &str, time_left: Duration) -> Stored {
        Stored::new(Bytes::copy_from_slice(value.as_bytes()), time_left).with_epoch(Some(7))
    }

    /// Returns a cache with a lease from `now` and the session `a`.
    fn filled(now: Instant) -> Cache {
        let cache = Cache::new(CacheOptions::default());
        cache.renew(now);
        let fill = cache.begin(&id("a"), now).unwrap();
        cache.fill(&id("a"), fill, &stored("value", Duration::from_secs(60)));
        cache
    }

    #[test]
    fn sessions_are_returned_only_under_a_lease() {
        let now = Instant::now();
        let cache = filled(now);
        let found = cache.get(&id("a"), now + 249 * MS).unwrap();
        assert_eq!((found.value, found.epoch), (Bytes::from("value"), Some(7)));
        assert_eq!(cache.get(&id("a"), now + 250 * MS), None);
        assert!(
            cache.begin(&id("b"), now + 250 * MS).is_none(),
            "without a lease nothing is cached"
        );
        cache.renew(now + 200 * MS);
        assert!(cache.get(&id("a"), now + 449 * MS).is_some(), "the lease was renewed in time");
        cache.clear();
        cache.clear();
        cache.renew(now + 300 * MS);
        assert_eq!(cache.get(&id("a"), now + 300 * MS), None);
        let counts = CacheCounts { hits: 2, misses: 2, invalidations: 0, lease_losses: 1 };
        assert_eq!(cache.counts(), counts);
        cache.renew(now + 551 * MS);
        assert_eq!(cache.counts().lease_losses, 2, "the lease had ended");
    }

    #[test]
    fn changes_are_counted() {
        let cache = filled(Instant::now());
        cache.invalidate(&id("b"));
        assert_eq!(cache.counts().invalidations, 0);
        cache.invalidate(&id("a"));
        assert_eq!(cache.counts().invalidations, 1);
    }

    #[test]
    fn a_read_is_not_cached_after_a_change_during_the_read() {
        let now = Instant::now();
        for change in [Cache::clear as fn(&Cache), |cache| cache.invalidate(&id("a"))] {
            let cache = filled(now);
            let fill = cache.begin(&id("a"), now).unwrap();
            change(&cache);
            cache.renew(now);
            cache.fill(&id("a"), fill, &stored("old", Duration::from_secs(60)));
            assert_eq!(cache.get(&id("a"), now), None);
        }
    }

    #[test]
    fn the_later_of_two_reads_is_cached() {
        let now = Instant::now();
        let cache = filled(now);
        let [first, second] = [(); 2].map(|()| cache.begin(&id("a"), now).unwrap());
        cache.fill(&id("a"), second, &stored("new", Duration::from_secs(60)));
        cache.fill(&id("a"), first, &stored("old", Duration::from_secs(60)));
        assert_eq!(cache.get(&id("a"), now).unwrap().value, "new");
    }

    #[test]
    fn a_session_is_not_cached_beyond_its_expiry() {
        let now = Instant::now();
        let cache = filled(now);
        let fill = cache.begin(&id("a"), now).unwrap();
        cache.fill(&id("a"), fill, &stored("value", 100 * MS));
        assert_eq!(cache.get(&id("a"), now + 40 * MS).unwrap().time_left, 60 * MS);
        assert_eq!(cache.get(&id("a"), now + 100 * MS), None);
        let cache = filled(now);
        cache.renew(now + MAX_AGE);
        assert_eq!(cache.get(&id("a"), now + MAX_AGE), None, "nor beyond the maximum age");
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let cache = Cache::new(CacheOptions { max_bytes: 16_000, ..CacheOptions::default() });
        cache.renew(now);
        for n in 0..1000 {
            let id = id(&n.to_string());
            let fill = cache.begin(&id, now).unwrap();
            if n % 2 == 0 {
                cache.fill(&id, fill, &stored(&"x".repeat(n), Duration::from_secs(60)));
            }
            assert!(cache.state().bytes <= 16_000);
        }
        assert!(cache.get(&id("998"), now).is_some(), "the most recently used session is kept");
        assert!(cache.get(&id("0"), now).is_none());
        for n in 0..1000 {
            cache.invalidate(&id(&n.to_string()));
        }
        assert_eq!(cache.state().bytes, 0, "the memory of all entries was released");
    }
}
