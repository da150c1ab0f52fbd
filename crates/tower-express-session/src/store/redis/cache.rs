//! The cache of a process in front of Redis, and the lease under which its answers are valid.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashlink::LruCache;

use crate::id::SessionId;
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
    /// The maximum age of an answer from the cache. Default: 250 ms.
    pub lease: Duration,
    /// The interval at which a heartbeat renews the lease. It must be less than half of the lease.
    /// Default: 100 ms.
    pub heartbeat: Duration,
    /// The maximum memory of the cache, in bytes. Default: 16 MiB.
    pub max_bytes: usize,
}

impl CacheOptions {
    /// Returns settings with this lease, a heartbeat to match, and the other defaults.
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

/// The maximum time for which a session is cached, whatever Redis says: a last resort against
/// unforeseen faults.
const LONGEST_MEMORY: Duration = Duration::from_secs(30);

/// The memory of an entry beside its id and its value, in bytes.
const ENTRY_OVERHEAD: usize = 160;

/// The maximum part of the cache's memory that one session may take.
const LARGEST_PART: usize = 16;

/// Sessions by id, each as Redis held it no longer than one lease ago.
///
/// Redis publishes each change on a connection of its own ([`tracking`](super::tracking)). A lease
/// begins when a heartbeat was sent that has been answered since. Answers and notifications arrive in
/// order on one connection, so every change from before that moment is known. A read is cached only if
/// no change of its session was published since it began; it may use another connection.
pub(super) struct Cache {
    pub(super) options: CacheOptions,
    // Locked for single steps in memory, never across an await.
    memory: Mutex<Memory>,
}

struct Memory {
    slots: LruCache<SessionId, Slot>,
    bytes: usize,
    /// The end of the lease: the cache answers nothing afterwards. `None` until a connection is up.
    lease_ends: Option<Instant>,
    fills: u64,
}

enum Slot {
    /// A read is in progress. A change that is published meanwhile removes the entry.
    Filling(u64),
    Ready(Entry),
}

struct Entry {
    value: Bytes,
    epoch: Option<u64>,
    /// The end of the session's time.
    ends: Instant,
    /// When the entry leaves the cache.
    stale: Instant,
}

/// A read whose answer is to be cached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    number: u64,
    began: Instant,
}

impl Cache {
    pub(super) fn new(options: CacheOptions) -> Self {
        let memory =
            Memory { slots: LruCache::new_unbounded(), bytes: 0, lease_ends: None, fills: 0 };
        Self { options, memory: Mutex::new(memory) }
    }

    /// Returns the session if the cache may answer for it.
    pub(super) fn get(&self, id: &SessionId, now: Instant) -> Option<Stored> {
        let mut memory = self.memory();
        if !memory.has_lease(now) {
            return None;
        }
        match memory.slots.get(id)? {
            Slot::Ready(entry) if now < entry.ends && now < entry.stale => {
                let (value, time_left) = (entry.value.clone(), entry.ends - now);
                Some(Stored { value, time_left, epoch: entry.epoch })
            }
            _ => None,
        }
    }

    /// Announces a read. Returns `None` if its answer must not be cached.
    pub(super) fn begin(&self, id: &SessionId, now: Instant) -> Option<Fill> {
        let mut memory = self.memory();
        if !memory.has_lease(now) {
            return None;
        }
        memory.fills += 1;
        let number = memory.fills;
        memory.put(id, Slot::Filling(number), self.options.max_bytes);
        Some(Fill { number, began: now })
    }

    /// Caches the answer of a read, unless a change was published since it began, or another read began
    /// later.
    pub(super) fn fill(&self, id: &SessionId, fill: Fill, stored: &Stored) {
        let mut memory = self.memory();
        let is_awaited =
            matches!(memory.slots.peek(id), Some(Slot::Filling(number)) if *number == fill.number);
        if !is_awaited {
            return;
        }
        if stored.value.len() > self.options.max_bytes / LARGEST_PART {
            return memory.remove(id);
        }
        let entry = Entry {
            value: stored.value.clone(),
            epoch: stored.epoch,
            ends: fill.began + stored.time_left,
            stale: fill.began + LONGEST_MEMORY,
        };
        memory.put(id, Slot::Ready(entry), self.options.max_bytes);
    }

    /// A session was changed.
    pub(super) fn forget(&self, id: &SessionId) {
        self.memory().remove(id);
    }

    /// Drops all entries. Nothing is cached before the next lease.
    pub(super) fn clear(&self) {
        let mut memory = self.memory();
        memory.slots.clear();
        memory.bytes = 0;
        memory.lease_ends = None;
    }

    /// Renews the lease: a heartbeat that was sent at this time has been answered.
    pub(super) fn renew(&self, sent: Instant) {
        self.memory().lease_ends = Some(sent + self.options.lease);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // No step can panic half-way, so a poisoned lock holds a sound cache.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn has_lease(&self, now: Instant) -> bool {
        self.lease_ends.is_some_and(|ends| now < ends)
    }

    fn put(&mut self, id: &SessionId, slot: Slot, max_bytes: usize) {
        self.bytes += cost(id, &slot);
        if let Some(old) = self.slots.insert(id.clone(), slot) {
            self.bytes -= cost(id, &old);
        }
        while self.bytes > max_bytes {
            let Some((id, slot)) = self.slots.remove_lru() else { return };
            self.bytes -= cost(&id, &slot);
        }
    }

    fn remove(&mut self, id: &SessionId) {
        if let Some(slot) = self.slots.remove(id) {
            self.bytes -= cost(id, &slot);
        }
    }
}

fn cost(id: &SessionId, slot: &Slot) -> usize {
    let value = match slot {
        Slot::Filling(_) => 0,
        Slot::Ready(entry) => entry.value.len(),
    };
    ENTRY_OVERHEAD + id.as_str().len() + value
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory();
        f.debug_struct("Cache")
            .field("sessions", &memory.slots.len())
            .field("bytes", &memory.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn id(text: &str) -> SessionId {
        SessionId::from(text)
    }

    fn stored(value: &str, time_left: Duration) -> Stored {
        Stored { value: Bytes::copy_from_slice(value.as_bytes()), time_left, epoch: Some(7) }
    }

    /// A cache with a lease from `now`, and the session `a` in it.
    fn filled(now: Instant) -> Cache {
        let cache = Cache::new(CacheOptions::default());
        cache.renew(now);
        let fill = cache.begin(&id("a"), now).unwrap();
        cache.fill(&id("a"), fill, &stored("value", Duration::from_secs(60)));
        cache
    }

    #[test]
    fn answers_only_under_a_lease() {
        let now = Instant::now();
        let cache = filled(now);
        let found = cache.get(&id("a"), now + 249 * MS).unwrap();
        assert_eq!((found.value, found.epoch), (Bytes::from("value"), Some(7)));
        assert_eq!(cache.get(&id("a"), now + 250 * MS), None);
        assert!(cache.begin(&id("b"), now + 250 * MS).is_none(), "nor is anything remembered");
        cache.renew(now + 200 * MS);
        assert!(cache.get(&id("a"), now + 449 * MS).is_some(), "nothing was missed");
        cache.clear();
        cache.renew(now + 300 * MS);
        assert_eq!(cache.get(&id("a"), now + 300 * MS), None);
    }

    #[test]
    fn a_change_during_a_read_keeps_it_from_being_remembered() {
        let now = Instant::now();
        for change in [Cache::clear as fn(&Cache), |cache| cache.forget(&id("a"))] {
            let cache = filled(now);
            let fill = cache.begin(&id("a"), now).unwrap();
            change(&cache);
            cache.renew(now);
            cache.fill(&id("a"), fill, &stored("old", Duration::from_secs(60)));
            assert_eq!(cache.get(&id("a"), now), None);
        }
    }

    #[test]
    fn of_two_reads_the_one_that_began_later_is_remembered() {
        let now = Instant::now();
        let cache = filled(now);
        let [first, second] = [(); 2].map(|()| cache.begin(&id("a"), now).unwrap());
        cache.fill(&id("a"), second, &stored("new", Duration::from_secs(60)));
        cache.fill(&id("a"), first, &stored("old", Duration::from_secs(60)));
        assert_eq!(cache.get(&id("a"), now).unwrap().value, "new");
    }

    #[test]
    fn a_session_is_not_remembered_beyond_its_end() {
        let now = Instant::now();
        let cache = filled(now);
        let fill = cache.begin(&id("a"), now).unwrap();
        cache.fill(&id("a"), fill, &stored("value", 100 * MS));
        assert_eq!(cache.get(&id("a"), now + 40 * MS).unwrap().time_left, 60 * MS);
        assert_eq!(cache.get(&id("a"), now + 100 * MS), None);
        let cache = filled(now);
        cache.renew(now + LONGEST_MEMORY);
        assert_eq!(cache.get(&id("a"), now + LONGEST_MEMORY), None, "nor for too long");
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
            assert!(cache.memory().bytes <= 16_000);
        }
        assert!(cache.get(&id("998"), now).is_some(), "what was used last stays");
        assert!(cache.get(&id("0"), now).is_none());
        for n in 0..1000 {
            cache.forget(&id(&n.to_string()));
        }
        assert_eq!(cache.memory().bytes, 0, "the account is even");
    }
}
