//! What the overview shows.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::storage::{LiveProcessor, PartState};
use crate::usecases::session_census::{AGES, Counted};

/// The state of the deployment, and of the process that answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    /// The time of the response, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) log: LogView,
    /// The live processors, by their names.
    pub(super) processors: Vec<ProcessorView>,
    /// `null` until the sessions have been counted for the first time.
    pub(super) sessions: Option<SessionsView>,
    pub(super) store: StoreView,
    pub(super) process: ProcessView,
}

/// The log of all check-ins.
#[derive(Serialize, ToSchema)]
#[schema(as = LogState)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogView {
    /// The number of check-ins that were accepted so far.
    accepted: u64,
    /// The number of those that were applied or dead-lettered.
    counted: u64,
    /// The number of those that wait to be applied.
    waiting: u64,
    /// The age of the oldest one that waits, in milliseconds; 0 if none waits.
    oldest_waiting_ms: u64,
    dead_letters: u64,
    /// The number of entries that another program removed before they were applied.
    lost: u64,
    partitions: Vec<PartitionView>,
}

/// A partition of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = PartitionState)]
#[serde(rename_all = "camelCase")]
struct PartitionView {
    partition: usize,
    /// The number of its entries, counted ones included.
    entries: u64,
    counted: u64,
    waiting: u64,
    oldest_waiting_ms: u64,
    dead_letters: u64,
    /// The processor that holds it; `null` if none does.
    processor: Option<String>,
}

/// A live processor.
#[derive(Serialize, ToSchema)]
#[schema(as = Processor)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessorView {
    name: String,
    /// The partitions that it holds.
    partitions: Vec<usize>,
    /// The time until it counts as dead, unless a heartbeat renews it.
    expires_in_ms: u64,
}

/// The sessions that are alive.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCount)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionsView {
    alive: u64,
    /// The number of those in which somebody is logged in.
    logged_in: u64,
    /// The ages of up to 500 of those that are logged in: the time since the login, or since one that an Express
    /// service opened was found. The sum is the number of sessions whose age is known.
    by_age: Vec<AgeGroup>,
    /// How long ago they were counted, in milliseconds.
    age_ms: u64,
    /// Otherwise there are more: a count ends after ten seconds.
    complete: bool,
}

/// The sessions of an age.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgeGroup {
    /// They are younger than this, and not in the group before; `null` for those that are older than all of these.
    below_ms: Option<u64>,
    count: u64,
}

/// The store, as this process sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = StoreState)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoreView {
    pub(super) available: bool,
    /// Why it is not available.
    pub(super) fault: Option<String>,
    /// How long it took to answer just now, in milliseconds.
    pub(super) ping_ms: f64,
    /// The commands that this process sent.
    pub(super) commands: u64,
    /// The requests of this process that it did not answer.
    pub(super) failures: u64,
}

/// The process that answers, with all of its ports.
#[derive(Serialize, ToSchema)]
#[schema(as = ProcessState)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessView {
    pub(super) version: &'static str,
    pub(super) uptime_ms: u64,
    /// The requests that were answered.
    pub(super) requests: u64,
    /// Those of them that were answered with 500 or above.
    pub(super) server_errors: u64,
    pub(super) logins: u64,
    /// Wrong passwords and wrong second factors.
    pub(super) failed_logins: u64,
    pub(super) logouts: u64,
    /// The streams of check-ins that are open.
    pub(super) event_streams: u64,
    /// `null` without a cache.
    pub(super) session_cache: Option<CacheView>,
}

/// The cache of sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCache)]
pub(super) struct CacheView {
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl LogView {
    pub(super) fn new(states: &[PartState], processors: &[LiveProcessor]) -> Self {
        let sum = |figure: fn(&PartState) -> u64| states.iter().map(figure).sum::<u64>();
        let (counted, waiting) = (sum(|state| state.counted), sum(|state| state.waiting));
        let oldest = states.iter().map(|state| state.oldest_waiting).max().unwrap_or_default();
        let partition = |(partition, state): (usize, &PartState)| {
            let holder = processors.iter().find(|one| one.parts.contains(&partition));
            PartitionView {
                partition,
                entries: state.length,
                counted: state.counted,
                waiting: state.waiting,
                oldest_waiting_ms: milliseconds(state.oldest_waiting),
                dead_letters: state.dead_letters,
                processor: holder.map(|processor| processor.name.clone()),
            }
        };
        Self {
            accepted: counted + waiting,
            counted,
            waiting,
            oldest_waiting_ms: milliseconds(oldest),
            dead_letters: sum(|state| state.dead_letters),
            lost: sum(|state| state.lost),
            partitions: states.iter().enumerate().map(partition).collect(),
        }
    }
}

impl From<LiveProcessor> for ProcessorView {
    fn from(LiveProcessor { name, expires_in, parts }: LiveProcessor) -> Self {
        Self { name, partitions: parts, expires_in_ms: milliseconds(expires_in) }
    }
}

impl From<&Counted> for SessionsView {
    fn from(Counted { sessions, at, is_complete }: &Counted) -> Self {
        let below = AGES.map(|age| Some(milliseconds(age))).into_iter().chain([None]);
        let by_age = below.zip(sessions.by_age);
        Self {
            alive: sessions.alive,
            logged_in: sessions.logged_in,
            by_age: by_age.map(|(below_ms, count)| AgeGroup { below_ms, count }).collect(),
            age_ms: milliseconds(at.elapsed()),
            complete: *is_complete,
        }
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
