//! Limits the rate of attempts.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use quick_cache::sync::Cache;

/// The maximum number of keys. The least recently used ones are dropped.
const MAX_KEYS: usize = 100_000;

/// The wait after the first failure that is not free. Each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The maximum wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Slows down guessing: after some failures each further attempt has to wait, longer each time. A
/// success clears the failures. The counts are those of this process only.
#[derive(Clone, Debug)]
pub(crate) struct FailureThrottle<K: Hash + Eq> {
    failures: Arc<Cache<K, Arc<Mutex<Failures>>>>,
    free: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    until: Option<Instant>,
}

impl<K: Hash + Eq + Clone> FailureThrottle<K> {
    /// Creates a throttle without failures. The first `free` failures of a key cost nothing.
    #[must_use]
    pub(crate) fn new(free: u32) -> Self {
        Self { failures: Arc::new(Cache::new(MAX_KEYS)), free }
    }

    /// Returns how long this key still has to wait at `now`, or zero.
    pub(crate) fn wait(&self, key: &K, now: Instant) -> Duration {
        let until = self.failures.get(key).and_then(|failures| lock(&failures).until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Counts a failure of this key at `now`.
    pub(crate) fn failed(&self, key: &K, now: Instant) {
        let entry = self
            .failures
            .get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(entry) = entry;
        let mut failures = lock(&entry);
        // After the maximum wait has passed, the count starts anew.
        if failures.until.is_some_and(|until| now > until + LONGEST_WAIT) {
            *failures = Failures::default();
        }
        failures.count = failures.count.saturating_add(1);
        if let Some(beyond) = failures.count.checked_sub(self.free) {
            let wait = FIRST_WAIT.saturating_mul(1 << beyond.min(20)).min(LONGEST_WAIT);
            failures.until = Some(now + wait);
        }
    }

    /// Clears the failures of this key.
    pub(crate) fn succeeded(&self, key: &K) {
        self.failures.remove(key);
    }
}

fn lock(failures: &Mutex<Failures>) -> std::sync::MutexGuard<'_, Failures> {
    // Plain numbers, which are valid after any step.
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Limits the rate of each key, with a burst. The counts are those of this process only.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit<K: Hash + Eq + Clone>(Option<Arc<Limiter<K>>>);

#[derive(Debug)]
struct Limiter<K: Hash + Eq + Clone> {
    keys: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// Allows `per_second` for each key, and ten times as many in a burst. 0 means unlimited.
    #[must_use]
    pub(crate) fn new(per_second: u32) -> Self {
        let quota = NonZeroU32::new(per_second).map(|rate| {
            Quota::per_second(rate)
                .allow_burst(rate.saturating_mul(NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN)))
        });
        Self(quota.map(|quota| {
            Arc::new(Limiter { keys: RateLimiter::keyed(quota), clock: DefaultClock::default() })
        }))
    }

    /// Takes one from the share of this key.
    ///
    /// # Errors
    ///
    /// The time to wait, if the share is used up.
    pub(crate) fn take(&self, key: &K) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        if limiter.keys.len() > MAX_KEYS {
            limiter.keys.retain_recent();
        }
        limiter.keys.check_key(key).map_err(|until| until.wait_time_from(limiter.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_failures_and_a_success_clears_them() {
        let throttle = FailureThrottle::new(5);
        let now = Instant::now();
        for _ in 1..5 {
            throttle.failed(&"a", now);
            assert_eq!(throttle.wait(&"a", now), Duration::ZERO);
        }
        for seconds in [1, 2, 4, 8] {
            throttle.failed(&"a", now);
            assert_eq!(throttle.wait(&"a", now), Duration::from_secs(seconds));
        }
        for _ in 0..40 {
            throttle.failed(&"a", now);
        }
        assert_eq!(throttle.wait(&"a", now), LONGEST_WAIT);
        assert_eq!(throttle.wait(&"b", now), Duration::ZERO);
        throttle.succeeded(&"a");
        assert_eq!(throttle.wait(&"a", now), Duration::ZERO);
    }

    #[test]
    fn a_rate_allows_a_burst_and_then_refuses() {
        let limit = RateLimit::new(1);
        let allowed = (0..100).filter(|_| limit.take(&1).is_ok()).count();
        assert_eq!(allowed, 10);
        let wait = limit.take(&1).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1));
        assert!(limit.take(&2).is_ok());
        assert!((0..1000).all(|_| RateLimit::new(0).take(&1).is_ok()));
    }
}
