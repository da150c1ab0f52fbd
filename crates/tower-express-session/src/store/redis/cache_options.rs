//! The settings of the cache, and what it counts.

use std::time::Duration;

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
    /// heartbeat was answered in time. On a cluster each primary has a lease of its own.
    pub lease_losses: u64,
}
