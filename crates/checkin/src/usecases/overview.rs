//! What operators watch: the figures of a deployment, computed from two readings of its metrics and its store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::metrics::reading::{Samples, Wanted, total};
use crate::storage::PartState;

/// What a deployment has shown at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// When it was read.
    pub(crate) at: Instant,
    /// The ports that were asked for their metrics.
    pub(crate) ports: Vec<Port>,
    /// What the store has answered.
    pub(crate) store: StoreReading,
}

/// A port, and its metrics or why there are none.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// The address that was asked.
    pub(crate) address: String,
    /// Its metrics, or the reason why there are none.
    pub(crate) answer: Result<Samples, String>,
}

/// What the store has answered.
#[derive(Clone, Debug)]
pub(crate) struct StoreReading {
    /// How long it took to answer, or why it did not.
    pub(crate) ping: Result<Duration, String>,
    /// The parts of the log, if the store has answered.
    pub(crate) parts: Option<Vec<PartState>>,
    /// The sessions, if they have been counted.
    pub(crate) sessions: Option<SessionCount>,
}

/// The number of sessions in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionCount {
    /// The sessions that were counted.
    pub(crate) number: usize,
    /// Whether there may be more of them.
    pub(crate) is_at_least: bool,
}

/// The figures of a deployment. Rates are those since the reading before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// The services that have answered.
    pub(crate) services: Vec<ServiceFigures>,
    /// The addresses that have not.
    pub(crate) unanswered: Vec<Unanswered>,
    /// Accepted check-ins per second.
    pub(crate) checkins_per_second: f64,
    /// Applied check-ins per second.
    pub(crate) applied_per_second: f64,
    /// Completed logins per second.
    pub(crate) logins_per_second: f64,
    /// Refused logins per second, with a wrong password or code or because of earlier ones.
    pub(crate) failed_logins_per_second: f64,
    /// Requests per second that were refused because there were too many.
    pub(crate) throttled_per_second: f64,
    /// The share of sessions that came from memory; `None` if none was read.
    pub(crate) cache_hit_rate: Option<f64>,
    /// The sessions, if they have been counted.
    pub(crate) sessions: Option<SessionCount>,
    /// The store.
    pub(crate) store: StoreFigures,
    /// The partitions of the log.
    pub(crate) partitions: Vec<PartitionFigures>,
    /// The processors.
    pub(crate) processors: Vec<ProcessorFigures>,
}

/// A service, and the process that it runs in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceFigures {
    /// Its name.
    pub(crate) service: String,
    /// The address that has shown its metrics.
    pub(crate) address: String,
    /// Responses per second.
    pub(crate) requests_per_second: f64,
    /// Responses with a status from 500 on per second.
    pub(crate) errors_per_second: f64,
    /// The time within which 99 of 100 requests were answered; `None` if there was none.
    pub(crate) p99_ms: Option<f64>,
    /// The requests that wait for their response.
    pub(crate) in_flight: f64,
    /// The process, with the first of its services.
    pub(crate) process: Option<ProcessFigures>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessFigures {
    /// The share of one processor that it uses.
    pub(crate) cpu: f64,
    /// Its memory in RAM.
    pub(crate) memory_bytes: f64,
    /// The start of the process, in seconds since 1970.
    pub(crate) started_seconds: f64,
}

/// An address that has shown no metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unanswered {
    /// The address.
    pub(crate) address: String,
    /// Why there are none.
    pub(crate) reason: String,
}

/// The store, as the services and the command see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoreFigures {
    /// How long the store took to answer this command; `None` if it did not.
    pub(crate) ping_ms: Option<f64>,
    /// Why it did not.
    pub(crate) error: Option<String>,
    /// Requests of the services per second.
    pub(crate) requests_per_second: f64,
    /// Failed requests of the services per second.
    pub(crate) failures_per_second: f64,
    /// The time within which 99 of 100 requests of the services were answered; `None` if there was none.
    pub(crate) p99_ms: Option<f64>,
}

/// A partition of the log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartitionFigures {
    /// Its number.
    pub(crate) partition: u64,
    /// Its entries.
    pub(crate) entries: u64,
    /// The entries that wait to be applied.
    pub(crate) waiting: u64,
    /// The age of the oldest of them.
    pub(crate) oldest_waiting_seconds: f64,
    /// The dead letters.
    pub(crate) dead_letters: u64,
    /// The entries that another program removed before they were applied.
    pub(crate) lost: u64,
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessorFigures {
    /// The address that has shown its metrics.
    pub(crate) address: String,
    /// The partitions whose leases it holds.
    pub(crate) partitions: f64,
    /// The numbers of these partitions, in order; none if its version does not show them.
    pub(crate) held: Vec<u64>,
    /// Check-ins per second that it applies.
    pub(crate) applied_per_second: f64,
}

impl Overview {
    /// Computes the figures of the later one of two readings.
    #[must_use]
    pub(crate) fn between(before: &Reading, after: &Reading) -> Self {
        let (earlier, processes) = (processes(before), processes(after));
        let seconds = after.at.duration_since(before.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let pairs: Vec<Pair<'_>> = processes
            .iter()
            .map(|(id, now)| Pair { now, before: earlier.get(id), seconds })
            .collect();
        let rate = |name: &str, wanted: Wanted<'_>| {
            total(pairs.iter().map(|pair| pair.rate(name, wanted)))
        };
        let login: (_, &[&str]) = ("route", &["/login", "/login/second-factor"]);
        let hits = rate("checkin_session_cache_hits_total", &[]);
        let read = hits + rate("checkin_session_cache_misses_total", &[]);
        Self {
            services: pairs.iter().flat_map(Pair::services).collect(),
            unanswered: unanswered(after),
            checkins_per_second: rate(
                "http_requests_total",
                &[("route", &["/api/checkin"]), ("status", &["202"])],
            ),
            applied_per_second: rate("checkin_applied_total", &[]),
            logins_per_second: rate("http_requests_total", &[login, ("status", &["200"])]),
            failed_logins_per_second: rate(
                "http_requests_total",
                &[login, ("status", &["401", "429"])],
            ),
            throttled_per_second: rate("checkin_throttled_total", &[]),
            cache_hit_rate: (read > 0.0).then(|| hits / read),
            sessions: after.store.sessions,
            store: StoreFigures {
                ping_ms: after.store.ping.as_ref().ok().map(|ping| ping.as_secs_f64() * 1000.0),
                error: after.store.ping.clone().err(),
                requests_per_second: rate("checkin_store_request_duration_seconds_count", &[]),
                failures_per_second: rate("checkin_store_failures_total", &[]),
                p99_ms: slowest(&pairs, "checkin_store_request_duration_seconds"),
            },
            partitions: match &after.store.parts {
                Some(parts) => (0..).zip(parts).map(PartitionFigures::of_store).collect(),
                None => of_processors(&pairs),
            },
            processors: pairs.iter().filter_map(Pair::processor).collect(),
        }
    }

    /// Returns the number of check-ins that wait to be applied.
    #[must_use]
    pub(crate) fn waiting(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.waiting).sum()
    }

    /// Returns the age of the oldest check-in that waits to be applied.
    #[must_use]
    pub(crate) fn oldest_waiting_seconds(&self) -> f64 {
        self.partitions.iter().map(|partition| partition.oldest_waiting_seconds).fold(0.0, f64::max)
    }

    /// Returns the number of dead letters.
    #[must_use]
    pub(crate) fn dead_letters(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.dead_letters).sum()
    }
}

/// A process: what it has shown, and where.
struct Process {
    samples: Samples,
    /// Each service, with the address that has shown its metrics.
    services: Vec<(String, String)>,
    /// The first of its addresses.
    address: String,
}

/// Groups the ports that have answered by their process. Each port of `checkin up` shows the metrics of the whole
/// process, which must not be counted four times.
fn processes(reading: &Reading) -> BTreeMap<String, Process> {
    let mut processes = BTreeMap::<String, Process>::new();
    for Port { address, answer } in &reading.ports {
        let Ok(samples) = answer else { continue };
        let start = samples.named("process_start_time_seconds").next();
        let id = match start {
            Some(start) if start.label("service") == "up" => format!("up since {}", start.value),
            _ => address.clone(),
        };
        let services = samples.named("http_requests_in_flight");
        let services = services.map(|sample| (sample.label("service").to_owned(), address.clone()));
        let services: Vec<_> = services.collect();
        match processes.get_mut(&id) {
            Some(process) => {
                process.samples.merge(samples.clone());
                process.services.extend(services);
            }
            None => {
                let process =
                    Process { samples: samples.clone(), services, address: address.clone() };
                processes.insert(id, process);
            }
        }
    }
    processes
}

fn unanswered(reading: &Reading) -> Vec<Unanswered> {
    let failed = |port: &Port| {
        let reason = port.answer.as_ref().err()?.clone();
        Some(Unanswered { address: port.address.clone(), reason })
    };
    reading.ports.iter().filter_map(failed).collect()
}

/// A process in two readings.
struct Pair<'a> {
    now: &'a Process,
    before: Option<&'a Process>,
    seconds: f64,
}

impl Pair<'_> {
    /// Returns how much counters have grown per second; 0 for a process that was not there before.
    fn rate(&self, name: &str, wanted: Wanted<'_>) -> f64 {
        let growth = |before: &Process| self.now.samples.growth(&before.samples, name, wanted);
        self.before.map_or(0.0, growth) / self.seconds
    }

    fn p99_ms(&self, name: &str, wanted: Wanted<'_>) -> Option<f64> {
        let seconds = self.now.samples.quantile(&self.before?.samples, 0.99, name, wanted);
        seconds.map(|seconds| seconds * 1000.0)
    }

    fn services(&self) -> Vec<ServiceFigures> {
        let services = self.now.services.iter().enumerate();
        services
            .map(|(index, (service, address))| {
                let of: (_, &[&str]) = ("service", &[service]);
                ServiceFigures {
                    requests_per_second: self.rate("http_requests_total", &[of]),
                    errors_per_second: self.rate(
                        "http_requests_total",
                        &[of, ("status", &["500", "501", "502", "503", "504"])],
                    ),
                    p99_ms: self.p99_ms("http_request_duration_seconds", &[of]),
                    in_flight: self.now.samples.sum("http_requests_in_flight", &[of]),
                    process: (index == 0).then(|| self.process()).flatten(),
                    service: service.clone(),
                    address: address.clone(),
                }
            })
            .collect()
    }

    fn process(&self) -> Option<ProcessFigures> {
        let samples = &self.now.samples;
        // Only Linux has these metrics.
        samples.named("process_start_time_seconds").next()?;
        Some(ProcessFigures {
            cpu: self.rate("process_cpu_seconds_total", &[]),
            memory_bytes: samples.sum("process_resident_memory_bytes", &[]),
            started_seconds: samples.sum("process_start_time_seconds", &[]),
        })
    }

    fn processor(&self) -> Option<ProcessorFigures> {
        self.now.samples.named("checkin_partitions").next()?;
        let held = self.now.samples.named("checkin_partition_held");
        let held = held.filter_map(|sample| sample.label("partition").parse().ok());
        let mut held: Vec<u64> = held.collect();
        held.sort_unstable();
        held.dedup();
        Some(ProcessorFigures {
            held,
            address: self.now.address.clone(),
            partitions: self.now.samples.sum("checkin_partitions", &[]),
            applied_per_second: self.rate("checkin_applied_total", &[]),
        })
    }
}

/// Returns the highest latency of the processes.
fn slowest(pairs: &[Pair<'_>], histogram: &str) -> Option<f64> {
    pairs.iter().filter_map(|pair| pair.p99_ms(histogram, &[])).max_by(f64::total_cmp)
}

/// Returns the partitions as the processors see them. Each one reports all of them.
fn of_processors(pairs: &[Pair<'_>]) -> Vec<PartitionFigures> {
    let mut partitions = BTreeMap::<u64, PartitionFigures>::new();
    for pair in pairs {
        let samples = &pair.now.samples;
        for sample in samples.named("checkin_backlog") {
            let label = sample.label("partition");
            let Ok(partition) = label.parse() else { continue };
            let of = |name: &str| samples.sum(name, &[("partition", &[label])]);
            let known = partitions.entry(partition).or_insert(PartitionFigures {
                partition,
                entries: 0,
                waiting: 0,
                oldest_waiting_seconds: 0.0,
                dead_letters: 0,
                lost: 0,
            });
            // They are whole numbers that are not negative.
            known.entries = known.entries.max(of("checkin_log_entries") as u64);
            known.waiting = known.waiting.max(sample.value as u64);
            let age = of("checkin_backlog_seconds");
            known.oldest_waiting_seconds = known.oldest_waiting_seconds.max(age);
            known.dead_letters = known.dead_letters.max(of("checkin_dead_letters_waiting") as u64);
            known.lost = known.lost.max(of("checkin_lost_entries") as u64);
        }
    }
    partitions.into_values().collect()
}

impl PartitionFigures {
    fn of_store((partition, state): (u64, &PartState)) -> Self {
        Self {
            partition,
            entries: state.length,
            waiting: state.waiting,
            oldest_waiting_seconds: state.oldest_waiting.as_secs_f64(),
            dead_letters: state.dead_letters,
            lost: state.lost,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A reading some seconds after the start, of ports with these metrics. A text that is no metrics is the reason
    /// why a port has not answered.
    pub(crate) fn reading(start: Instant, seconds: u64, ports: &[(&str, &str)]) -> Reading {
        let port = |(address, text): &(&str, &str)| Port {
            address: (*address).to_owned(),
            answer: Samples::parse(text).map_err(|_| (*text).to_owned()),
        };
        Reading {
            at: start + Duration::from_secs(seconds),
            ports: ports.iter().map(port).collect(),
            store: StoreReading { ping: Err("not asked".to_owned()), parts: None, sessions: None },
        }
    }

    const AUTH: &str = "http_requests_in_flight{service=\"auth\"} 1\n\
        http_requests_total{service=\"auth\",route=\"/login\",status=\"200\"} 10\n\
        http_requests_total{service=\"auth\",route=\"/login\",status=\"401\"} 2\n\
        checkin_throttled_total{service=\"up\",reason=\"requests\"} 4\n\
        process_start_time_seconds{service=\"up\"} 100.5";
    const LATER_AUTH: &str = "http_requests_in_flight{service=\"auth\"} 3\n\
        http_requests_total{service=\"auth\",route=\"/login\",status=\"200\"} 14\n\
        http_requests_total{service=\"auth\",route=\"/login\",status=\"401\"} 3\n\
        http_requests_total{service=\"auth\",route=\"/login/second-factor\",status=\"200\"} 2\n\
        http_requests_total{service=\"auth\",route=\"/session\",status=\"503\"} 2\n\
        checkin_throttled_total{service=\"up\",reason=\"requests\"} 8\n\
        process_start_time_seconds{service=\"up\"} 100.5";
    const RECEIVER: &str = "http_requests_in_flight{service=\"receiver\"} 0\n\
        http_requests_total{service=\"receiver\",route=\"/api/checkin\",status=\"202\"} 100\n\
        checkin_throttled_total{service=\"up\",reason=\"requests\"} 4\n\
        process_start_time_seconds{service=\"up\"} 100.5";
    const LATER_RECEIVER: &str = "http_requests_in_flight{service=\"receiver\"} 0\n\
        http_requests_total{service=\"receiver\",route=\"/api/checkin\",status=\"202\"} 200\n\
        http_requests_total{service=\"receiver\",route=\"/api/checkin\",status=\"422\"} 50\n\
        checkin_throttled_total{service=\"up\",reason=\"requests\"} 8\n\
        process_start_time_seconds{service=\"up\"} 100.5";

    #[test]
    fn the_ports_of_one_process_are_counted_once() {
        let start = Instant::now();
        let before = reading(start, 0, &[("a", AUTH), ("r", RECEIVER)]);
        let after = reading(start, 2, &[("a", LATER_AUTH), ("r", LATER_RECEIVER)]);
        let overview = Overview::between(&before, &after);
        assert_eq!(overview.checkins_per_second, 50.0);
        assert_eq!(overview.logins_per_second, 3.0);
        assert_eq!(overview.failed_logins_per_second, 0.5);
        assert_eq!(overview.throttled_per_second, 2.0);
        let services: Vec<_> = overview
            .services
            .iter()
            .map(|row| {
                (&*row.service, &*row.address, row.requests_per_second, row.process.is_some())
            })
            .collect();
        assert_eq!(services, [("auth", "a", 4.5, true), ("receiver", "r", 75.0, false)]);
        assert_eq!(overview.services[0].errors_per_second, 1.0);
    }

    #[test]
    fn two_processes_of_one_service_are_counted_both() {
        let of = |applied: u64| {
            format!(
                "checkin_applied_total{{service=\"processor\"}} {applied}\n\
                 checkin_partitions{{service=\"processor\"}} 2\n\
                 checkin_partition_held{{service=\"processor\",partition=\"10\"}} 1\n\
                 checkin_partition_held{{service=\"processor\",partition=\"2\"}} 1\n\
                 checkin_backlog{{service=\"processor\",partition=\"0\"}} {applied}\n\
                 checkin_backlog_seconds{{service=\"processor\",partition=\"0\"}} 1.5\n\
                 checkin_session_cache_hits_total{{service=\"processor\"}} {}\n\
                 checkin_session_cache_misses_total{{service=\"processor\"}} 7\n\
                 process_start_time_seconds{{service=\"processor\"}} 100.5",
                3 * applied,
            )
        };
        let start = Instant::now();
        let before = reading(start, 0, &[("p", &of(10)), ("q", &of(20))]);
        let after = reading(start, 10, &[("p", &of(30)), ("q", &of(40))]);
        let overview = Overview::between(&before, &after);
        assert_eq!(overview.applied_per_second, 4.0);
        assert_eq!(overview.processors.len(), 2);
        assert_eq!(overview.processors[1].applied_per_second, 2.0);
        assert_eq!(overview.processors[1].held, [2, 10]);
        // Both report the same partition.
        assert_eq!((overview.partitions.len(), overview.waiting()), (1, 40));
        assert_eq!(overview.oldest_waiting_seconds(), 1.5);
        assert_eq!(overview.cache_hit_rate, Some(1.0));
    }

    #[test]
    fn what_is_missing_is_said_and_has_no_rate() {
        let start = Instant::now();
        let before = reading(start, 0, &[("a", "connection refused"), ("r", RECEIVER)]);
        let after = reading(start, 1, &[("a", LATER_AUTH), ("r", "connection refused")]);
        let overview = Overview::between(&before, &after);
        assert_eq!(overview.unanswered[0].address, "r");
        assert_eq!(overview.unanswered[0].reason, "connection refused");
        // The port of the same process has shown other counters before.
        assert_eq!((overview.logins_per_second, overview.cache_hit_rate), (0.0, None));
        assert_eq!(overview.store.error.as_deref(), Some("not asked"));
        let nothing = Overview::between(&before, &reading(start, 1, &[]));
        assert_eq!((nothing.checkins_per_second, nothing.services.len()), (0.0, 0));
    }

    #[test]
    fn the_store_knows_its_partitions_better_than_the_processors() {
        let start = Instant::now();
        let before = reading(start, 0, &[]);
        let mut after = reading(start, 1, &[("p", "checkin_backlog{partition=\"0\"} 9")]);
        assert_eq!(Overview::between(&before, &after).waiting(), 9);
        let state = PartState { waiting: 3, dead_letters: 1, ..PartState::default() };
        after.store.parts = Some(vec![PartState::default(), state]);
        after.store.ping = Ok(Duration::from_micros(500));
        let overview = Overview::between(&before, &after);
        assert_eq!((overview.waiting(), overview.dead_letters()), (3, 1));
        assert_eq!((overview.store.ping_ms, overview.store.error), (Some(0.5), None));
        let json = serde_json::to_value(overview.partitions[1]).unwrap();
        assert_eq!((&json["partition"], &json["oldestWaitingSeconds"]), (&1.into(), &0.0.into()));
    }
}
