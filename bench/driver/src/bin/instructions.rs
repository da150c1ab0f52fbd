//! Counts what a request costs in instructions, measures the memory without load and the size of the
//! binary, and compares with the figures in the repository. See the README.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use driver::footprint;
use driver::paths::{RequestPath, Site};
use driver::programs::Ours;
use tokio::runtime::Builder;

/// Counts the instructions of a request on each path with valgrind's callgrind, and measures the memory
/// of each program without load and the size of the binary. It fails if a figure differs from the one
/// in the repository: memory by more than 15 %, the others by more than 5 %.
#[derive(Debug, Parser)]
struct Options {
    /// The program `checkin`, a release build
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// The recorded figures
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../figures.json"), hide_default_value = true)]
    figures: PathBuf,

    /// Measures only the figures whose names contain this text
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
        eprintln!("A figure differs too much from the recorded one.");
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
        is_good &= (ratio - 1.0).abs() <= tolerance(name);
        println!("| {name} | {before} | {now} | {ratio:.3} |");
    }
    is_good
}

/// Returns the difference from the recorded figure that is allowed, as a fraction of it. Memory
/// depends on how the threads of a program take turns.
fn tolerance(name: &str) -> f64 {
    if name.starts_with("idle memory") { 0.15 } else { 0.05 }
}

async fn measure(ours: &Ours, only: &str) -> Result<Figures> {
    let directory = tempfile::tempdir()?;
    let site = Site::start(ours).await?;
    let mut figures = Figures::new();
    for path in RequestPath::ALL {
        let name = format!("instructions: {}", path.name());
        if name.contains(only) {
            figures.insert(name, site.instructions(path, directory.path()).await?);
        }
    }
    drop(site);
    if "idle memory".contains(only) {
        figures.extend(footprint::memory(ours).await?);
    }
    let size = "size in KiB: checkin, stripped";
    if size.contains(only) {
        figures.insert(size.to_owned(), footprint::stripped_kib(&ours.checkin)?);
    }
    Ok(figures)
}
