//! A program under measurement. It is pinned to its core, and stopped when dropped.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The time limit for a program to start listening.
const START: Duration = Duration::from_secs(20);

/// The time limit for a program to stop, after which it is killed.
const STOP: Duration = Duration::from_secs(10);

/// A process that is stopped when this value is dropped.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        let what = format!("cannot start {:?}", command.get_program());
        command.stdin(Stdio::null()).spawn().map(Self).context(what)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let since = Instant::now();
        while since.elapsed() < STOP {
            if let Ok(Some(_)) | Err(_) = self.0.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A process that listens on a port.
pub struct Server {
    process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// Starts the program on the core and waits for the line that names its port.
    pub fn start(core: usize, program: &mut Command) -> Result<Self> {
        let mut pinned = Command::new("taskset");
        pinned.arg("-c").arg(core.to_string()).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                pinned.env(name, value);
            }
        }
        Self::start_any(&mut pinned)
    }

    /// Starts the program where this one runs, and waits for the line that names its port.
    pub fn start_any(program: &mut Command) -> Result<Self> {
        let mut process = Process::start(program.stdout(Stdio::piped()))?;
        let output = process.0.stdout.take().context("the output is piped")?;
        let (sender, port) = channel();
        thread::spawn(move || read(BufReader::new(output), &sender));
        let what = || format!("{:?} did not print where it listens", program.get_program());
        let port = port.recv_timeout(START).with_context(what)?;
        Ok(Self { process, address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Reads the output to its end, so that the program never blocks on writing it.
fn read(output: impl BufRead, found: &Sender<u16>) {
    for line in output.lines().map_while(Result::ok) {
        if let Some(port) = port(&line) {
            // The receiver is gone after the first port.
            let _ = found.send(port);
        }
    }
}

/// Returns the port in `… listening on port 8083.` or `listening on 127.0.0.1:8083`.
fn port(line: &str) -> Option<u16> {
    let (_, place) = line.split_once("listening on ")?;
    place.trim_end_matches('.').rsplit([':', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_line() {
        let line = "2026 INFO Authentication service listening on port 8083.";
        assert_eq!(port(line), Some(8083));
        assert_eq!(port("listening on 127.0.0.1:40000"), Some(40_000));
        assert_eq!(port("Authentication enabled"), None);
    }
}
