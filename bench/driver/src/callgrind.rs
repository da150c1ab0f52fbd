//! Counts the instructions of a program with valgrind.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::http::Connection;
use crate::server::Server;
use crate::stacks::Stacks;

/// The requests that make a program ready: its caches are filled and its memory is allocated.
const WARM_UP: usize = 200;

/// The requests that are counted.
pub const COUNTED: usize = 1000;

/// The number of callers by which the counts of a function are told apart.
const CALLERS: u32 = 120;

/// Returns the instructions of one request, in user space. They are those of a run with more requests
/// without those of a run with fewer, so that neither the start nor the end of the program counts.
///
/// `run` is given the number of the run, and returns the command of the program and the requests to
/// send, one after the other, on one connection.
pub async fn per_request(
    directory: &Path,
    expected_status: u16,
    run: impl FnMut(usize) -> (Command, Vec<Vec<u8>>),
) -> Result<u64> {
    let [few, many] = count(directory, expected_status, &[], run).await?;
    Ok((total(&many)? - total(&few)?) / COUNTED as u64)
}

/// Returns where the instructions of the counted requests are spent, likewise.
pub async fn stacks(
    directory: &Path,
    expected_status: u16,
    run: impl FnMut(usize) -> (Command, Vec<Vec<u8>>),
) -> Result<Stacks> {
    let callers = format!("--separate-callers={CALLERS}");
    let flags = [callers.as_str(), "--demangle=no"];
    let [few, many] = count(directory, expected_status, &flags, run).await?;
    Ok(Stacks::read(&many)?.without(&Stacks::read(&few)?))
}

/// Returns the output of callgrind for a run with few requests and for one with more.
async fn count(
    directory: &Path,
    expected_status: u16,
    flags: &[&str],
    mut run: impl FnMut(usize) -> (Command, Vec<Vec<u8>>),
) -> Result<[String; 2]> {
    let mut outputs = [String::new(), String::new()];
    for (number, requests) in [WARM_UP, WARM_UP + COUNTED].into_iter().enumerate() {
        let (command, work) = run(number);
        let file = directory.join(format!("callgrind.{number}"));
        let server = Server::start_any(&mut observed(&command, flags, &file))?;
        let mut connection = Connection::open(server.address).await?;
        for request in work.iter().cycle().take(requests) {
            let status = connection.exchange(request).await?.status;
            ensure!(status == expected_status, "a request was answered with {status}");
        }
        drop((connection, server));
        outputs[number] = fs::read_to_string(&file).context("valgrind wrote no counts")?;
    }
    Ok(outputs)
}

/// Returns the command under callgrind, on one thread of the runtime.
fn observed(command: &Command, flags: &[&str], file: &Path) -> Command {
    let mut observed = Command::new("valgrind");
    observed
        .args(["--tool=callgrind", "--quiet"])
        .args(flags)
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
fn total(text: &str) -> Result<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("the counts have no total")?.trim().parse()?)
}
