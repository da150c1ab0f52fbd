//! Compares asynchronous Redis clients. See the README for how to run it.

mod faults;
mod link;
mod proxy;
mod push;
mod server;
mod throughput;
mod topology;

use anyhow::{Result, bail};

use crate::link::Candidate;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // `redis` uses the crypto provider of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match arguments[..] {
            ["throughput", client, protocol, commands] => {
                throughput::measure(Candidate::parse(client)?, commands.parse()?, protocol == "3")
                    .await
            }
            ["faults", client, protocol] => {
                faults::measure(Candidate::parse(client)?, protocol == "3").await
            }
            ["topology", client] => topology::measure(Candidate::parse(client)?).await,
            ["push", client] => push::measure(Candidate::parse(client)?).await,
            _ => bail!("see README.md for the arguments"),
        }
    })
}
