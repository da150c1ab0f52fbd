//! The cache of sessions in front of Redis.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use tower_express_session::store::redis::{CacheCounts, RedisStore};

/// Reads the counts of the session cache when they are asked for. Without a cache they are 0.
#[derive(Clone, Default)]
pub struct SessionCache(Arc<OnceLock<RedisStore>>);

impl SessionCache {
    /// Sets the store whose cache is counted. Only the first call has an effect.
    pub fn set(&self, store: RedisStore) {
        drop(self.0.set(store));
    }

    /// Returns the numbers of hits and misses; `None` without a cache.
    pub(crate) fn hits_and_misses(&self) -> Option<(u64, u64)> {
        let counts = self.0.get().and_then(RedisStore::cache_counts)?;
        Some((counts.hits, counts.misses))
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }
}

impl Collector for SessionCache {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.get().and_then(RedisStore::cache_counts);
        let CacheCounts { hits, misses, invalidations, lease_losses, .. } =
            counts.unwrap_or_default();
        for (name, help, count) in [
            ("hits", "Sessions that were taken from memory", hits),
            ("misses", "Sessions that had to be read from Redis", misses),
            ("invalidations", "Sessions that left the cache after a change", invalidations),
            ("lease_losses", "How often the cache lost the right to answer", lease_losses),
        ] {
            let counter = ConstCounter::new(count);
            let name = format!("checkin_session_cache_{name}");
            let help = format!("{help}.");
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(&name, &help, None, kind)?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionCache").field(&self.0.get()).finish()
    }
}
