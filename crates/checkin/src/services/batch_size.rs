//! How many entries a processor reads at once.

use std::time::Duration;

/// The size of the first batch, and the smallest one while none fails.
const SMALL: usize = 1000;

/// A batch that takes at most this time is followed by a larger one.
const SHORT: Duration = Duration::from_millis(300);

/// A batch that takes more than this time is followed by a smaller one: on SQLite, check-ins that arrive
/// wait until the batch is committed.
const LONG: Duration = Duration::from_secs(1);

/// The number of entries in a full batch. It grows while batches are applied quickly, because the work
/// for each user, location and page of a file is then shared by more entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchSize {
    entries: usize,
    max: usize,
}

impl BatchSize {
    pub(super) fn at_most(max: usize) -> Self {
        Self { entries: SMALL.min(max), max }
    }

    pub(super) fn entries(self) -> usize {
        self.entries
    }

    /// Returns the size after a batch with this number of entries that could not be read or applied.
    pub(super) fn after_failure(self, entries: usize) -> Self {
        Self { entries: (entries.min(self.entries) / 2).max(1), ..self }
    }

    /// Returns the size after a batch with this number of entries that took this time.
    pub(super) fn after(self, entries: usize, took: Duration) -> Self {
        let is_full = entries >= self.entries;
        let entries = match took {
            _ if took > LONG => (self.entries / 2).max(SMALL.min(self.entries)),
            _ if took <= SHORT && is_full => self.entries * 2,
            _ => self.entries,
        };
        Self { entries: entries.min(self.max), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let after = |max, batches: &[(usize, u64)]| {
            let learn = |size: BatchSize, &(entries, ms): &(usize, u64)| {
                size.after(entries, Duration::from_millis(ms))
            };
            batches.iter().fold(BatchSize::at_most(max), learn).entries()
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
        let failed = |count: u32, size| {
            (0..count).fold(size, |size: BatchSize, _| size.after_failure(size.entries()))
        };
        assert_eq!(failed(1, BatchSize::at_most(10_000)).entries(), 500);
        let smallest = failed(20, BatchSize::at_most(10_000));
        assert_eq!(smallest.entries(), 1);
        assert_eq!(smallest.after(1, Duration::from_secs(5)).entries(), 1);
        assert_eq!(smallest.after(1, Duration::from_millis(9)).entries(), 2);
        assert_eq!(BatchSize::at_most(10_000).after_failure(20).entries(), 10);
        assert_eq!(after(500, &[(500, 9)]), 500);
        assert_eq!(after(500, &[(500, 5000)]), 500);
    }
}
