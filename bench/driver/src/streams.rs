//! Many open event streams of the read API: the memory that each takes, and the time until a check-in
//! has arrived on all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::http::Connection;
use crate::processor;
use crate::programs::Ours;
use crate::server::Server;
use crate::workload::{self, LoggedIn};

/// The number of check-ins whose delivery is timed, one after the other.
const CHECKINS: u32 = 11;

/// The number of streams that are opened at the same time. More would not fit into the queue of a
/// listening socket, and wait for a second.
const OPENED_AT_ONCE: usize = 64;

/// The files that the programs need besides the streams.
const OTHER_FILES: u64 = 500;

/// The time limit for everything that a stream waits for.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize)]
pub struct Streams {
    pub streams: usize,
    /// The resident memory of the service before the first stream, in KiB.
    pub idle_kib: u64,
    /// The additional memory once all check-ins are delivered, per stream, in KiB.
    pub kib_each: f64,
    /// The time from sending a check-in until all streams have it, in milliseconds, sorted.
    pub delivery_ms: Vec<f64>,
}

/// Opens this many streams of one service, and checks in. Each stream must deliver each check-in,
/// and nothing else.
pub async fn measure(
    ours: &Ours,
    store: &str,
    sessions: &[LoggedIn],
    streams: usize,
    core: usize,
) -> Result<Streams> {
    allow_files(streams as u64 + OTHER_FILES)?;
    let api = Server::start(core, &mut ours.service(store, &["api"]))?;
    let receiver = Server::start_any(&mut ours.receiver(store, "0"))?;
    let mut receiver = Connection::open(receiver.address).await.map(|open| (open, receiver))?;
    let idle_kib = settled_memory(api.pid()).await?;

    let (sender, mut events) = unbounded_channel();
    let slots = Arc::new(Semaphore::new(OPENED_AT_ONCE));
    for session in sessions.iter().cycle().take(streams) {
        let cookie = session.cookie.clone();
        tokio::spawn(listen(api.address, cookie, slots.clone(), sender.clone()));
    }
    collect(&mut events, streams, &Event::Open).await.context("the streams do not open")?;

    let mut delivery_ms = Vec::new();
    for location in 1..=CHECKINS {
        let request = workload::checkin((location, 3), &sessions[0], "");
        let sent = Instant::now();
        let answer = receiver.0.exchange(&request).await?;
        ensure!(answer.status == 202, "the check-in was answered with {}", answer.status);
        let id = answer.header("checkin-id").context("the check-in has no id")?.to_owned();
        collect(&mut events, streams, &Event::Checkin(id)).await?;
        delivery_ms.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    delivery_ms.sort_by(f64::total_cmp);
    let used = settled_memory(api.pid()).await?.saturating_sub(idle_kib);
    ensure!(events.is_empty(), "a stream delivered a check-in twice");
    Ok(Streams { streams, idle_kib, kib_each: used as f64 / streams as f64, delivery_ms })
}

/// Raises the limit of open files of this process and those that it starts.
fn allow_files(files: u64) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(most >= files, "{files} open files are needed and {most} are allowed: see ulimit -Hn");
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// Returns the resident memory once it does not change any more.
pub async fn settled_memory(pid: u32) -> Result<u64> {
    let since = Instant::now();
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = processor::resident_kib(pid)?;
        if now.abs_diff(last) * 100 <= now || since.elapsed() > PATIENCE {
            return Ok(now);
        }
        last = now;
    }
}

/// What a stream reports.
#[derive(Debug, PartialEq)]
enum Event {
    Open,
    /// A check-in with this id.
    Checkin(String),
    Failed(String),
}

/// Waits until all streams have reported this event.
async fn collect(
    events: &mut UnboundedReceiver<Event>,
    streams: usize,
    expected: &Event,
) -> Result<()> {
    for received in 0..streams {
        let event = timeout(PATIENCE, events.recv()).await;
        let event = event.with_context(|| format!("{received} of {streams}: {expected:?}"))?;
        let event = event.context("all streams ended")?;
        ensure!(event == *expected, "{event:?} instead of {expected:?}");
    }
    Ok(())
}

async fn listen(
    address: SocketAddr,
    cookie: String,
    slots: Arc<Semaphore>,
    events: UnboundedSender<Event>,
) {
    if let Err(error) = read(address, &cookie, &slots, &events).await {
        // The receiver is gone at the end of the measurement.
        let _ = events.send(Event::Failed(format!("{error:#}")));
    }
}

async fn read(
    address: SocketAddr,
    cookie: &str,
    slots: &Semaphore,
    events: &UnboundedSender<Event>,
) -> Result<()> {
    let slot = slots.acquire().await?;
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /api/checkins/stream HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = until(&mut stream, Vec::new(), "\r\n\r\n").await?;
    ensure!(text.starts_with(b"HTTP/1.1 200"), "the stream was refused");
    // The first event holds the position and the time to wait before the next attempt.
    let head = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_default();
    text = until(&mut stream, text.split_off(head + 4), "\n\n").await?;
    ensure!(!text.windows(7).any(|window| window == b"checkin"), "an old check-in");
    drop(slot);
    events.send(Event::Open)?;
    loop {
        let text = until(&mut stream, Vec::new(), "\n\n").await?;
        // A comment keeps the stream alive.
        let text = String::from_utf8_lossy(&text);
        for event in text.split("\n\n").filter(|event| event.contains("event: checkin")) {
            let id = event.lines().find_map(|line| line.strip_prefix("id: "));
            events.send(Event::Checkin(id.context("an event has no id")?.to_owned()))?;
        }
    }
}

/// Reads on until what was read contains this.
async fn until(stream: &mut TcpStream, mut read: Vec<u8>, end: &str) -> Result<Vec<u8>> {
    while !read.windows(end.len()).any(|window| window == end.as_bytes()) {
        ensure!(stream.read_buf(&mut read).await? > 0, "the stream ended");
    }
    Ok(read)
}
