//! The cache of a process in front of Redis, and the lease that limits the age of its results.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use redis_link::{Client, Heartbeat};

use super::cache_options::{CacheCounts, CacheOptions};
use crate::id::SessionId;
use crate::shared_record::SharedRecord;
use crate::store::Stored;

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
///
/// On a cluster each primary has a lease of its own, for its slots. A session is cached under the lease of
/// the primary that it was read from, and leaves the cache when that primary loses its slot, or when
/// another one has it with a higher epoch.
pub(super) struct Cache {
    pub(super) options: CacheOptions,
    // Locked for a few instructions, never across an await; for longer only when slots have moved.
    state: Mutex<CacheState>,
}

struct CacheState {
    entries: LruCache<SessionId, Entry>,
    bytes: usize,
    /// One for each server on whose connection a heartbeat was answered.
    leases: Vec<Lease>,
    fills: u64,
    counts: CacheCounts,
}

struct Lease {
    /// The end of the lease, after which nothing is returned under it.
    ends: Instant,
    /// The heartbeat that renewed it.
    heartbeat: Heartbeat,
}

struct Entry {
    /// The slot of its key.
    slot: u16,
    /// The number of the connection whose lease it is cached under.
    source: u64,
    content: Content,
}

enum Content {
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
#[derive(Debug)]
pub(super) struct Fill {
    number: u64,
    began: Instant,
    slot: u16,
    source: u64,
    /// The client of the server that must be read, if it matters.
    pub(super) reader: Option<Client>,
}

impl Cache {
    pub(super) fn new(options: CacheOptions) -> Self {
        let state = CacheState {
            entries: LruCache::new_unbounded(),
            bytes: 0,
            leases: Vec::new(),
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

    /// Registers a read of a session whose key is in this slot. Returns `None` if its result must not be
    /// cached.
    pub(super) fn begin(&self, id: &SessionId, slot: u16, now: Instant) -> Option<Fill> {
        let mut state = self.state();
        let lease = owner(&state.leases, slot).filter(|lease| now < lease.ends)?;
        let (source, reader) = (lease.heartbeat.source, lease.heartbeat.reader.clone());
        state.fills += 1;
        let number = state.fills;
        let entry = Entry { slot, source, content: Content::Filling(number) };
        state.put(id, entry, self.options.max_bytes);
        Some(Fill { number, began: now, slot, source, reader })
    }

    /// Caches the result of a read, unless a change was notified since the read began, or another
    /// read began later.
    pub(super) fn fill(&self, id: &SessionId, fill: &Fill, stored: &Stored) {
        let mut state = self.state();
        let content = state.entries.peek(id).map(|entry| &entry.content);
        if !matches!(content, Some(Content::Filling(number)) if *number == fill.number) {
            return;
        }
        if stored.value.len() > self.options.max_bytes / MAX_SHARE_DIVISOR {
            state.remove(id);
            return;
        }
        let session = CachedSession {
            stored: Stored { record: SharedRecord::unparsed(), ..stored.clone() },
            ends: fill.began + stored.time_left,
            stale: fill.began + MAX_AGE,
        };
        let (slot, source) = (fill.slot, fill.source);
        let entry = Entry { slot, source, content: Content::Ready(session) };
        state.put(id, entry, self.options.max_bytes);
    }

    /// Removes a session that was changed.
    pub(super) fn invalidate(&self, id: &SessionId) {
        let mut state = self.state();
        if state.remove(id) {
            state.counts.invalidations += 1;
        }
    }

    /// Ends the lease of a connection. Its entries leave the cache.
    pub(super) fn lose(&self, source: u64) {
        let mut state = self.state();
        let before = state.leases.len();
        state.leases.retain(|lease| lease.heartbeat.source != source);
        if state.leases.len() < before {
            state.counts.lease_losses += 1;
            state.drop_orphans();
        }
    }

    /// Renews the lease of a connection: this heartbeat has been answered.
    pub(super) fn renew(&self, heartbeat: &Heartbeat) {
        let mut state = self.state();
        let ends = heartbeat.sent + self.options.lease;
        let renewed = Lease { ends, heartbeat: heartbeat.clone() };
        let source = heartbeat.source;
        let Some(lease) = state.leases.iter_mut().find(|lease| lease.heartbeat.source == source)
        else {
            state.leases.push(renewed);
            return state.drop_orphans();
        };
        let before = std::mem::replace(lease, renewed);
        // The heartbeat before it came too late.
        if before.ends < heartbeat.sent {
            state.counts.lease_losses += 1;
        }
        if before.heartbeat.slots != heartbeat.slots {
            state.drop_orphans();
        }
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        // No code under the lock panics half-way, so the state behind a poisoned lock is still
        // consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the lease of the server that has this slot. While a slot moves, two may have it.
fn owner(leases: &[Lease], slot: u16) -> Option<&Lease> {
    let owners = leases.iter().filter(|lease| lease.heartbeat.slots.contains(slot));
    owners.max_by_key(|lease| lease.heartbeat.epoch)
}

impl CacheState {
    fn get(&mut self, id: &SessionId, now: Instant) -> Option<Stored> {
        let entry = self.entries.get(id)?;
        let mut leases = self.leases.iter();
        let lease = leases.find(|lease| lease.heartbeat.source == entry.source)?;
        match &entry.content {
            Content::Ready(session)
                if now < lease.ends && now < session.ends && now < session.stale =>
            {
                Some(Stored { time_left: session.ends - now, ..session.stored.clone() })
            }
            _ => None,
        }
    }

    fn put(&mut self, id: &SessionId, entry: Entry, max_bytes: usize) {
        self.bytes += cost(id, &entry);
        if let Some(old) = self.entries.insert(id.clone(), entry) {
            self.bytes -= cost(id, &old);
        }
        while self.bytes > max_bytes {
            let Some((id, entry)) = self.entries.remove_lru() else { return };
            self.bytes -= cost(&id, &entry);
        }
    }

    /// Removes an entry, and returns whether there was one.
    fn remove(&mut self, id: &SessionId) -> bool {
        let entry = self.entries.remove(id);
        if let Some(entry) = &entry {
            self.bytes -= cost(id, entry);
        }
        entry.is_some()
    }

    /// Removes the entries whose slot no longer belongs to the server that they were read from.
    fn drop_orphans(&mut self) {
        let Self { entries, bytes, leases, .. } = self;
        entries.retain(|id, entry| {
            let owner = owner(leases, entry.slot).map(|lease| lease.heartbeat.source);
            let stays = owner == Some(entry.source);
            if !stays {
                *bytes -= cost(id, entry);
            }
            stays
        });
    }
}

fn cost(id: &SessionId, entry: &Entry) -> usize {
    let value = match &entry.content {
        Content::Filling(_) => 0,
        Content::Ready(session) => {
            let value = &session.stored.value;
            value.len() + SharedRecord::estimated_bytes(value)
        }
    };
    ENTRY_OVERHEAD + id.as_str().len() + value
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Cache")
            .field("sessions", &state.entries.len())
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

    fn heartbeat(sent: Instant) -> Heartbeat {
        Heartbeat::new(1, sent)
    }

    /// Returns a cache with a lease from `now` and the session `a`.
    fn filled(now: Instant) -> Cache {
        let cache = Cache::new(CacheOptions::default());
        cache.renew(&heartbeat(now));
        let fill = cache.begin(&id("a"), 7, now).unwrap();
        cache.fill(&id("a"), &fill, &stored("value", Duration::from_secs(60)));
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
            cache.begin(&id("b"), 7, now + 250 * MS).is_none(),
            "without a lease nothing is cached"
        );
        cache.renew(&heartbeat(now + 200 * MS));
        assert!(cache.get(&id("a"), now + 449 * MS).is_some(), "the lease was renewed in time");
        cache.lose(1);
        cache.lose(1);
        cache.renew(&heartbeat(now + 300 * MS));
        assert_eq!(cache.get(&id("a"), now + 300 * MS), None);
        let counts = CacheCounts { hits: 2, misses: 2, invalidations: 0, lease_losses: 1 };
        assert_eq!(cache.counts(), counts);
        cache.renew(&heartbeat(now + 551 * MS));
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
        for change in [(|cache| cache.lose(1)) as fn(&Cache), |cache| cache.invalidate(&id("a"))] {
            let cache = filled(now);
            let fill = cache.begin(&id("a"), 7, now).unwrap();
            change(&cache);
            cache.renew(&heartbeat(now));
            cache.fill(&id("a"), &fill, &stored("old", Duration::from_secs(60)));
            assert_eq!(cache.get(&id("a"), now), None);
        }
    }

    #[test]
    fn the_later_of_two_reads_is_cached() {
        let now = Instant::now();
        let cache = filled(now);
        let [first, second] = [(); 2].map(|()| cache.begin(&id("a"), 7, now).unwrap());
        cache.fill(&id("a"), &second, &stored("new", Duration::from_secs(60)));
        cache.fill(&id("a"), &first, &stored("old", Duration::from_secs(60)));
        assert_eq!(cache.get(&id("a"), now).unwrap().value, "new");
    }

    #[test]
    fn a_session_is_not_cached_beyond_its_expiry() {
        let now = Instant::now();
        let cache = filled(now);
        let fill = cache.begin(&id("a"), 7, now).unwrap();
        cache.fill(&id("a"), &fill, &stored("value", 100 * MS));
        assert_eq!(cache.get(&id("a"), now + 40 * MS).unwrap().time_left, 60 * MS);
        assert_eq!(cache.get(&id("a"), now + 100 * MS), None);
        let cache = filled(now);
        cache.renew(&heartbeat(now + MAX_AGE));
        assert_eq!(cache.get(&id("a"), now + MAX_AGE), None, "nor beyond the maximum age");
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let cache = Cache::new(CacheOptions { max_bytes: 16_000, ..CacheOptions::default() });
        cache.renew(&heartbeat(now));
        for n in 0..1000 {
            let id = id(&n.to_string());
            let fill = cache.begin(&id, 7, now).unwrap();
            if n % 2 == 0 {
                cache.fill(&id, &fill, &stored(&"x".repeat(n), Duration::from_secs(60)));
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

    /// What happens to a cache with the heartbeats of two primaries.
    type Change = fn(&Cache, &Heartbeat, &Heartbeat);

    fn with(heartbeat: &Heartbeat, slots: std::ops::Range<u16>) -> Heartbeat {
        let mut heartbeat = heartbeat.clone();
        heartbeat.slots = slots.collect();
        heartbeat
    }

    /// Two primaries, each with its slots and its epoch.
    #[test]
    fn a_session_is_cached_as_long_as_its_primary_has_its_slot() {
        let now = Instant::now();
        let primary = |source, epoch, slots: std::ops::Range<u16>| {
            let mut heartbeat = Heartbeat::new(source, now);
            (heartbeat.epoch, heartbeat.slots) = (epoch, slots.collect());
            heartbeat
        };
        let changes: [(&str, bool, Change); 6] = [
            ("nothing", true, |_, _, _| {}),
            ("it keeps its slots", true, |cache, first, _| cache.renew(first)),
            ("another slot moves", true, |cache, first, second| {
                cache.renew(&with(first, 0..90));
                cache.renew(&with(second, 90..200));
            }),
            ("its slot is gone", false, |cache, first, _| {
                cache.renew(&with(first, 8..90));
                cache.renew(first);
            }),
            ("another one has it, too", false, |cache, _, second| {
                cache.renew(&with(second, 7..200));
            }),
            ("its connection is lost", false, |cache, first, _| {
                cache.lose(first.source);
                cache.renew(first);
            }),
        ];
        for (what, stays, change) in changes {
            let cache = Cache::new(CacheOptions::default());
            let (first, second) = (primary(1, 1, 0..100), primary(2, 2, 100..200));
            cache.renew(&first);
            cache.renew(&second);
            let [ours, theirs] = [("a", 7), ("b", 107)].map(|(name, slot)| {
                let fill = cache.begin(&id(name), slot, now).unwrap();
                cache.fill(&id(name), &fill, &stored("value", Duration::from_secs(60)));
                fill.source
            });
            assert_eq!([ours, theirs], [1, 2]);
            assert!(cache.begin(&id("c"), 200, now).is_none(), "nobody has this slot");
            let read = cache.begin(&id("d"), 7, now).unwrap();
            change(&cache, &first, &second);
            cache.fill(&id("d"), &read, &stored("value", Duration::from_secs(60)));
            for name in ["a", "d"] {
                assert_eq!(cache.get(&id(name), now).is_some(), stays, "{name}: {what}");
            }
            assert!(cache.get(&id("b"), now).is_some(), "{what}: nothing happened to its slot");
        }
    }
}
