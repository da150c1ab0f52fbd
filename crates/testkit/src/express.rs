use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::program::Program;

const LISTENING: &str = "listening on 127.0.0.1:";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// One of the programs in `express/`, running on a free port. Killed on drop.
#[derive(Debug)]
pub struct Express {
    program: Program,
    port: u16,
}

impl Express {
    /// Starts `probe.js` or `service.js` with these variables (`PORT` is chosen here) and waits
    /// until it listens. Installs the packages first if they are missing.
    ///
    /// # Panics
    ///
    /// If `node` or `npm` is not installed, or the program does not start.
    pub fn start(script: &str, env: &[(&str, &str)]) -> Express {
        Self::start_in(&directory(), script, env)
    }

    /// Starts a program of the tests of `packages/express-session-store`, as [`start`](Self::start) does.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with_store(script: &str, env: &[(&str, &str)]) -> Express {
        let directory = directory().join("../packages/express-session-store");
        Self::start_in(&directory, &format!("test/{script}"), env)
    }

    fn start_in(directory: &Path, script: &str, env: &[(&str, &str)]) -> Express {
        let mut command = node(directory);
        command.arg(script).envs(env.iter().copied()).env("PORT", "0");
        let program = Program::spawn(command);
        let line = program.wait_for_line(LISTENING, START_TIMEOUT);
        let port = line.trim_start_matches(LISTENING).parse().expect("the line ends in the port");
        Express { program, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

/// Several instances of `probe.js` in one process, because starting Node takes most of the time of a
/// comparison.
#[derive(Debug)]
pub struct ExpressProbes {
    /// The process and the number of its probes; locked while a probe is started.
    running: Mutex<(Program, usize)>,
}

impl ExpressProbes {
    /// # Panics
    ///
    /// If `node` or `npm` is not installed.
    pub fn start() -> ExpressProbes {
        let mut command = node(&directory());
        command.arg("probes.js");
        ExpressProbes { running: Mutex::new((Program::spawn_interactive(command), 0)) }
    }

    /// Starts another probe with these variables, and returns its URL. It runs until the process ends.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn probe(&self, env: &[(&str, &str)]) -> String {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (program, number) = &mut *running;
        *number += 1;
        let mut variables: Map<String, Value> =
            env.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
        variables.insert("NUMBER".to_owned(), (*number).into());
        program.write_line(&Value::Object(variables).to_string());
        let answer = format!("probe {number} {LISTENING}");
        let line = program.wait_for_line(&answer, START_TIMEOUT);
        format!("http://127.0.0.1:{}", line.trim_start_matches(&answer))
    }
}

/// Returns `node` in this directory, whose packages are installed. The store of `packages/` finds the packages there,
/// too, if it has none of its own.
fn node(directory: &Path) -> Command {
    install(directory);
    let mut command = Command::new("node");
    command.current_dir(directory).env("NODE_PATH", directory.join("node_modules"));
    command
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../express")
}

/// Installs into `node_modules` what the lock file names. If several test processes start at the same
/// time, the first one installs, and the others wait and find it done.
fn install(directory: &Path) {
    let lock = directory.join("package-lock.json");
    let turn = File::open(&lock).expect("package-lock.json can be read");
    turn.lock().expect("package-lock.json can be locked");
    if is_installed(directory, &lock) {
        return;
    }
    let output = Command::new("npm")
        .args(["ci", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"])
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("npm (of Node 20 or later) is needed: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "npm ci in {} failed:\n{complaint}", directory.display());
}

/// npm writes `node_modules/.package-lock.json` last.
fn is_installed(directory: &Path, lock: &Path) -> bool {
    let installed = modified(&directory.join("node_modules/.package-lock.json"));
    installed.is_some() && installed >= modified(lock)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
