//! Measures how fast a backlog is counted, and the latency of the API, with 1,000 and with
//! 1,000,000 users. See the README.

mod backlog;
mod naive;
mod population;
mod process;
mod routes;
mod site;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::site::Site;

/// Measures the counting of a backlog and the latency of the API, with few and with many users.
#[derive(Debug, Parser)]
struct Options {
    /// The program `checkin`, a release build
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// The stores to measure
    #[arg(long, value_delimiter = ',', default_values_t = ["redis".to_owned(), "sqlite".to_owned()])]
    stores: Vec<String>,

    /// The numbers of users, with one run for each
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    users: Vec<u64>,

    /// Number of uncounted entries in the log
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,

    /// Number of entries that the naive consumer counts
    #[arg(long, default_value_t = 100_000)]
    naive_entries: u64,

    /// Number of requests to each route
    #[arg(long, default_value_t = 300)]
    requests: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    for store in &options.stores {
        for &users in &options.users {
            println!("## {store}, {users} users\n");
            let site = Site::start(store, &options.binary)?;
            population::load(&site, users).await?;
            backlog::fill(&site, users, options.entries).await?;
            let naive = match store.as_str() {
                "redis" => Some(naive::count(&site, options.naive_entries)?),
                _ => None,
            };
            let rate = backlog::count(&site, options.entries).await?;
            if let Some(naive) = naive {
                println!("checkin processor: {:.1} times the naive consumer", rate / naive);
            }
            routes::time(&site, users, options.requests).await?;
        }
    }
    Ok(())
}
