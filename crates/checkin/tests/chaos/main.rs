//! Breaks real deployments and prints a table of what was promised and what was seen: `make chaos`.
//!
//! Arguments: words that the name, the number or the form of a fault must contain; none for all.
//! `SEED` repeats a run, and `REDIS_SERVER` names the program of another engine.

#![expect(clippy::unwrap_used, reason = "a run that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "it prints a table")]
#![expect(dead_code, reason = "the harness is that of the other tests")]

#[path = "mod.rs"]
mod chaos;
#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/logins.rs"]
mod logins;
mod namespaces;

use std::process::ExitCode;

use chaos::rows::rows;
use chaos::run;

/// The head of the table.
const HEAD: &str = "\
| number | fault | on | `--wait-replicas` | promised | accepted | lost | twice | deletions: undone | private: lost | accounts: left | logins: lost, logouts: undone | longest time without a 202 | p99 meanwhile |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    namespaces::enter(&args);
    let words: Vec<_> = args.iter().filter(|word| !word.starts_with('-')).collect();
    let seed = testkit::seed();
    let server = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let version = std::process::Command::new(server).arg("--version").output().unwrap().stdout;
    println!("{}, seed {seed}\n", String::from_utf8_lossy(&version).trim());
    println!("{HEAD}");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut is_kept, mut left_out) = (true, Vec::new());
    for row in rows() {
        let text = format!("{} {} {}", row.number(), row.fault, row.on());
        if !words.iter().all(|word| text.contains(word.as_str())) {
            continue;
        }
        if let Some(missing) = namespaces::missing(row.place()) {
            left_out.push(format!("{text}: {missing}"));
            continue;
        }
        let verdict = runtime.block_on(run::run(&row, seed.into()));
        println!("{}", run::line(&row, &verdict));
        let broken = run::broken(&row, &verdict);
        if !broken.is_empty() {
            is_kept = false;
            println!("broken: {}", broken.join(", "));
        }
    }
    if !left_out.is_empty() {
        println!("\nNot run here:\n{}", left_out.join("\n"));
    }
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
