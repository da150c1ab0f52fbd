//! Counts what a request costs in instructions, and compares with the figures in the repository. See
//! the README.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use driver::callgrind::per_request;
use driver::programs::{self, Ours, SHORT_WINDOW};
use driver::redis_server::RedisServer;
use driver::server::Server;
use driver::workload::{Workload, keyed_checkins};
use tokio::runtime::Builder;

/// The difference from the recorded figure that is allowed, as a fraction of it.
const TOLERANCE: f64 = 0.05;

/// Counts the instructions of a request on each path with valgrind's callgrind, and fails if a figure
/// differs by more than 5 % from the one in the repository.
#[derive(Debug, Parser)]
struct Options {
    /// The program `checkin`, a release build
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// The recorded figures
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../figures.json"), hide_default_value = true)]
    figures: PathBuf,

    /// Counts only the paths whose names contain this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Records the new figures
    #[arg(long)]
    record: bool,
}

/// The names of the figures, and their values.
type Figures = BTreeMap<String, u64>;

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let text = fs::read_to_string(&options.figures).context("cannot read the recorded figures")?;
    let mut recorded: Figures = serde_json::from_str(&text)?;
    let ours = Ours::find(&options.binary)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&ours, &options.only))?;
    let is_good = compare(&recorded, &measured);
    if options.record {
        recorded.extend(measured);
        let text = serde_json::to_string_pretty(&recorded)? + "\n";
        fs::write(&options.figures, text).context("cannot write the figures")?;
    } else if !is_good {
        eprintln!("A figure differs from the recorded one by more than 5 %.");
        eprintln!("If that is meant, record it: make instructions ARGS=--record");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each figure beside the recorded one. Returns whether all of them are close to it.
fn compare(recorded: &Figures, measured: &Figures) -> bool {
    println!("| figure | recorded | now | now ÷ recorded |\n|---|---:|---:|---:|");
    let mut is_good = true;
    for (name, now) in measured {
        let Some(before) = recorded.get(name) else {
            println!("| {name} | – | {now} | – |");
            is_good = false;
            continue;
        };
        let ratio = *now as f64 / *before as f64;
        is_good &= (ratio - 1.0).abs() <= TOLERANCE;
        println!("| {name} | {before} | {now} | {ratio:.3} |");
    }
    is_good
}

async fn measure(ours: &Ours, only: &str) -> Result<Figures> {
    let directory = tempfile::tempdir()?;
    let redis = RedisServer::start()?;
    ours.load_demo(&redis)?;
    let auth = Server::start_any(&mut ours.service(&redis, &["auth"]))?;
    let cookie = programs::log_in(&auth).await?;
    drop(auth);
    let cached = || {
        let mut command = ours.layer(&redis);
        command.env("CACHED", "true");
        command
    };
    let plain = |path| Workload::Plain.requests(path, &cookie);
    let read = || Workload::Read.requests("", &cookie);
    let auth = || ours.service(&redis, &["auth"]);
    let receiver = || ours.receiver(&redis, SHORT_WINDOW);

    let mut counter = Counter { directory: directory.path(), only, figures: Figures::new() };
    counter.count("plain route of axum", 200, |_| (ours.layer(&redis), plain("/plain"))).await?;
    counter.count("GET /healthz of a service", 200, |_| (auth(), plain("/healthz"))).await?;
    counter.count("cached read, session layer alone", 200, |_| (cached(), read())).await?;
    counter.count("read, session layer alone", 200, |_| (ours.layer(&redis), read())).await?;
    counter.count("GET /session", 200, |_| (auth(), read())).await?;
    counter.count("check-in", 202, |run| (receiver(), keyed_checkins(&cookie, run))).await?;
    Ok(counter.figures)
}

struct Counter<'a> {
    directory: &'a Path,
    only: &'a str,
    figures: Figures,
}

impl Counter<'_> {
    async fn count(
        &mut self,
        path: &str,
        expected_status: u16,
        run: impl FnMut(usize) -> (Command, Vec<Vec<u8>>),
    ) -> Result<()> {
        if path.contains(self.only) {
            let instructions = per_request(self.directory, expected_status, run).await;
            let name = format!("instructions: {path}");
            self.figures.insert(name, instructions.with_context(|| path.to_owned())?);
        }
        Ok(())
    }
}
