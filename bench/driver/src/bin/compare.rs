//! Compares the check-in services with their peers, with the same work on the same Redis. See the
//! README.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;
use tokio::runtime::Builder;

use driver::load::Load;
use driver::measure::{self, Measured, Plan};
use driver::programs::{self, Paths};
use driver::redis_server::RedisServer;
use driver::streams::{self, Streams};
use driver::workload::Workload;
use driver::{chart, embedded, processor, report, summary};

/// Compares the check-in services with Express and axum peers.
#[derive(Debug, Parser)]
struct Options {
    /// The program `checkin`, a release build
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// The directory of `service.js`, with its packages installed
    #[arg(long, value_name = "DIRECTORY", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../express"), hide_default_value = true)]
    express: PathBuf,

    /// Numbers of keep-alive connections, each with one request in progress
    #[arg(long, value_delimiter = ',', default_values_t = [32, 1, 256], value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: Vec<u16>,

    /// Requests per second of the measurement at a fixed rate, which every program must be able to
    /// answer. 0 leaves it out
    #[arg(long, default_value_t = 1500)]
    rate: u32,

    /// Number of sessions at each program, which the requests use in turn. Each is used once before
    /// each round
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: u32,

    /// Number of open event streams. 0 leaves them out
    #[arg(long, default_value_t = 10_000)]
    streams: u16,

    /// Leaves the embedded store out
    #[arg(long)]
    no_embedded: bool,

    /// Number of timed rounds of each program
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// Length of a round
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,

    /// Length of the warm-up of each program, before its first round
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=60))]
    warm_up_seconds: u16,

    /// Runs only these workloads
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Workload::ALL)]
    workloads: Vec<Workload>,

    /// The core for the measured server alone
    #[arg(long, default_value_t = 0)]
    server_core: usize,

    /// The core for this driver and Redis
    #[arg(long, default_value_t = 1)]
    driver_core: usize,

    /// Writes the figures of every round to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Writes a bar chart to this file, as SVG
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

/// The numbers of connections to the programs on an embedded store.
const EMBEDDED_CONNECTIONS: [usize; 2] = [summary::CONNECTIONS, 256];

/// The results of a run.
#[derive(Default, Serialize)]
struct Results {
    redis: Vec<Measured>,
    embedded: Vec<Measured>,
    streams: Option<Streams>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let paths = Paths::find(&options.binary, &options.express)?;
    // Programs that are started from here on run on this core, unless they are pinned to another
    // one.
    processor::pin_to(options.driver_core)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(compare(&options, &paths))?;
    let all: Vec<&Measured> = results.redis.iter().chain(&results.embedded).collect();
    for &workload in &options.workloads {
        println!("{}", report::matrix(workload, &results.redis));
    }
    println!("{}", summary::table(&all, results.streams.as_ref()));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&results)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.chart {
        chart::write(&results.redis, path)?;
    }
    let errors: u64 = all.iter().map(|measured| measured.errors()).sum();
    if errors > 0 {
        eprintln!("{errors} requests failed, so the figures are not valid");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn compare(options: &Options, paths: &Paths) -> Result<Results> {
    let started = Instant::now();
    let plan = Plan {
        rounds: options.rounds.into(),
        round: Duration::from_secs(options.seconds.into()),
        warm_up: Duration::from_secs(options.warm_up_seconds.into()),
    };
    let redis = RedisServer::start()?;
    println!("{}\n", report::setting(&redis.version()?, &plan)?);
    let programs =
        programs::start(paths, &redis, options.server_core, options.sessions as usize).await?;
    let connections = options.connections.iter();
    let mut loads: Vec<_> = connections.map(|&number| Load::Connections(number.into())).collect();
    loads.extend((options.rate > 0).then_some(Load::Rate(options.rate)));
    let mut results = Results::default();
    for &load in &loads {
        for &workload in &options.workloads {
            // The plain route shows the cost of the rest of a request, which one load shows.
            if workload != Workload::Plain || load == loads[0] {
                eprintln!("{:>4.0?} {workload}, {load}", started.elapsed());
                let measured = measure::measure(workload, load, &programs, &redis, &plan).await?;
                println!("{}", report::tables(&measured));
                results.redis.push(measured);
            }
        }
    }
    if options.streams > 0 {
        eprintln!("{:>4.0?} {} event streams", started.elapsed(), options.streams);
        let (streams, core) = (options.streams.into(), options.server_core);
        let sessions = &programs[0].sessions;
        let streams = streams::measure(&paths.ours, &redis.url, sessions, streams, core).await?;
        println!("### Event streams\n\n{streams:?}\n");
        results.streams = Some(streams);
    }
    drop(programs);
    if !options.no_embedded {
        let directory = tempfile::tempdir()?;
        let programs = embedded::start(&paths.ours, directory.path(), options.server_core).await?;
        println!("## Embedded store\n");
        for connections in EMBEDDED_CONNECTIONS {
            for workload in [Workload::Read, Workload::Checkin] {
                let load = Load::Connections(connections);
                eprintln!("{:>4.0?} embedded store: {workload}, {load}", started.elapsed());
                let measured = measure::measure(workload, load, &programs, &redis, &plan).await?;
                println!("{}", report::tables(&measured));
                results.embedded.push(measured);
            }
        }
    }
    Ok(results)
}
