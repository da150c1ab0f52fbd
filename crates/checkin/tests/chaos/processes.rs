//! What may happen to running processes, and the programs of the system that make it happen.

use std::process::Command;
use std::time::Duration;

use testkit::{Rng, Signal};

use super::deployment::{Deployment, Servers};

/// The slices of time in which a process runs or does not, and their number.
const SLICE: Duration = Duration::from_millis(50);
const SLICES: usize = 120;

/// Of a hundred slices, those in which a process runs.
const RUNS: u8 = 10;

/// Runs a program of the system to its end.
///
/// # Panics
///
/// If it fails.
pub(crate) fn run(words: &[&str]) -> String {
    let (program, args) = words.split_first().unwrap();
    let ended = Command::new(program).args(args).output();
    let ended = ended.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// Forbids a process to open more files and connections than the ones that it has.
pub(crate) struct NoFiles {
    pid: String,
    before: String,
}

impl NoFiles {
    pub(crate) fn of(pid: u32) -> Self {
        let pid = pid.to_string();
        let soft = ["--nofile", "--output", "SOFT", "--noheadings", "--raw"];
        let before = run(&[&["prlimit", "--pid", &pid], &soft[..]].concat()).trim().to_owned();
        // Those for input, output and errors are open, and new ones would get greater numbers.
        run(&["prlimit", "--pid", &pid, "--nofile=3:"]);
        Self { pid, before }
    }

    pub(crate) fn end(self) {
        run(&["prlimit", "--pid", &self.pid, &format!("--nofile={}:", self.before)]);
    }
}

/// Suspends all processes of a deployment most of the time, each at random.
pub(crate) async fn starve(on: &Deployment, chance: &mut Rng) {
    for _ in 0..SLICES {
        set_running(on, || chance.u8(..100) < RUNS);
        tokio::time::sleep(SLICE).await;
    }
    set_running(on, || true);
}

fn set_running(on: &Deployment, mut runs: impl FnMut() -> bool) {
    for program in on.programs() {
        program.signal(if runs() { Signal::SIGCONT } else { Signal::SIGSTOP });
    }
    if let Servers::One(server) = &on.servers {
        if runs() { server.resume() } else { server.pause() }
    }
}
