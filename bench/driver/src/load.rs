//! Generates load: several connections, each with one request after another.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::http::Connection;

/// The requests to a server, and the expected status.
#[derive(Clone)]
pub struct Work {
    pub address: SocketAddr,
    requests: Arc<[Vec<u8>]>,
    next: Arc<AtomicUsize>,
    pub expected_status: u16,
}

impl Work {
    /// The requests are sent in rotation, over all connections and all runs.
    pub fn new(address: SocketAddr, requests: Vec<Vec<u8>>, expected_status: u16) -> Self {
        Self { address, requests: requests.into(), next: Arc::default(), expected_status }
    }

    /// Returns the next request.
    pub fn request(&self) -> &[u8] {
        &self.requests[self.next.fetch_add(1, Ordering::Relaxed) % self.requests.len()]
    }
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The latency of every answered request, in nanoseconds, sorted.
    pub latencies: Vec<u32>,
    /// The number of requests with an unexpected status, and of broken connections.
    pub errors: u64,
    pub elapsed: Duration,
}

/// Sends requests for this duration, and waits for those in progress at the end.
pub async fn run(work: &Work, connections: usize, duration: Duration) -> Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(work.address).await?);
    }
    let start = Instant::now();
    let mut tasks: JoinSet<Outcome> = open
        .into_iter()
        .map(|connection| keep_busy(connection, work.clone(), start + duration))
        .collect();
    let mut all = Outcome::default();
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome?;
        all.latencies.extend(outcome.latencies);
        all.errors += outcome.errors;
    }
    all.elapsed = start.elapsed();
    all.latencies.sort_unstable();
    Ok(all)
}

async fn keep_busy(mut connection: Connection, work: Work, deadline: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sent = Instant::now();
    while sent < deadline {
        let answer = connection.exchange(work.request()).await;
        let answered = Instant::now();
        match answer.and_then(|answer| expect(answer.status, work.expected_status)) {
            Ok(()) => outcome.latencies.push(nanoseconds(answered - sent)),
            Err(error) => {
                if outcome.errors == 0 {
                    eprintln!("{}: {error}", work.address);
                }
                outcome.errors += 1;
                // A server that returns only errors must not get more requests than others.
                tokio::time::sleep(Duration::from_millis(10)).await;
                match Connection::open(work.address).await {
                    Ok(fresh) => connection = fresh,
                    Err(_) => return outcome,
                }
            }
        }
        sent = answered;
    }
    outcome
}

fn expect(status: u16, expected: u16) -> io::Result<()> {
    if status == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("answered with {status} instead of {expected}")))
}

fn nanoseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}
