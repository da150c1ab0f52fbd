//! Draws where the instructions of a request are spent, as a flame graph. See the README.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use driver::callgrind::COUNTED;
use driver::paths::{RequestPath, Site};
use driver::programs::Ours;
use tokio::runtime::Builder;

/// Draws where the instructions of a request are spent, as flame graphs, with valgrind's callgrind.
#[derive(Debug, Parser)]
struct Options {
    /// The paths whose names contain this text: plain route of axum, GET /healthz of a service, cached
    /// read, read, GET /session, check-in
    #[arg(value_name = "TEXT")]
    of: String,

    /// The program `checkin`, a release build with debug information
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// The directory of the SVG files
    #[arg(long, value_name = "DIRECTORY", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/flame"), hide_default_value = true)]
    output: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let paths: Vec<_> = RequestPath::named(&options.of).collect();
    let names = RequestPath::ALL.map(RequestPath::name).join(", ");
    ensure!(!paths.is_empty(), "TEXT must be a part of one of these: {names}");
    let ours = Ours::find(&options.binary)?;
    fs::create_dir_all(&options.output)?;
    Builder::new_current_thread().enable_all().build()?.block_on(draw(&options, &ours, &paths))
}

async fn draw(options: &Options, ours: &Ours, paths: &[RequestPath]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let site = Site::start(ours).await?;
    for path in paths {
        let stacks = site.stacks(*path, directory.path()).await?;
        let (requests, name) = (COUNTED as u64, path.name());
        let file = options.output.join(name.replace(['/', ' '], "-") + ".svg");
        stacks.draw(name, requests, &file)?;
        println!("{name}: {} instructions, {}", stacks.total() / requests, file.display());
    }
    Ok(())
}
