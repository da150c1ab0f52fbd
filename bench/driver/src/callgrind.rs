//! Counts the instructions of a program with valgrind.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::http::Connection;
use crate::server::Server;

/// The requests that make a program ready: its caches are filled and its memory is allocated.
const WARM_UP: usize = 200;

/// The requests that are counted.
const COUNTED: usize = 1000;

/// Returns the instructions of one request, in user space. They are those of a run with more requests
/// without those of a run with fewer, so that neither the start nor the end of the program counts.
///
/// `run` is given the number of the run, and returns the command of the program and the requests to
/// send, one after the other, on one connection.
pub async fn per_request(
    directory: &Path,
    expected_status: u16,
    mut run: impl FnMut(usize) -> (Command, Vec<Vec<u8>>),
) -> Result<u64> {
    let mut totals = [0; 2];
    for (number, requests) in [WARM_UP, WARM_UP + COUNTED].into_iter().enumerate() {
        let (command, work) = run(number);
        let file = directory.join(format!("callgrind.{number}"));
        let server = Server::start_any(&mut observed(&command, &file))?;
        let mut connection = Connection::open(server.address).await?;
        for request in work.iter().cycle().take(requests) {
            let status = connection.exchange(request).await?.status;
            ensure!(status == expected_status, "a request was answered with {status}");
        }
        drop((connection, server));
        totals[number] = total(&file)?;
    }
    Ok((totals[1] - totals[0]) / COUNTED as u64)
}

/// Returns the command under callgrind, on one thread of the runtime.
fn observed(command: &Command, file: &Path) -> Command {
    let mut observed = Command::new("valgrind");
    observed
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(command.get_program())
        .args(command.get_args())
        .env("TOKIO_WORKER_THREADS", "1");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            observed.env(name, value);
        }
    }
    observed
}

/// Reads the instructions of all threads.
fn total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).context("valgrind wrote no counts")?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("the counts have no total")?.trim().parse()?)
}
