//! The metrics of a processor beside its counters.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::storage::PartState;

/// The bounds of the buckets of batches, in seconds and in entries.
const SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const ENTRIES: [f64; 6] = [1.0, 10.0, 100.0, 1000.0, 10_000.0, 50_000.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Partition {
    partition: u64,
}

/// The state of each partition of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct LogGauges {
    length: Family<Partition, Gauge>,
    waiting: Family<Partition, Gauge>,
    waiting_seconds: Family<Partition, Gauge<f64, std::sync::atomic::AtomicU64>>,
    dead_letters: Family<Partition, Gauge>,
    lost: Family<Partition, Gauge>,
    held: Family<Partition, Gauge>,
}

impl LogGauges {
    pub(super) fn set(&self, states: &[PartState]) {
        let whole = |number| i64::try_from(number).unwrap_or(i64::MAX);
        for (partition, state) in (0..).zip(states) {
            let partition = Partition { partition };
            self.length.get_or_create(&partition).set(whole(state.length));
            self.waiting.get_or_create(&partition).set(whole(state.waiting));
            let seconds = state.oldest_waiting.as_secs_f64();
            self.waiting_seconds.get_or_create(&partition).set(seconds);
            self.dead_letters.get_or_create(&partition).set(whole(state.dead_letters));
            let lost = whole(state.lost);
            let before = self.lost.get_or_create(&partition).set(lost);
            if lost > before {
                tracing::error!(
                    checkin.lost = lost - before,
                    "another program removed entries from the log before they were applied; see checkin doctor"
                );
            }
        }
    }

    /// Shows the partitions whose leases this processor holds, and no others.
    pub(super) fn hold(&self, parts: impl Iterator<Item = usize>) {
        self.held.clear();
        for part in parts {
            self.held.get_or_create(&Partition { partition: part as u64 }).set(1);
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { length, waiting, waiting_seconds, dead_letters, lost, held } = self;
        registry.register("checkin_log_entries", "Entries of the log", length.clone());
        registry.register("checkin_backlog", "Entries that wait to be applied", waiting.clone());
        registry.register(
            "checkin_backlog_seconds",
            "Age of the oldest entry that waits to be applied",
            waiting_seconds.clone(),
        );
        registry.register(
            "checkin_dead_letters_waiting",
            "Dead letters that wait to be replayed",
            dead_letters.clone(),
        );
        registry.register(
            "checkin_lost_entries",
            "Entries that another program removed from the log before they were applied",
            lost.clone(),
        );
        registry.register(
            "checkin_partition_held",
            "1 for each partition whose lease this processor holds",
            held.clone(),
        );
    }
}

/// The batches that were applied.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    durations: Histogram,
    entries: Histogram,
}

impl Default for Batches {
    fn default() -> Self {
        Self { durations: Histogram::new(SECONDS), entries: Histogram::new(ENTRIES) }
    }
}

impl Batches {
    pub(super) fn count(&self, entries: usize, took: Duration) {
        self.durations.observe(took.as_secs_f64());
        self.entries.observe(entries as f64);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { durations, entries } = self;
        let help = "Time to apply a batch, without the attempts that failed";
        registry.register("checkin_batch_duration_seconds", help, durations.clone());
        registry.register("checkin_batch_entries", "Entries of a batch", entries.clone());
    }
}

/// The changes of leases.
#[derive(Clone, Debug)]
pub(super) struct LeaseChanges {
    changes: Family<Change, Counter>,
    pub(super) acquired: Counter,
    /// Another processor has taken the partition over.
    pub(super) lost: Counter,
    /// Released, because another processor is to take the partition over, or this one stops.
    pub(super) handed_over: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Change {
    change: &'static str,
}

impl Default for LeaseChanges {
    fn default() -> Self {
        let changes = Family::<Change, Counter>::default();
        let of = |change| changes.get_or_create_owned(&Change { change });
        let (acquired, lost, handed_over) = (of("acquired"), of("lost"), of("handed_over"));
        Self { changes, acquired, lost, handed_over }
    }
}

impl LeaseChanges {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Leases of partitions that were acquired, lost and handed over";
        registry.register("checkin_lease_changes", help, self.changes.clone());
    }
}
