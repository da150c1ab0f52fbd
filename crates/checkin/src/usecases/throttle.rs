//! Limits the rate of requests.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};
use quick_cache::sync::Cache;

/// The maximum number of keys. The least recently used ones are dropped.
const MAX_KEYS: usize = 100_000;

/// What a limit allows, and how much of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The name of the limit.
    pub name: &'static str,
    /// The number of requests that are allowed at once.
    pub limit: u32,
    /// The time after which as many are allowed again, if it is always the same.
    pub window: Option<Duration>,
    /// The number that is left.
    pub remaining: u32,
    /// The time until the next one is allowed, if none is left.
    pub wait: Duration,
}

/// Limits the rate of each key, with a burst. The counts are those of this process only.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit<K: Hash + Eq> {
    limit: Option<Limit>,
    buckets: Arc<Cache<K, Arc<Bucket>>>,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    name: &'static str,
    rate: Rate,
    window: Duration,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// Allows `per_second` for each key, and ten times as many in a burst. 0 means unlimited.
    #[must_use]
    pub(crate) fn per_second(name: &'static str, per_second: u32) -> Self {
        let burst = |rate: NonZeroU32| rate.saturating_mul(NonZeroU32::MIN.saturating_add(9));
        let rate = |rate| Rate::per_second(rate).allow_burst(burst(rate));
        Self::new(name, NonZeroU32::new(per_second).map(rate), Duration::from_secs(10))
    }

    /// Allows `per_hour` for each key, also in a burst. 0 means unlimited.
    #[must_use]
    pub(crate) fn per_hour(name: &'static str, per_hour: u32) -> Self {
        let rate = NonZeroU32::new(per_hour).map(Rate::per_hour);
        Self::new(name, rate, Duration::from_secs(60 * 60))
    }

    fn new(name: &'static str, rate: Option<Rate>, window: Duration) -> Self {
        let limit = rate.map(|rate| Limit { name, rate, window });
        Self { limit, buckets: Arc::new(Cache::new(MAX_KEYS)) }
    }

    /// Takes one from the share of this key. Returns what is left, or `None` if it is unlimited.
    ///
    /// # Errors
    ///
    /// The quota with the time to wait, if the share is used up.
    pub(crate) fn take(&self, key: &K) -> Result<Option<Quota>, Quota> {
        let Some(Limit { name, rate, window }) = self.limit else { return Ok(None) };
        let make = || Ok::<_, std::convert::Infallible>(Arc::new(bucket(rate)));
        let Ok(bucket) = self.buckets.get_or_insert_with(key, make);
        let (limit, window) = (rate.burst_size().get(), Some(window));
        match bucket.check() {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Ok(Some(Quota { name, limit, window, remaining, wait: Duration::ZERO }))
            }
            Err(until) => {
                let wait = until.wait_time_from(bucket.clock().now());
                Err(Quota { name, limit, window, remaining: 0, wait })
            }
        }
    }
}

fn bucket(rate: Rate) -> Bucket {
    RateLimiter::direct(rate).with_middleware::<StateInformationMiddleware>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_a_burst_and_then_refuses() {
        let limit = RateLimit::per_second("requests", 1);
        let allowed: Vec<_> = (0..100).map_while(|_| limit.take(&1).ok().flatten()).collect();
        assert_eq!(allowed.len(), 10);
        let left: Vec<_> = allowed.iter().map(|quota| quota.remaining).collect();
        assert_eq!(left, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        let Quota { limit: most, window, remaining, wait, .. } = limit.take(&1).unwrap_err();
        assert_eq!((most, window, remaining), (10, Some(Duration::from_secs(10)), 0));
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1));
        assert!(limit.take(&2).is_ok());
        let hourly = RateLimit::per_hour("registrations", 3);
        assert_eq!((0..9).filter(|_| hourly.take(&1).is_ok()).count(), 3);
        assert!(hourly.take(&1).unwrap_err().wait > Duration::from_secs(60));
        let unlimited = RateLimit::per_second("requests", 0);
        assert!((0..1000).all(|_| unlimited.take(&1) == Ok(None)));
    }

    #[test]
    fn the_number_of_keys_is_limited() {
        let limit = RateLimit::per_hour("requests", 1);
        for key in 0..2 * MAX_KEYS {
            limit.take(&key).unwrap();
        }
        assert!(limit.buckets.len() <= MAX_KEYS);
    }
}
