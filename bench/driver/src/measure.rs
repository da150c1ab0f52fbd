//! Measures one workload on all programs, round by round, so that other load on the machine affects
//! all of them equally.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::embedded;
use crate::http::Connection;
use crate::load::{self, Load, Outcome, Work};
use crate::processor;
use crate::programs::{LOG, Program};
use crate::redis_server::{Calls, RedisServer};
use crate::workload::Workload;

pub struct Plan {
    pub rounds: usize,
    pub round: Duration,
    pub warm_up: Duration,
}

#[derive(Debug, Serialize)]
pub struct Measured {
    pub workload: Workload,
    pub load: Load,
    pub programs: Vec<ProgramRounds>,
}

#[derive(Debug, Serialize)]
pub struct ProgramRounds {
    pub name: &'static str,
    pub rounds: Vec<Round>,
}

/// The figures of one round.
#[derive(Debug, Serialize)]
pub struct Round {
    pub requests: u64,
    pub requests_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub server_cpu_us_per_request: f64,
    pub redis_cpu_us_per_request: f64,
    /// Fractions of one core.
    pub server_cpu_share: f64,
    pub driver_cpu_share: f64,
    pub redis_cpu_share: f64,
    pub redis_commands_per_request: f64,
    pub redis_commands: BTreeMap<String, f64>,
    pub errors: u64,
}

impl Measured {
    pub fn errors(&self) -> u64 {
        self.programs.iter().flat_map(|program| &program.rounds).map(|round| round.errors).sum()
    }
}

pub async fn measure(
    workload: Workload,
    load: Load,
    programs: &[Program],
    redis: &RedisServer,
    plan: &Plan,
) -> Result<Measured> {
    let programs: Vec<_> = programs.iter().filter(|program| program.takes_part(workload)).collect();
    let works: Vec<Work> = programs.iter().map(|program| work(workload, program)).collect();
    let mut measured: Vec<ProgramRounds> = programs
        .iter()
        .map(|program| ProgramRounds { name: program.name, rounds: Vec::new() })
        .collect();
    for (program, work) in programs.iter().zip(&works) {
        check_response(workload, program, work).await.with_context(|| program.name)?;
        load::run(work, load, plan.warm_up).await?;
        redis.empty_stream(LOG)?;
    }
    for _ in 0..plan.rounds {
        for ((program, work), measured) in programs.iter().zip(&works).zip(&mut measured) {
            let round = round(workload, load, program, work, redis, plan.round).await;
            measured.rounds.push(round.with_context(|| program.name)?);
        }
    }
    Ok(Measured { workload, load, programs: measured })
}

fn work(workload: Workload, program: &Program) -> Work {
    let requests = workload.requests(program.plain_path, &program.sessions);
    Work::new(program.server.address, requests, workload.expected_status())
}

/// Checks one complete response: the first one, of the first session. Under load only the status is
/// checked.
async fn check_response(workload: Workload, program: &Program, work: &Work) -> Result<()> {
    let mut connection = Connection::open(work.address).await?;
    let answer = connection.exchange(work.request()).await?;
    let email = &program.sessions[0].account.email;
    let right = match workload {
        Workload::Plain => answer.body == b"OK",
        Workload::Read => String::from_utf8_lossy(answer.body).contains(email),
        Workload::Checkin => answer.header("checkin-id").is_some(),
    };
    let status = answer.status;
    ensure!(
        right && status == work.expected_status,
        "{workload}: unexpected response, status {status}"
    );
    Ok(())
}

/// The processor times so far.
struct Times {
    server: Duration,
    driver: Duration,
    redis: Duration,
}

impl Times {
    fn now(program: &Program, redis: &RedisServer) -> Result<Self> {
        Ok(Self {
            server: processor::time_of(program.server.pid())?,
            driver: processor::time_of(std::process::id())?,
            redis: processor::time_of(redis.pid())?,
        })
    }
}

async fn round(
    workload: Workload,
    load: Load,
    program: &Program,
    work: &Work,
    redis: &RedisServer,
    duration: Duration,
) -> Result<Round> {
    // What is cached of a session may be outdated since the last round.
    load::run_once(work).await?;
    let stored = stored(program, redis)?;
    let calls = redis.calls()?;
    let before = Times::now(program, redis)?;
    let outcome = load::run(work, load, duration).await?;
    let after = Times::now(program, redis)?;
    let calls = between(&calls, &redis.calls()?);
    if workload == Workload::Checkin {
        let stored = self::stored(program, redis)? - stored;
        let answered = outcome.latencies.len();
        let explained = outcome.errors > 0 || stored == answered;
        ensure!(explained, "{answered} check-ins accepted and {stored} stored");
        redis.empty_stream(LOG)?;
    }
    figures(&outcome, &before, &after, &calls)
}

/// Returns the number of check-ins in the log of the program.
fn stored(program: &Program, redis: &RedisServer) -> Result<u64> {
    match &program.database {
        Some(file) => embedded::checkins(file),
        None => redis.stream_length(LOG),
    }
}

/// Returns the calls between two snapshots, without those of the first snapshot itself.
fn between(before: &Calls, after: &Calls) -> Calls {
    let by_command = after.by_command.iter().map(|(name, count)| {
        (name.clone(), count - before.by_command.get(name).copied().unwrap_or_default())
    });
    let by_command = by_command.filter(|(name, _)| name != "info").collect();
    Calls { total: (after.total - before.total).saturating_sub(1), by_command }
}

fn figures(outcome: &Outcome, before: &Times, after: &Times, calls: &Calls) -> Result<Round> {
    ensure!(!outcome.latencies.is_empty(), "there was no response");
    let requests = outcome.latencies.len() as f64;
    let us = |time: Duration| time.as_secs_f64() * 1e6 / requests;
    let share = |time: Duration| time.as_secs_f64() / outcome.elapsed.as_secs_f64();
    let (server, redis) = (after.server - before.server, after.redis - before.redis);
    let latency_us = |part| outcome.latencies.value_at_quantile(part) as f64 / 1e3;
    let by_command = calls.by_command.iter();
    Ok(Round {
        requests: outcome.latencies.len(),
        requests_per_second: requests / outcome.elapsed.as_secs_f64(),
        p50_us: latency_us(0.5),
        p99_us: latency_us(0.99),
        p999_us: latency_us(0.999),
        server_cpu_us_per_request: us(server),
        redis_cpu_us_per_request: us(redis),
        server_cpu_share: share(server),
        driver_cpu_share: share(after.driver - before.driver),
        redis_cpu_share: share(redis),
        redis_commands_per_request: calls.total as f64 / requests,
        redis_commands: by_command.map(|(name, n)| (name.clone(), *n as f64 / requests)).collect(),
        errors: outcome.errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_not_counted() {
        let calls = |total, gets, looks| Calls {
            total,
            by_command: [("get".to_owned(), gets), ("info".to_owned(), looks)].into(),
        };
        let difference = between(&calls(10, 5, 1), &calls(14, 8, 2));
        assert_eq!(difference, Calls { total: 3, by_command: [("get".to_owned(), 3)].into() });
    }
}
