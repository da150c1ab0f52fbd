//! How many entries a processor reads at once, and how many check-ins are retracted or folded at once.

use std::time::Duration;

/// A batch that takes at most this time is followed by a larger one.
const SHORT: Duration = Duration::from_millis(300);

/// A batch that takes more than this time is followed by a smaller one: on SQLite, check-ins that arrive
/// wait until the batch is committed.
const LONG: Duration = Duration::from_secs(1);

/// The number of quick batches after a failure until a larger one is tried again. If that one fails again because of its
/// size, few attempts are lost.
const CAUTION: u32 = 16;

/// The number of entries in a full batch, or of other things that are done at once. It grows while batches are applied quickly, because the work
/// for each user, location and page of a file is then shared by more entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchSize {
    entries: usize,
    small: usize,
    max: usize,
    /// The number of quick batches until the next one may be larger.
    caution: u32,
}

impl BatchSize {
    /// `small` is the size of the first batch, and the smallest one while none fails.
    pub(crate) fn between(small: usize, max: usize) -> Self {
        let small = small.min(max);
        Self { entries: small, small, max, caution: 0 }
    }

    pub(crate) fn entries(self) -> usize {
        self.entries
    }

    /// Returns the size after a batch with this number of entries that failed.
    pub(crate) fn after_failure(self, entries: usize) -> Self {
        Self { entries: (entries.min(self.entries) / 2).max(1), caution: CAUTION, ..self }
    }

    /// Returns the size after a batch with this number of entries that took this time.
    pub(crate) fn after(self, entries: usize, took: Duration) -> Self {
        let is_full = entries >= self.entries;
        match took {
            _ if took > LONG => {
                Self { entries: (self.entries / 2).max(self.small.min(self.entries)), ..self }
            }
            _ if took > SHORT || !is_full => self,
            _ if self.caution > 0 => Self { caution: self.caution - 1, ..self },
            _ => Self { entries: (self.entries * 2).min(self.max), ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(9);

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let after = |max, batches: &[(usize, u64)]| {
            let learn = |size: BatchSize, &(entries, ms): &(usize, u64)| {
                size.after(entries, Duration::from_millis(ms))
            };
            batches.iter().fold(BatchSize::between(1000, max), learn).entries()
        };
        assert_eq!(after(10_000, &[]), 1000);
        assert_eq!(after(10_000, &[(1000, 300)]), 2000);
        assert_eq!(after(10_000, &[(1000, 301)]), 1000);
        // Batches that are not full show nothing about larger ones.
        assert_eq!(after(10_000, &[(999, 1)]), 1000);
        assert_eq!(
            after(10_000, &[(1000, 9), (2000, 9), (4000, 9), (8000, 9), (10_000, 9)]),
            10_000
        );
        assert_eq!(after(10_000, &[(1000, 9), (2000, 9), (4000, 1001)]), 2000);
        assert_eq!(after(10_000, &[(1000, 5000)]), 1000);
        assert_eq!(after(500, &[(500, 9)]), 500);
        assert_eq!(after(500, &[(500, 5000)]), 500);
    }

    #[test]
    fn a_batch_that_failed_is_followed_by_its_first_half() {
        let size = BatchSize::between(1000, 10_000);
        let failed = |count: u32| (0..count).fold(size, |size, _| size.after_failure(size.entries));
        assert_eq!(failed(1).entries(), 500);
        assert_eq!(failed(20).entries(), 1);
        assert_eq!(failed(20).after(1, Duration::from_secs(5)).entries(), 1);
        assert_eq!(size.after_failure(20).entries(), 10);
    }

    /// Returns the largest size that succeeded of this number of batches, and how many failed, if all above this number of
    /// entries fail.
    fn attempts(count: usize, limit: usize) -> (usize, usize) {
        let (mut size, mut largest, mut failed) = (BatchSize::between(1000, 20_000), 0, 0);
        for _ in 0..count {
            let entries = size.entries();
            if entries > limit {
                failed += 1;
                size = size.after_failure(entries);
            } else {
                largest = largest.max(entries);
                size = size.after(entries, QUICK);
            }
        }
        (largest, failed)
    }

    #[test]
    fn few_attempts_are_lost_where_larger_batches_fail() {
        // The first ones find the size, and then one of each eighteen fails.
        assert_eq!(attempts(180, 1500), (1000, 10));
        assert_eq!(attempts(180, 1), (1, 18));
        assert_eq!(attempts(180, 3), (3, 17));
    }

    #[test]
    fn batches_grow_again_when_what_made_one_fail_is_over() {
        let failed = BatchSize::between(1000, 20_000).after_failure(1000);
        let after = |count: u32| (0..count).fold(failed, |size, _| size.after(size.entries, QUICK));
        assert_eq!(after(CAUTION).entries(), 500);
        assert_eq!(after(CAUTION + 1).entries(), 1000);
        assert_eq!(after(CAUTION + 6).entries(), 20_000);
    }
}
