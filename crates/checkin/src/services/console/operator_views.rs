//! What the routes for operators answer, as far as the pages show it.

use std::fmt;

use serde::Deserialize;

use super::time::Moment;

/// Stands for a figure that there is not.
const NONE: &str = "–";

/// A number, which is written with separators between its thousands.
#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Figure(u64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let first = digits.len() % 3;
        for (at, digit) in digits.chars().enumerate() {
            let separator = if at > 0 && at % 3 == first { "," } else { "" };
            write!(f, "{separator}{digit}")?;
        }
        Ok(())
    }
}

/// A time in milliseconds, in its largest unit.
struct Lasting(u64);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] =
            [("days", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)];
        match UNITS.iter().find(|(_, ms)| self.0 >= *ms) {
            Some(("days", ms)) if self.0 / ms == 1 => f.write_str("1 day"),
            Some((unit, ms)) => write!(f, "{} {unit}", self.0 / ms),
            None => write!(f, "{} ms", self.0),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Overview {
    at: u64,
    pub(super) log: Log,
    pub(super) processors: Vec<Processor>,
    pub(super) sessions: Option<SessionCount>,
    pub(super) store: StoreState,
    pub(super) process: Process,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) accepted: Figure,
    pub(super) waiting: Figure,
    oldest_waiting_ms: u64,
    pub(super) dead_letters: Figure,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Partition {
    pub(super) partition: usize,
    pub(super) entries: Figure,
    pub(super) waiting: Figure,
    oldest_waiting_ms: u64,
    pub(super) dead_letters: Figure,
    pub(super) processor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Processor {
    pub(super) name: String,
    partitions: Vec<usize>,
    expires_in_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionCount {
    alive: Figure,
    logged_in: Figure,
    pub(super) by_age: Vec<AgeGroup>,
    complete: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgeGroup {
    below_ms: Option<u64>,
    pub(super) count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoreState {
    fault: Option<String>,
    ping_ms: f64,
    failures: Figure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    version: String,
    uptime_ms: u64,
    pub(super) requests: Figure,
    server_errors: Figure,
    pub(super) logins: Figure,
    failed_logins: Figure,
    session_cache: Option<Cache>,
}

#[derive(Deserialize)]
struct Cache {
    hits: u64,
    misses: u64,
}

/// An account, as operators see it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountOfOthers {
    pub(super) id: u64,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
    pub(super) status: String,
    pub(super) role: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadLetterList {
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DeadLetter {
    pub(super) id: String,
    pub(super) reason: String,
    #[serde(default)]
    pub(super) fields: String,
}

/// What became of dead letters that were replayed.
#[derive(Deserialize)]
pub(super) struct Replayed {
    applied: u64,
    pub(super) left: Vec<DeadLetter>,
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Diagnosis {
    pub(super) findings: Vec<Finding>,
}

#[derive(Deserialize)]
pub(super) struct Finding {
    pub(super) severity: String,
    pub(super) what: String,
    pub(super) advice: String,
}

impl Overview {
    pub(super) fn time(&self) -> Moment {
        Moment(self.at)
    }

    pub(super) fn alive(&self) -> String {
        match &self.sessions {
            Some(SessionCount { alive, complete: true, .. }) => alive.to_string(),
            Some(SessionCount { alive, .. }) => format!("{alive}+"),
            None => NONE.to_owned(),
        }
    }

    pub(super) fn logged_in(&self) -> String {
        match &self.sessions {
            Some(sessions) => format!("{} logged in", sessions.logged_in),
            None => "being counted".to_owned(),
        }
    }
}

impl Log {
    pub(super) fn oldest(&self) -> String {
        match self.waiting.0 {
            0 => "none waits".to_owned(),
            _ => format!("oldest {}", Lasting(self.oldest_waiting_ms)),
        }
    }

    pub(super) fn held(&self) -> String {
        let held = self.partitions.iter().filter(|partition| partition.processor.is_some());
        format!("{} of {} partitions held", held.count(), self.partitions.len())
    }
}

impl Partition {
    pub(super) fn oldest(&self) -> String {
        match self.waiting.0 {
            0 => NONE.to_owned(),
            _ => Lasting(self.oldest_waiting_ms).to_string(),
        }
    }
}

impl Processor {
    pub(super) fn held(&self) -> String {
        let numbers: Vec<_> = self.partitions.iter().map(usize::to_string).collect();
        if numbers.is_empty() { NONE.to_owned() } else { numbers.join(", ") }
    }

    pub(super) fn due(&self) -> String {
        Lasting(self.expires_in_ms).to_string()
    }
}

impl SessionCount {
    /// Returns the number of sessions whose age is known.
    pub(super) fn sampled(&self) -> Figure {
        Figure(self.by_age.iter().map(|age| age.count).sum())
    }

    /// Returns the maximum of the meters.
    pub(super) fn most(&self) -> u64 {
        self.sampled().0.max(1)
    }
}

impl AgeGroup {
    pub(super) fn number(&self) -> Figure {
        Figure(self.count)
    }

    pub(super) fn name(&self) -> String {
        match self.below_ms {
            Some(below) => format!("below {}", Lasting(below)),
            None => "older".to_owned(),
        }
    }
}

impl StoreState {
    pub(super) fn ping(&self) -> String {
        match &self.fault {
            Some(_) => "down".to_owned(),
            None => format!("{:.1} ms", self.ping_ms),
        }
    }

    pub(super) fn note(&self) -> String {
        self.fault.clone().unwrap_or_else(|| format!("{} failures", self.failures))
    }
}

impl Process {
    pub(super) fn failed(&self) -> String {
        format!("{} failed", self.failed_logins)
    }

    pub(super) fn errors(&self) -> String {
        format!("{} errors", self.server_errors)
    }

    pub(super) fn uptime(&self) -> String {
        Lasting(self.uptime_ms).to_string()
    }

    pub(super) fn version(&self) -> String {
        format!("version {}", self.version)
    }

    pub(super) fn hit_rate(&self) -> String {
        match self.session_cache {
            Some(Cache { hits, misses }) if hits + misses > 0 => {
                format!("{:.1} %", hits as f64 / (hits + misses) as f64 * 100.0)
            }
            _ => NONE.to_owned(),
        }
    }

    pub(super) fn hits(&self) -> String {
        match &self.session_cache {
            Some(cache) => format!("{} hits", Figure(cache.hits)),
            None => "no cache".to_owned(),
        }
    }
}

impl Replayed {
    /// Returns what happened, as sentences.
    pub(super) fn said(&self) -> String {
        let mut said = format!("{} counted now.", Figure(self.applied));
        if let Some(first) = self.left.first() {
            let left = Figure(self.left.len() as u64);
            said += &format!(" {left} still cannot be applied: {}.", first.reason);
        }
        if self.next.is_some() {
            said += " There are more: replay again.";
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(Figure(number).to_string(), text);
        }
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (59_999, "59 s"),
            (300_000, "5 min"),
            (86_400_000, "1 day"),
            (604_800_000, "7 days"),
        ] {
            assert_eq!(Lasting(ms).to_string(), text);
        }
    }
}
