//! Generates load over keep-alive connections, each with one request after another: either as fast
//! as the server answers, or at a fixed rate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::http::Connection;

/// The number of connections at a fixed rate. A free one takes the next request.
const CONNECTIONS_AT_A_RATE: usize = 64;

/// The bounds of the recorded latencies in nanoseconds, and their significant digits.
const LATENCIES: (u64, u64, u8) = (100, 60_000_000_000, 3);

/// How the requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Each connection sends a request when the last one is answered.
    Connections(usize),
    /// Requests per second. Each request has its time, whether the ones before it are answered or
    /// not, and its latency counts from then. So a server that stops for a while is charged for all
    /// requests that it keeps waiting ("coordinated omission" is ruled out).
    Rate(u32),
}

impl Load {
    fn connections(self) -> usize {
        match self {
            Self::Connections(number) => number,
            Self::Rate(_) => CONNECTIONS_AT_A_RATE,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(1) => f.write_str("1 connection"),
            Self::Connections(number) => write!(f, "{number} connections"),
            Self::Rate(rate) => write!(f, "{rate} requests per second"),
        }
    }
}

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
#[derive(Debug)]
pub struct Outcome {
    /// The latency of every answered request, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// The number of requests with an unexpected status, and of broken connections.
    pub errors: u64,
    pub elapsed: Duration,
}

/// Sends requests for this duration, and waits for those in progress at the end.
pub async fn run(work: &Work, load: Load, duration: Duration) -> Result<Outcome> {
    run_with(work, load.connections(), |start| match load {
        Load::Connections(_) => Schedule::AtOnce { end: start + duration },
        Load::Rate(rate) => Schedule::at(rate, start, duration),
    })
    .await
}

/// Sends each request once, so that what a server caches of it is cached.
pub async fn run_once(work: &Work) -> Result<Outcome> {
    let left = Arc::new(AtomicUsize::new(work.requests.len()));
    run_with(work, CONNECTIONS_AT_A_RATE, |_| Schedule::Number { left }).await
}

async fn run_with(
    work: &Work,
    connections: usize,
    schedule: impl FnOnce(Instant) -> Schedule,
) -> Result<Outcome> {
    let (lowest, highest, digits) = LATENCIES;
    let latencies = Histogram::new_with_bounds(lowest, highest, digits)?;
    let outcome = Outcome { latencies, errors: 0, elapsed: Duration::ZERO };
    let outcome = Arc::new(Mutex::new(outcome));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(work.address).await?);
    }
    let start = Instant::now();
    let schedule = schedule(start);
    let mut tasks = JoinSet::new();
    for connection in open {
        tasks.spawn(send(connection, work.clone(), schedule.clone(), outcome.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    let outcome = Arc::into_inner(outcome).expect("the tasks have ended");
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome { elapsed: start.elapsed(), ..outcome })
}

/// When the requests are due.
#[derive(Clone)]
enum Schedule {
    AtOnce { end: Instant },
    Number { left: Arc<AtomicUsize> },
    AtTimes(Arc<tokio::sync::Mutex<UnboundedReceiver<Instant>>>),
}

impl Schedule {
    /// Starts a thread that announces each request at its time; the timers of the runtime have a
    /// resolution of a millisecond only.
    fn at(rate: u32, start: Instant, duration: Duration) -> Self {
        let (sender, receiver) = unbounded_channel();
        thread::spawn(move || {
            for number in 0_u32.. {
                let after = Duration::from_secs(1) * number / rate;
                if after >= duration {
                    return;
                }
                let time = start + after;
                thread::sleep(time.saturating_duration_since(Instant::now()));
                if sender.send(time).is_err() {
                    return;
                }
            }
        });
        Self::AtTimes(Arc::new(receiver.into()))
    }

    /// Waits for the next request, and returns the time from which its latency counts. `None` after
    /// the last one.
    async fn next(&self) -> Option<Instant> {
        match self {
            Self::AtOnce { end } => Some(Instant::now()).filter(|now| now < end),
            Self::Number { left } => {
                let took = left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                took.is_ok().then(Instant::now)
            }
            Self::AtTimes(times) => times.lock().await.recv().await,
        }
    }
}

async fn send(
    mut connection: Connection,
    work: Work,
    schedule: Schedule,
    outcome: Arc<Mutex<Outcome>>,
) {
    while let Some(due) = schedule.next().await {
        let answer = connection.exchange(work.request()).await;
        let latency = due.elapsed();
        let failure = match answer {
            Ok(answer) if answer.status == work.expected_status => None,
            Ok(answer) => Some(io::Error::other(format!("answered with {}", answer.status))),
            Err(error) => Some(error),
        };
        let is_first = {
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match &failure {
                None => outcome.latencies.saturating_record(latency.as_nanos() as u64),
                Some(_) => outcome.errors += 1,
            }
            outcome.errors == 1
        };
        if let Some(error) = failure {
            if is_first {
                eprintln!("{}: {error}", work.address);
            }
            // A server that returns only errors must not get more requests than others.
            tokio::time::sleep(Duration::from_millis(10)).await;
            match Connection::open(work.address).await {
                Ok(fresh) => connection = fresh,
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that stops for 200 ms before its twentieth answer, and answers one request at a time.
    async fn stopping_server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let turn = Arc::new(tokio::sync::Mutex::new(0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let turn = turn.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let mut answered = turn.lock().await;
                        *answered += 1;
                        if *answered == 20 {
                            tokio::time::sleep(Duration::from_millis(200)).await;
                        }
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                        stream.write_all(answer).await.unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_that_stops_is_charged_for_all_requests_of_that_time() {
        let request = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        let work = Work::new(stopping_server().await, vec![request], 200);
        let outcome = run(&work, Load::Rate(200), Duration::from_secs(1)).await.unwrap();
        assert_eq!((outcome.latencies.len(), outcome.errors), (200, 0));
        // Forty requests are due in 200 ms, and half of them wait for at least half of it.
        assert!(outcome.latencies.value_at_quantile(0.92) >= 90_000_000);
    }

    #[tokio::test]
    async fn an_unexpected_status_is_an_error() {
        let request = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        let work = Work::new(stopping_server().await, vec![request], 202);
        let duration = Duration::from_millis(50);
        let outcome = run(&work, Load::Connections(2), duration).await.unwrap();
        assert!(outcome.latencies.is_empty() && outcome.errors > 0);
    }
}
