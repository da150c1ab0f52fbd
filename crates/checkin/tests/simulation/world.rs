//! What the processes of a run share: Redis, its clock, chance, and those who watch.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis_link::redis::Value;
use testkit::Rng;
use tokio::time::Instant;

use crate::plan::{Plan, Rates};
use crate::redis::{Answer, Redis, Refusal};
use crate::watch::Watch;

/// When each run begins by the clock of Redis: a Monday at noon, in milliseconds since 1970.
const BEGIN_MS: i64 = 1_788_177_600_000;

/// Maximum length of a word in a trace.
const WORD: usize = 60;

// Locked for a step, never across an await.
pub(crate) struct World(Mutex<State>);

pub(crate) struct State {
    pub redis: Redis,
    pub random: Rng,
    pub rates: Rates,
    pub watch: Watch,
    pub trace: Trace,
    /// How far the clock of Redis was set forward, in milliseconds.
    pub set_forward_ms: i64,
    /// Redis accepts no connection until then.
    pub down_until: Instant,
    /// Redis accepts no write that needs memory until then.
    pub full_until: Instant,
    /// A command that the receivers may not use in scripts until then.
    pub denied: (Option<&'static str>, Instant),
    /// The number of requests that arrive although their clients have given up.
    pub(crate) late: usize,
    begin: Instant,
}

impl World {
    pub(crate) fn new(plan: &Plan, random: Rng, has_lines: bool) -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            redis: Redis::new(),
            random,
            rates: plan.rates,
            watch: Watch::new(plan),
            trace: Trace {
                hasher: DefaultHasher::new(),
                commands: 0,
                at: Duration::ZERO,
                lines: has_lines.then(Vec::new),
                recorded: Vec::new(),
            },
            set_forward_ms: 0,
            down_until: now,
            full_until: now,
            denied: (None, now),
            late: 0,
            begin: now,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Returns the time of a clock that is this much ahead of the clock of Redis at the beginning.
    pub(crate) fn clock(&self, ahead_ms: i64) -> SystemTime {
        let now_ms = BEGIN_MS + self.lock().elapsed().as_millis() as i64 + ahead_ms;
        UNIX_EPOCH + Duration::from_millis(now_ms.unsigned_abs())
    }

    /// Lets Redis carry out a command of a process.
    pub(crate) fn execute(&self, process: &str, words: &[Vec<u8>]) -> Answer {
        self.lock().execute(process, words)
    }

    /// Writes a line about something else than a command into the trace.
    pub(crate) fn note(&self, line: &str) {
        let mut state = self.lock();
        let at = state.elapsed();
        state.trace.note(at, line);
    }
}

impl State {
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Requests meet no faults any more.
    pub(crate) fn end_faults(&mut self) {
        let now = Instant::now();
        (self.rates, self.down_until, self.full_until) = (Rates::default(), now, now);
        self.denied.0 = None;
    }

    fn execute(&mut self, process: &str, words: &[Vec<u8>]) -> Answer {
        let refusal = Refusal {
            is_memory_full: Instant::now() < self.full_until,
            denied: self
                .denied
                .0
                .filter(|_| process.starts_with("receiver") && Instant::now() < self.denied.1),
        };
        self.redis.keyspace().refusal = refusal;
        let now_ms = BEGIN_MS + self.elapsed().as_millis() as i64 + self.set_forward_ms;
        let now_us = now_ms.unsigned_abs() * 1000;
        let answer = self.redis.execute(now_us, words);
        // The trace ends with the command that broke an invariant.
        if self.watch.violation.is_some() {
            return answer;
        }
        if self.trace.lines.is_some() {
            self.trace.recorded.push((now_us, refusal, words.to_vec()));
        }
        self.trace.command(self.begin.elapsed(), process, words, &answer);
        let mut keyspace = self.redis.keyspace();
        self.watch.look(&mut keyspace, process, words, &answer);
        answer
    }
}

/// The commands of a run in their order: a hash of all, and lines for people if they are wanted.
pub(crate) struct Trace {
    hasher: DefaultHasher,
    pub commands: u64,
    /// The time of the last command since the beginning.
    pub at: Duration,
    pub lines: Option<Vec<String>>,
    /// The commands with their times (µs), and what Redis refused.
    pub recorded: Vec<(u64, Refusal, Vec<Vec<u8>>)>,
}

impl Trace {
    fn command(&mut self, at: Duration, process: &str, words: &[Vec<u8>], answer: &Answer) {
        (at, process, words).hash(&mut self.hasher);
        (self.at, self.commands) = (at, self.commands + 1);
        if self.lines.is_some() {
            let line = format!("{process}: {} -> {}", shown(words), reply(answer));
            self.note(at, &line);
        }
    }

    fn note(&mut self, at: Duration, line: &str) {
        (at, line).hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>6} ms {line}", at.as_millis()));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

fn shown(words: &[Vec<u8>]) -> String {
    // The hash or code of a script says nothing.
    let is_script = words[0].starts_with(b"EVAL");
    let words = words.iter().enumerate().filter(|(at, _)| !(is_script && matches!(at, 1 | 2)));
    let words = words.map(|(_, word)| String::from_utf8_lossy(&word[..word.len().min(WORD)]));
    words.collect::<Vec<_>>().join(" ")
}

fn reply(answer: &Answer) -> String {
    let mut text = String::new();
    match answer {
        Ok(value) => show(value, &mut text),
        Err(error) => text.push_str(error),
    }
    text
}

fn show(value: &Value, text: &mut String) {
    match value {
        Value::BulkString(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
        Value::Int(number) => drop(write!(text, "{number}")),
        Value::Array(values) => {
            text.push('[');
            for (at, value) in values.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { " " });
                show(value, text);
            }
            text.push(']');
        }
        other => drop(write!(text, "{other:?}")),
    }
}
