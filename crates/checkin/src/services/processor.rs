//! The check-in processor: counts what the log has, partition by partition.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::storage::{Batch, CheckinConsumer, Completed, StorageError};
use crate::telemetry::chain;

/// How often a partition without entries is looked at: so long a check-in takes to be seen.
const IDLE: Duration = Duration::from_millis(50);

/// How long to wait before a store that failed is asked again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names this processor among others.
    pub name: String,
    /// Entries that are applied in one go.
    pub batch: usize,
    /// A partition of a processor that died is taken over after so long.
    pub lease: Duration,
}

/// What a processor has done, for `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    applied: Counter,
    dead: Counter,
    backlog: Gauge,
    partitions: Gauge,
}

impl Progress {
    /// Puts the numbers into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let Self { applied, dead, backlog, partitions } = self;
        registry.register("checkin_applied", "Check-ins that were counted", applied.clone());
        registry.register("checkin_dead_letters", "Entries set aside", dead.clone());
        registry.register("checkin_backlog", "Entries that wait to be counted", backlog.clone());
        registry.register("checkin_partitions", "Partitions counted here", partitions.clone());
    }
}

/// Counts until `stop` says true; then finishes the batches in hand and gives up the leases.
///
/// # Cancel safety
///
/// A call that is dropped leaves a batch half applied, which the next owner applies in full, and
/// leases that have to run out.
pub async fn run(
    consumer: Arc<dyn CheckinConsumer>,
    settings: Settings,
    progress: Progress,
    stop: watch::Receiver<bool>,
) {
    let processor =
        Arc::new(Processor { consumer, settings, progress, share: Mutex::default(), stop });
    let mut tasks = JoinSet::new();
    for partition in 0..processor.consumer.partitions() {
        let processor = Arc::clone(&processor);
        tasks.spawn(async move { processor.work(partition).await });
    }
    processor.keep_joined().await;
    while tasks.join_next().await.is_some() {}
    let left = processor.consumer.leave(&processor.settings.name).await;
    processor.log_failure(left.err());
}

struct Processor {
    consumer: Arc<dyn CheckinConsumer>,
    settings: Settings,
    progress: Progress,
    /// Short and never across an await: two numbers.
    share: Mutex<Share>,
    stop: watch::Receiver<bool>,
}

/// How many partitions this processor may have, and has.
#[derive(Debug, Default)]
struct Share {
    most: usize,
    held: usize,
}

impl Processor {
    /// Says that this processor lives, and finds out its share, until it is told to stop.
    async fn keep_joined(&self) {
        while !self.stopping() {
            let joined = self.consumer.join(&self.settings.name, self.settings.lease).await;
            match joined {
                Ok(turn) => self.share().most = turn.share(self.consumer.partitions()),
                Err(error) => self.log_failure(Some(error)),
            }
            if let Ok(backlog) = self.consumer.backlog().await {
                self.progress.backlog.set(i64::try_from(backlog).unwrap_or(i64::MAX));
            }
            self.pause(self.settings.lease / 4).await;
        }
    }

    /// Counts one partition whenever it is this processor's.
    async fn work(&self, partition: usize) {
        let mut held = false;
        while !self.stopping() {
            if held && self.give_up_one() {
                held = false;
                self.release(partition).await;
                // Whoever has too few is to have it.
                self.pause(self.settings.lease).await;
                continue;
            }
            if !held && !self.take_one() {
                self.pause(self.settings.lease / 4).await;
                continue;
            }
            held = true;
            match self.step(partition).await {
                Step::Busy => {}
                Step::Idle => self.pause(IDLE).await,
                Step::Elsewhere => {
                    held = false;
                    self.put_back();
                    self.pause(self.settings.lease / 4).await;
                }
            }
        }
        if held {
            self.put_back();
            self.release(partition).await;
        }
    }

    async fn step(&self, partition: usize) -> Step {
        let Settings { name, batch, lease } = &self.settings;
        match self.consumer.claim(partition, name, *lease, *batch).await {
            Ok(None) => Step::Elsewhere,
            Ok(Some(batch)) if batch.entries.is_empty() => Step::Idle,
            Ok(Some(batch)) => match self.complete(&batch).await {
                Completed { overtaken: true, .. } => Step::Elsewhere,
                _ => Step::Busy,
            },
            Err(error) => {
                self.log_failure(Some(error));
                self.pause(RETRY.1).await;
                Step::Idle
            }
        }
    }

    /// Tries until it is done: a batch in hand is finished also when it is time to stop, unless the
    /// store is away then.
    async fn complete(&self, batch: &Batch) -> Completed {
        let mut pause = RETRY.0;
        loop {
            match self.consumer.complete(batch).await {
                Ok(completed) => {
                    self.progress.applied.inc_by(completed.applied);
                    self.progress.dead.inc_by(completed.dead);
                    if completed.dead > 0 {
                        tracing::warn!(
                            checkin.dead_letters = completed.dead,
                            "entries of the log cannot be counted; see checkin dead-letters list"
                        );
                    }
                    return completed;
                }
                Err(error) => {
                    self.log_failure(Some(error));
                    if self.stopping() {
                        return Completed { overtaken: true, ..Completed::default() };
                    }
                    self.pause(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    async fn release(&self, partition: usize) {
        let released = self.consumer.release(partition, &self.settings.name).await;
        self.log_failure(released.err());
    }

    fn take_one(&self) -> bool {
        let mut share = self.share();
        let may = share.held < share.most;
        share.held += usize::from(may);
        self.progress.partitions.set(share.held as i64);
        may
    }

    fn put_back(&self) {
        let mut share = self.share();
        share.held -= 1;
        self.progress.partitions.set(share.held as i64);
    }

    /// Whether this processor has more than its share; then it has one less.
    fn give_up_one(&self) -> bool {
        let mut share = self.share();
        let must = share.held > share.most;
        share.held -= usize::from(must);
        must
    }

    fn share(&self) -> std::sync::MutexGuard<'_, Share> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, but not longer than until it is time to stop.
    async fn pause(&self, time: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep(time) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    fn log_failure(&self, error: Option<StorageError>) {
        if let Some(error) = error.filter(|error| !error.is_logged()) {
            tracing::error!(cause = %chain(&error), "the store failed");
        }
    }
}

enum Step {
    /// There may be more.
    Busy,
    /// Nothing waits.
    Idle,
    /// The partition is another's.
    Elsewhere,
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor").field("settings", &self.settings).finish_non_exhaustive()
    }
}
