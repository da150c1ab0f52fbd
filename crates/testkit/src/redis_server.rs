use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::host::Host;
use crate::port::free_port;
use crate::wait::{wait_for, wait_until};

const START_TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPTS: usize = 5;

/// The field of `INFO` for loading. A server replies to `INFO` while it refuses all other commands with
/// `LOADING`.
const HAS_LOADED: &str = "\r\nloading:0\r\n";

/// A real `redis-server` on a free port, with its own directory. When this is dropped, the server is
/// killed and the directory is removed.
#[derive(Debug)]
pub struct RedisServer {
    host: Host,
    port: u16,
    args: Vec<String>,
    directory: TempDir,
    child: Child,
}

impl RedisServer {
    /// Starts a server without persistence.
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// Starts a server with more arguments, for example `["--appendonly", "yes"]`.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed, or does not respond.
    pub fn start_with(args: &[&str]) -> RedisServer {
        RedisServer::start_on(&Host::local(), args)
    }

    /// Starts a server with more arguments on a host.
    ///
    /// # Panics
    ///
    /// As [`start_with`](Self::start_with).
    pub fn start_on(host: &Host, args: &[&str]) -> RedisServer {
        let directory = tempfile::tempdir().expect("cannot make a directory for redis-server");
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut child = spawn(host, port, &directory, &args);
            if answers(&mut child, host, port, HAS_LOADED) {
                let host = host.clone();
                return RedisServer { host, port, args, directory, child };
            }
        }
        panic!("redis-server does not start; arguments: {args:?}");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns `ADDRESS:PORT`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host.address(), self.port)
    }

    /// Returns `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Returns `redis://127.0.0.1:PORT/N`.
    pub fn url_db(&self, database: u8) -> String {
        format!("{}/{database}", self.url())
    }

    /// Opens a blocking connection to database 0, to read its data.
    pub fn connection(&self) -> redis::Connection {
        self.connection_db(0)
    }

    /// Opens a blocking connection to another database.
    pub fn connection_db(&self, database: u8) -> redis::Connection {
        connect(&self.url_db(database)).expect("redis-server accepts connections")
    }

    /// Waits until this number of replicas acknowledges a write. A replica reports that it follows up to
    /// a second before the server sends it anything.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn wait_for_replicas(&self, count: usize) {
        let mut connection = self.connection();
        let mut is_acknowledged = || {
            let written = redis::cmd("PUBLISH").arg("").arg("").exec(&mut connection);
            let acknowledged = redis::cmd("WAIT").arg(count).arg(100).query(&mut connection);
            written.is_ok() && acknowledged.is_ok_and(|found: usize| found >= count)
        };
        // What is written before a server has its first replica has the offset 0, which a replica acknowledges
        // before it has received anything.
        wait_until("the replicas acknowledge a write", || is_acknowledged() && is_acknowledged());
    }

    /// Ends the server at once (SIGKILL), as a crash would. It keeps its port and its directory.
    pub fn kill(&mut self) {
        // Both fail only if the server has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the server again on the same port and directory (and kills it first, if it runs).
    ///
    /// # Panics
    ///
    /// If it does not start again.
    pub fn restart(&mut self) {
        self.restart_until(HAS_LOADED);
    }

    /// Restarts the server with more arguments, and does not wait until it has loaded its data.
    ///
    /// # Panics
    ///
    /// As [`restart`](Self::restart).
    pub fn restart_loading(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(ToString::to_string));
        self.restart_until("");
    }

    fn restart_until(&mut self, info: &str) {
        self.kill();
        for _ in 0..ATTEMPTS {
            self.child = spawn(&self.host, self.port, &self.directory, &self.args);
            if answers(&mut self.child, &self.host, self.port, info) {
                return;
            }
        }
        panic!("redis-server does not come up again on port {}", self.port);
    }

    /// Pauses the server (SIGSTOP): connections stay open, and the server does not respond.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Resumes a paused server (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to redis-server: {error}"));
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the command of the server that `REDIS_SERVER` names, such as that of another engine.
pub fn server_program() -> Command {
    Command::new(std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into()))
}

fn spawn(host: &Host, port: u16, directory: &TempDir, args: &[String]) -> Child {
    let mut program = server_program();
    program
        .args(["--bind", &host.address().to_string(), "--port", &port.to_string()])
        .args(["--protected-mode", "no", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(directory.path())
        .args(args);
    host.command(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("redis-server is needed for this test: {error}"))
}

/// Waits until this server replies to `INFO` with this text. Returns false if the server ended, for
/// example because another process took the port first.
fn answers(child: &mut Child, host: &Host, port: u16, info: &str) -> bool {
    let process_id = format!("process_id:{}\r\n", child.id());
    let answers = wait_for(START_TIMEOUT, || {
        if child.try_wait().expect("a child can be waited for").is_some() {
            return Some(false);
        }
        let text = server_info(host, port)?;
        (text.contains(&process_id) && text.contains(info)).then_some(true)
    });
    answers.unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        false
    })
}

fn server_info(host: &Host, port: u16) -> Option<String> {
    let mut connection = connect(&format!("redis://{}:{port}", host.address())).ok()?;
    redis::cmd("INFO").query(&mut connection).ok()
}

fn connect(url: &str) -> redis::RedisResult<redis::Connection> {
    redis::Client::open(url)?.get_connection_with_timeout(START_TIMEOUT)
}

#[cfg(feature = "external-tests")]
#[cfg(test)]
mod tests {
    use redis::Commands;

    use super::*;

    #[test]
    fn databases_are_apart_and_a_restart_forgets() {
        let mut server = RedisServer::start();
        let port = server.port();
        let _: () = server.connection_db(1).set("key", "value").unwrap();
        let elsewhere: Option<String> = server.connection().get("key").unwrap();
        assert_eq!(elsewhere, None);
        server.restart();
        assert_eq!(server.port(), port);
        let after: Option<String> = server.connection_db(1).get("key").unwrap();
        assert_eq!(after, None);
    }

    #[test]
    fn an_append_only_server_remembers() {
        let mut server =
            RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let _: () = server.connection().set("key", "value").unwrap();
        server.restart();
        let value: Option<String> = server.connection().get("key").unwrap();
        assert_eq!(value.as_deref(), Some("value"));
    }

    /// Its data takes the server a while to load.
    #[test]
    fn a_restarted_server_has_loaded_its_data() {
        let mut server =
            RedisServer::start_with(&["--appendonly", "yes", "--key-load-delay", "200"]);
        let mut pipeline = redis::pipe();
        for number in 0..5000 {
            pipeline.set(number, "value").ignore();
        }
        pipeline.exec(&mut server.connection()).unwrap();
        server.restart();
        let value: Option<String> = server.connection().get(4999).unwrap();
        assert_eq!(value.as_deref(), Some("value"));
    }

    #[test]
    fn a_paused_server_answers_after_it_resumes() {
        let server = RedisServer::start();
        let mut connection = server.connection();
        connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        server.pause();
        assert!(redis::cmd("PING").query::<String>(&mut connection).is_err());
        server.resume();
        assert_eq!(redis::cmd("PING").query::<String>(&mut server.connection()).unwrap(), "PONG");
    }
}
