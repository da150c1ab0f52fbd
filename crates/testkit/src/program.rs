use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{PATIENCE, wait_for};

/// Maximum time for a program to end after SIGTERM, on a slow machine.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The prefix of the variables that configure our own programs. A test sets those that it needs, and
/// must not depend on those of the developer's shell.
const OWN_VARIABLES: &str = "CHECKIN_";

/// The stream to which a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One line a program wrote, without its end.
#[derive(Clone, Debug)]
pub struct Line {
    pub stream: Stream,
    pub text: String,
}

/// A running program whose output is kept. Killed on drop.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    /// The ends of the pipes from which the output is read.
    pipes: [OwnedFd; 2],
    output: Arc<Output>,
    /// Returns whether a line shows what nobody may read.
    is_indiscreet: fn(&str) -> bool,
}

/// All output of the program so far, in the order in which it arrived.
#[derive(Debug, Default)]
struct Output {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Written {
    lines: Vec<Line>,
    closed_streams: usize,
}

impl Program {
    /// Starts a program with these arguments, and these variables on top of the test's own
    /// environment.
    pub fn start<A: AsRef<OsStr>>(
        path: impl AsRef<Path>,
        args: &[A],
        env: &[(&str, &str)],
    ) -> Program {
        let mut command = Command::new(path.as_ref());
        command.args(args);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(OWN_VARIABLES) {
                command.env_remove(name);
            }
        }
        command.envs(env.iter().copied());
        Program::spawn(command)
    }

    /// Starts a command that the caller prepared, for example with another directory.
    pub fn spawn(command: Command) -> Program {
        Program::spawn_reading(command, Stdio::null())
    }

    /// Starts a command that reads what [`Program::write_line`] writes.
    pub fn spawn_interactive(command: Command) -> Program {
        Program::spawn_reading(command, Stdio::piped())
    }

    fn spawn_reading(mut command: Command, stdin: Stdio) -> Program {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::new(Output::default());
        let pipes = [
            collect(child.stdout.take(), Stream::Stdout, &output),
            collect(child.stderr.take(), Stream::Stderr, &output),
        ];
        let stdin = child.stdin.take();
        Program { name, child, stdin, pipes, output, is_indiscreet: |_| false }
    }

    /// Lets the test fail at the end of the program if it has written a line with a secret.
    #[must_use]
    pub fn discreet(self, is_indiscreet: fn(&str) -> bool) -> Program {
        let mut program = self;
        program.is_indiscreet = is_indiscreet;
        program
    }

    /// Writes a line to the program's stdin.
    ///
    /// # Panics
    ///
    /// If the program was started without stdin, or has ended.
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the program was started to read its stdin");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("the program reads");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns all lines written so far.
    pub fn lines(&self) -> Vec<Line> {
        self.output.lock().lines.clone()
    }

    /// Returns all output to one stream so far, as one text.
    pub fn text(&self, stream: Stream) -> String {
        let written = self.output.lock();
        let lines = written.lines.iter().filter(|line| line.stream == stream);
        lines.map(|line| format!("{}\n", line.text)).collect()
    }

    /// Waits for a line (of either stream, written at any time) that contains `needle`.
    ///
    /// # Panics
    ///
    /// If the program ends or `timeout` passes without such a line.
    pub fn wait_for_line(&self, needle: &str, timeout: Duration) -> String {
        let deadline = Instant::now() + timeout;
        let mut written = self.output.lock();
        loop {
            if let Some(line) = written.lines.iter().find(|line| line.text.contains(needle)) {
                return line.text.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || written.closed_streams == 2 {
                let why = if left.is_zero() { "in time" } else { "before it ended" };
                panic!("{} did not write {needle:?} {why}; it wrote:\n{}", self.name, *written);
            }
            written = self.output.wait(written, left);
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.nix_pid(), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to {}: {error}", self.name));
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    ///
    /// If the program is still running after half a minute.
    pub fn stop(&mut self) -> ExitStatus {
        // It may have ended by itself; then the caller gets its status.
        let _ = kill(self.nix_pid(), Signal::SIGTERM);
        self.wait(STOP_TIMEOUT)
    }

    /// Waits for the program to end by itself.
    ///
    /// # Panics
    ///
    /// If it is still running after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let ended = || self.child.try_wait().expect("a child can be waited for");
        let Some(status) = wait_for(timeout, ended) else {
            let lines = self.output.lock().to_string();
            panic!("{} did not end within {timeout:?}; it wrote:\n{lines}", self.name);
        };
        self.wait_for_output();
        status
    }

    /// Ends the program at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        // Both fail only if the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Reads the last output, which may still be in the pipes after the end of the process. If a grandchild
    /// keeps them open, this waits only for a second.
    fn wait_for_output(&self) {
        let time = if self.is_written_to() { Duration::from_secs(1) } else { PATIENCE };
        let deadline = Instant::now() + time;
        let mut written = self.output.lock();
        while written.closed_streams < 2 && Instant::now() < deadline {
            written = self.output.wait(written, Duration::from_millis(50));
        }
    }

    /// Returns whether any process has the other end of a pipe.
    fn is_written_to(&self) -> bool {
        // The end of the last writer is reported without being asked for.
        let ask = |pipe| PollFd::new(pipe, PollFlags::empty());
        let mut pipes = self.pipes.each_ref().map(|pipe| ask(pipe.as_fd()));
        poll(&mut pipes, PollTimeout::ZERO).expect("pipes can be polled");
        let has_ended =
            |pipe: &PollFd<'_>| pipe.revents().is_some_and(|it| it.contains(PollFlags::POLLHUP));
        !pipes.iter().all(has_ended)
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        let indiscreet = self.lines().into_iter().find(|line| (self.is_indiscreet)(&line.text));
        if let Some(line) = indiscreet.filter(|_| !std::thread::panicking()) {
            panic!("{} wrote a secret: {}", self.name, line.text);
        }
    }
}

impl Output {
    /// Ignores a poisoned lock: a panic elsewhere does not make the lines wrong.
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        written: MutexGuard<'a, Written>,
        time: Duration,
    ) -> MutexGuard<'a, Written> {
        let waited = self.changed.wait_timeout(written, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(formatter, "  {}", line.text))
    }
}

/// Reads a stream on a thread of its own. Returns the end of the pipe from which it is read.
fn collect(
    pipe: Option<impl Read + AsFd + Send + 'static>,
    stream: Stream,
    output: &Arc<Output>,
) -> OwnedFd {
    let pipe = pipe.expect("the stream was piped");
    let end = pipe.as_fd().try_clone_to_owned().expect("a file descriptor is free");
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).into_owned();
            output.change(|written| written.lines.push(Line { stream, text }));
        }
        output.change(|written| written.closed_streams += 1);
    });
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_written_and_tells_the_exit_status() {
        let script = "echo out; echo err >&2; exit 3";
        let mut program = Program::start("sh", &["-c", script], &[]);
        assert_eq!(program.wait_for_line("out", Duration::from_secs(5)), "out");
        assert_eq!(program.wait(Duration::from_secs(5)).code(), Some(3));
        assert_eq!(program.text(Stream::Stdout), "out\n");
        assert_eq!(program.text(Stream::Stderr), "err\n");
    }

    #[test]
    fn reads_what_is_written() {
        let mut program = Program::spawn_interactive(Command::new("cat"));
        program.write_line("hello");
        assert_eq!(program.wait_for_line("hello", Duration::from_secs(5)), "hello");
    }

    /// Its last output is read, however late the threads that read it run.
    #[test]
    fn nobody_writes_to_a_program_that_has_ended_but_a_grandchild() {
        let mut program = Program::start("true", &[] as &[&str], &[]);
        program.wait(PATIENCE);
        assert!(!program.is_written_to());

        let mut program = Program::start("sh", &["-c", "sleep 1000 & echo $!"], &[]);
        let sleeper = program.wait_for_line("", PATIENCE).parse().unwrap();
        let began = Instant::now();
        program.wait(PATIENCE);
        assert!(program.is_written_to() && began.elapsed() < PATIENCE);
        kill(Pid::from_raw(sleeper), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn stop_asks_politely() {
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
        let mut program = Program::start("sh", &["-c", script], &[]);
        program.wait_for_line("ready", Duration::from_secs(5));
        assert!(program.is_running());
        assert_eq!(program.stop().code(), Some(7));
    }

    #[test]
    #[should_panic(expected = "did not write \"hello\" before it ended")]
    fn does_not_wait_for_a_line_that_cannot_come() {
        let program = Program::start("true", &[] as &[&str], &[]);
        program.wait_for_line("hello", Duration::from_secs(60));
    }
}
