//! The check-in processor: applies the log, partition by partition.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::processor_metrics::{Batches, LeaseChanges, LogGauges};
use super::retention;
use crate::storage::{Batch, Lease, Storage, StorageError};
use crate::telemetry::{chain, in_service};
use crate::traces::Traces;
use crate::usecases::batch_size::BatchSize;

/// The pause before an empty partition is read again. It is the delay until a check-in appears.
const IDLE: Duration = Duration::from_millis(50);

/// The maximum time between two heartbeats. With a long lease, a new processor would otherwise wait for minutes until
/// the others release its share.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(2);

/// The longest pause until a failed call of the store is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pauses until a failed call of the store is repeated.
const RETRY: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(LONGEST_PAUSE)
    .without_max_times();

/// The number of entries in the first batch.
const FIRST_BATCH: usize = 1000;

/// The number of retractions that are applied after a batch at first, and at most, so that the lease is renewed in time.
/// Each takes some commands, and all of them stay if one fails.
const RETRACTIONS: (usize, usize) = (10, 100);

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct ProcessorSettings {
    /// The name of this processor.
    pub name: String,
    /// The maximum number of entries in a batch.
    pub batch: usize,
    /// The lease of partitions. The partitions of a processor that died are taken over after this
    /// time.
    pub lease: Duration,
    /// How long check-ins stay in the histories at least. `None` keeps them for ever.
    pub keep_history: Option<Duration>,
    /// The traces, if they are exported.
    pub traces: Option<Traces>,
}

/// The metrics of a processor.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    applied: Counter,
    dead: Counter,
    folded: Counter,
    partitions: Gauge,
    log: LogGauges,
    batches: Batches,
    leases: LeaseChanges,
}

impl Progress {
    fn hold(&self, leases: Vec<Lease>) {
        self.partitions.set(leases.len() as i64);
        self.log.hold(leases.into_iter().map(|lease| lease.part));
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let Self { applied, dead, folded, partitions, log, batches, leases } = self;
        registry.register("checkin_applied", "Check-ins that were counted", applied.clone());
        registry.register("checkin_dead_letters", "Entries set aside", dead.clone());
        let help = "Check-ins that left the histories";
        registry.register("checkin_folded", help, folded.clone());
        registry.register("checkin_partitions", "Partitions counted here", partitions.clone());
        log.register(registry);
        batches.register(registry);
        leases.register(registry);
    }
}

/// Applies the log until `stop` is cancelled; then finishes the batches in progress and releases the
/// leases.
///
/// # Cancel safety
///
/// A call that is dropped leaves a batch half applied, which the next processor applies in full, and
/// leases that have to run out.
pub async fn run(
    storage: Arc<dyn Storage>,
    settings: ProcessorSettings,
    progress: Progress,
    stop: CancellationToken,
) {
    in_service("processor", Processor { storage, settings, progress, stop }.run()).await;
}

struct Processor {
    storage: Arc<dyn Storage>,
    settings: ProcessorSettings,
    progress: Progress,
    stop: CancellationToken,
}

/// The tasks that apply the log, one for each lease that this processor holds.
#[derive(Default)]
struct Workers {
    /// For each running task its lease, and the token that makes it release the lease.
    held: Vec<(task::Id, Lease, CancellationToken)>,
    tasks: JoinSet<()>,
}

impl Workers {
    fn leases(&self) -> Vec<Lease> {
        self.held.iter().map(|(_, lease, _)| lease.clone()).collect()
    }

    /// Makes all workers but this number release their leases. Each does so when its batch is
    /// applied or cannot be applied at the moment, and nobody waits for it.
    fn release_all_but(&self, count: usize) {
        for (_, _, release) in self.held.iter().skip(count) {
            release.cancel();
        }
    }

    /// Waits until a worker has ended, and removes it. Returns false if there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no worker.
    async fn ended(&mut self) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else { return false };
        // The lease of a worker that panicked expires, and is acquired again before or after.
        let ended = ended.map_or_else(|panicked| panicked.id(), |(id, ())| id);
        self.held.retain(|(id, ..)| *id != ended);
        true
    }
}

impl Processor {
    async fn run(self) {
        let processor = Arc::new(self);
        let mut workers = Workers::default();
        while !processor.stop.is_cancelled() {
            processor.balance(&mut workers).await;
            processor.progress.hold(workers.leases());
            processor.measure_log().await;
            processor.next_heartbeat(&mut workers).await;
        }
        // Their tokens are children of `stop`.
        while workers.ended().await {}
        processor.progress.hold(Vec::new());
        let left = processor.storage.leave(&processor.settings.name).await;
        processor.log_failure(left.err());
    }

    /// Renews the membership, and acquires or releases leases until this processor holds its share.
    async fn balance(self: &Arc<Self>, workers: &mut Workers) {
        let ProcessorSettings { name, lease: lifetime, .. } = &self.settings;
        let share = match self.storage.join(name, *lifetime).await {
            Ok(share) => share,
            Err(error) => return self.log_failure(Some(error)),
        };
        workers.release_all_but(share);
        while workers.held.len() < share {
            match self.storage.acquire(name, &workers.leases(), *lifetime).await {
                Ok(Some(lease)) => {
                    self.progress.leases.acquired.inc();
                    self.start_worker(workers, lease);
                }
                // Another processor has not released it yet.
                Ok(None) => break,
                Err(error) => return self.log_failure(Some(error)),
            }
        }
    }

    /// Measures the log at each heartbeat, so that nobody waits for the store who reads the metrics.
    async fn measure_log(&self) {
        if let Ok(states) = self.storage.part_states().await {
            self.progress.log.set(&states);
        }
    }

    /// Waits until the membership has to be renewed, a worker has lost its lease, or it is time to
    /// stop.
    async fn next_heartbeat(&self, workers: &mut Workers) {
        tokio::select! {
            // First, so that a worker that has ended is not counted at the heartbeat.
            biased;
            true = workers.ended() => {}
            () = pause((self.settings.lease / 4).min(LONGEST_HEARTBEAT), &self.stop) => {}
        }
    }

    fn start_worker(self: &Arc<Self>, workers: &mut Workers, lease: Lease) {
        let release = self.stop.child_token();
        let (processor, held, released) = (Arc::clone(self), lease.clone(), release.clone());
        let work = async move {
            let keep = processor.settings.keep_history.filter(|_| held.part == 0);
            tokio::select! {
                // In an order that a test can repeat.
                biased;
                () = processor.work(&held, &released) => {}
                () = retention::run(&*processor.storage, keep, &processor.progress.folded) => {}
            }
        };
        let work = in_service("processor", work);
        workers.held.push((workers.tasks.spawn(work).id(), lease, release));
    }

    /// Applies the entries of a partition until its lease is lost or released.
    async fn work(&self, lease: &Lease, released: &CancellationToken) {
        let size = BatchSize::between(FIRST_BATCH, self.settings.batch);
        let retractions = BatchSize::between(RETRACTIONS.0, RETRACTIONS.1);
        let mut reading = Reading { size, ahead: None, retractions };
        let mut pauses = RETRY.build();
        while !released.is_cancelled() {
            let step = match self.step(lease, &mut reading).await {
                Ok(step) => step,
                Err(error) => {
                    self.log_failure(Some(error));
                    pause(pauses.next().unwrap_or(LONGEST_PAUSE), released).await;
                    continue;
                }
            };
            pauses = RETRY.build();
            match step {
                Step::Busy => {}
                Step::Idle => pause(IDLE, released).await,
                Step::Lost => {
                    self.progress.leases.lost.inc();
                    return;
                }
            }
        }
        self.progress.leases.handed_over.inc();
        self.log_failure(self.storage.release(lease).await.err());
    }

    /// Applies the next batch, and reads the one after it meanwhile. A batch that could not be read or applied is
    /// followed by its first half, so that one which takes longer than a request to the store may is not tried for ever;
    /// so are retractions.
    async fn step(&self, lease: &Lease, reading: &mut Reading) -> Result<Step, StorageError> {
        let mut batch = match self.next_batch(lease, reading).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(Step::Lost),
            Err(error) => {
                reading.size = reading.size.after_failure(reading.size.entries());
                return Err(error);
            }
        };
        if batch.entries.is_empty() {
            let is_idle = self.apply_retractions(lease, reading).await? == 0;
            return Ok(if is_idle { Step::Idle } else { Step::Busy });
        }
        let (count, started) = (batch.entries.len(), Instant::now());
        let apply = async { (self.apply(&batch).await, started.elapsed()) };
        let read = self.read_after(lease, &batch, reading.size);
        let ((applied, took), ahead) = tokio::join!(apply, read);
        if let Err(error) = applied {
            reading.size = reading.size.after_failure(count);
            batch.entries.truncate(reading.size.entries());
            reading.ahead = Some(batch);
            return Err(error);
        }
        self.progress.batches.count(count, took);
        (reading.size, reading.ahead) = (reading.size.after(count, took), ahead);
        self.apply_retractions(lease, reading).await?;
        Ok(Step::Busy)
    }

    /// Applies some of the stored retractions. Returns their number.
    async fn apply_retractions(
        &self,
        lease: &Lease,
        reading: &mut Reading,
    ) -> Result<usize, StorageError> {
        let (size, started) = (reading.retractions, Instant::now());
        let applied = self.storage.apply_retractions(lease.part, size.entries()).await;
        reading.retractions = match applied {
            Ok(count) => size.after(count, started.elapsed()),
            Err(_) => size.after_failure(size.entries()),
        };
        applied
    }

    /// Returns the next batch: the one that was read ahead, if the checkpoint is at its beginning.
    /// Returns `None` if another processor holds the lease.
    async fn next_batch(
        &self,
        lease: &Lease,
        reading: &mut Reading,
    ) -> Result<Option<Batch>, StorageError> {
        let Some(checkpoint) = self.storage.renew(lease, self.settings.lease).await? else {
            return Ok(None);
        };
        match reading.ahead.take().filter(|batch| batch.after == checkpoint) {
            Some(batch) => Ok(Some(batch)),
            None => self.storage.read(lease, checkpoint, reading.size.entries()).await.map(Some),
        }
    }

    /// Reads the batch after this one if there is one already.
    async fn read_after(&self, lease: &Lease, batch: &Batch, size: BatchSize) -> Option<Batch> {
        let last = batch.entries.last()?.id();
        if batch.entries.len() < size.entries() {
            return None;
        }
        // After an error the batch is read again when it is needed.
        let read = self.storage.read(lease, last, size.entries()).await.ok();
        read.filter(|batch| !batch.entries.is_empty())
    }

    /// Applies a batch, in a span of its own if traces are exported.
    async fn apply(&self, batch: &Batch) -> Result<(), StorageError> {
        let apply = self.storage.apply(batch);
        let applied = match &self.settings.traces {
            Some(traces) => traces.batch(batch.part, batch.entries.len(), apply).await?,
            None => apply.await?,
        };
        self.progress.applied.inc_by(applied.new);
        self.progress.dead.inc_by(applied.dead);
        if applied.dead > 0 {
            tracing::warn!(
                checkin.dead_letters = applied.dead,
                "entries of the log cannot be applied; see checkin dead-letters list"
            );
        }
        Ok(())
    }

    fn log_failure(&self, error: Option<StorageError>) {
        if let Some(error) = error.filter(|error| !error.is_logged()) {
            tracing::error!(cause = %chain(&error), "the store failed");
        }
    }
}

/// Waits for a time, or until the token is cancelled.
async fn pause(time: Duration, until: &CancellationToken) {
    // An error means that the time is up.
    drop(tokio::time::timeout(time, until.cancelled()).await);
}

/// What a worker reads.
struct Reading {
    size: BatchSize,
    /// The batch that was read while the one before it was applied, or the rest of one that was not applied.
    ahead: Option<Batch>,
    /// How many retractions are applied at once.
    retractions: BatchSize,
}

enum Step {
    /// There may be more entries.
    Busy,
    /// All entries are applied.
    Idle,
    /// Another processor holds the lease.
    Lost,
}
