//! Measures the cost of a command: processor time of this process, rate and latency.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::link::{Candidate, Link, Options};
use crate::server::Server;

const TASKS: usize = 64;
const RUNS: usize = 3;
/// The number of keys, large enough that the replies do not always come from the same cache line.
const KEYS: usize = 1_000;
/// The size of a small session.
const VALUE_BYTES: usize = 150;

#[derive(Clone, Copy)]
enum Operation {
    Get,
    GetTwo,
    Set,
}

#[derive(Clone, Copy)]
struct Sample {
    processor_us: f64,
    per_second: f64,
    p50_us: u32,
    p99_us: u32,
}

/// Prints one row per operation: the run whose processor time is the median of three.
pub async fn measure(candidate: Candidate, commands: usize, resp3: bool) -> Result<()> {
    let server = Server::start(&[])?;
    let mut raw = server.raw()?;
    for number in 0..KEYS {
        raw.call(&["SET", &key(number), &"v".repeat(VALUE_BYTES)])?;
    }
    let options = Options { resp3, ..Options::default() };
    let link = Link::connect(candidate, server.port, options).await?;
    for (name, operation) in
        [("GET", Operation::Get), ("MGET 2", Operation::GetTwo), ("SET EX", Operation::Set)]
    {
        run(&link, operation, commands / 10).await?;
        let mut samples = Vec::new();
        for _ in 0..RUNS {
            samples.push(run(&link, operation, commands).await?);
        }
        samples.sort_by(|left, right| left.processor_us.total_cmp(&right.processor_us));
        let Sample { processor_us, per_second, p50_us, p99_us } = samples[RUNS / 2];
        let (low, high) = (samples[0].processor_us, samples[RUNS - 1].processor_us);
        println!(
            "| {} | {} | {name} | {processor_us:.2} ({low:.2}–{high:.2}) | {per_second:.0} | {p50_us} | {p99_us} |",
            candidate.name(),
            if resp3 || candidate == Candidate::Rustis { 3 } else { 2 },
        );
    }
    Ok(())
}

async fn run(link: &Link, operation: Operation, commands: usize) -> Result<Sample> {
    let before = processor_time()?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(work(link.clone(), operation, task, commands / TASKS)))
        .collect();
    let mut latencies = Vec::with_capacity(commands);
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed();
    let used = processor_time()? - before;
    latencies.sort_unstable();
    let count = latencies.len();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let total = count as f64;
    Ok(Sample {
        processor_us: used.as_secs_f64() * 1e6 / total,
        per_second: total / elapsed.as_secs_f64(),
        p50_us: latencies[count / 2],
        p99_us: latencies[count * 99 / 100],
    })
}

async fn work(
    mut link: Link,
    operation: Operation,
    task: usize,
    commands: usize,
) -> Result<Vec<u32>> {
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let value = [b'v'; VALUE_BYTES];
    let mut latencies = Vec::with_capacity(commands);
    for step in 0..commands {
        let (first, second) = (&keys[(task + step) % KEYS], &keys[(task + step + 7) % KEYS]);
        let started = Instant::now();
        match operation {
            Operation::Get => ensure!(link.get(first).await?.len() == VALUE_BYTES),
            Operation::GetTwo => ensure!(link.get_two(first, second).await?.len() == 2),
            Operation::Set => link.set_for_a_day(first, &value).await?,
        }
        latencies.push(u32::try_from(started.elapsed().as_micros())?);
    }
    Ok(latencies)
}

fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).map(Duration::from_micros)
    };
    Ok(micros(usage.user_time())? + micros(usage.system_time())?)
}

fn key(number: usize) -> String {
    format!("sess:0123456789abcdef0123456789ab{number:04}")
}
