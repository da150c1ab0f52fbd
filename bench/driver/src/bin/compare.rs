//! Compares the check-in services with their peers, with the same work on the same Redis. See the
//! README.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::runtime::Builder;

use driver::measure::{self, Measured, Plan};
use driver::programs::{self, Paths};
use driver::redis_server::RedisServer;
use driver::workload::Workload;
use driver::{processor, report};

/// Compares the check-in services with Express and axum peers.
#[derive(Debug, Parser)]
struct Options {
    /// The program `checkin`, a release build
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// The directory of `service.js`, with its packages installed
    #[arg(long, value_name = "DIRECTORY", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../express"), hide_default_value = true)]
    express: PathBuf,

    /// Number of keep-alive connections, each with one request in progress
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,

    /// Number of timed rounds of each program
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// Length of a round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,

    /// Length of the warm-up of each program, before its first round
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=60))]
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
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let paths = Paths::find(&options.binary, &options.express)?;
    // Programs that are started from here on run on this core, unless they are pinned to another
    // one.
    processor::pin_to(options.driver_core)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(compare(&options, &paths))?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&measured)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    let errors: u64 = measured.iter().map(Measured::errors).sum();
    if errors > 0 {
        eprintln!("{errors} requests failed, so the figures are not valid");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn compare(options: &Options, paths: &Paths) -> Result<Vec<Measured>> {
    let redis = RedisServer::start()?;
    let programs = programs::start(paths, &redis, options.server_core).await?;
    let plan = Plan {
        connections: options.connections.into(),
        rounds: options.rounds.into(),
        round: Duration::from_secs(options.seconds.into()),
        warm_up: Duration::from_secs(options.warm_up_seconds.into()),
    };
    println!("{}\n", report::setting(&redis.version()?, &plan)?);
    let mut measured = Vec::new();
    for &workload in &options.workloads {
        let taking_part: Vec<_> =
            programs.iter().filter(|program| program.takes_part(workload)).collect();
        let result = measure::measure(workload, &taking_part, &redis, &plan).await?;
        println!("{}", report::tables(&result));
        measured.push(result);
    }
    Ok(measured)
}
