//! A temporary `redis-server` on a free loopback port, and a raw connection that is independent of
//! the client under test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The time limit for the start of a server on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(5);

/// One running server. It is killed, by its process id, when this value is dropped.
pub struct Server {
    pub port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts a plain server on a free port, pinned to the second core.
    pub fn start(extra: &[&str]) -> Result<Self> {
        Self::start_on(free_port()?, extra)
    }

    /// Starts a server on a given port.
    pub fn start_on(port: u16, extra: &[&str]) -> Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("redis-clients-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let arguments = extra.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { port, folder, arguments, child: None };
        server.launch()?;
        Ok(server)
    }

    /// Starts the process again after [`Server::kill`], on the same port.
    pub fn launch(&mut self) -> Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new("taskset");
        command.args(["-c", "1", "redis-server"]);
        // A sentinel reads all settings from its file, which it rewrites.
        if !self.arguments.iter().any(|argument| argument == "--sentinel") {
            command
                .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--dir"])
                .arg(&self.folder);
        }
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start redis-server")?;
        self.child = Some(child);
        self.wait_until_ready()
    }

    /// Kills the process, like a crash.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Suspends the process without closing its sockets.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Opens a raw connection that uses no client library.
    pub fn raw(&self) -> Result<Raw> {
        Raw::connect(self.port)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("the server is not running")?;
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        Ok(())
    }

    fn wait_until_ready(&self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if Raw::connect(self.port).is_ok_and(|mut raw| raw.call(&["PING"]).is_ok()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("redis-server on port {} did not answer in {START_LIMIT:?}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns a port that is probably free.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A minimal client: RESP2, one command at a time.
pub struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    pub fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one command and returns the reply as text; elements of an array are joined by spaces.
    pub fn call(&mut self, command: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", command.len());
        for part in command {
            request += &format!("${}\r\n{part}\r\n", part.len());
        }
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the server closed the connection");
        let line = line.trim_end();
        let rest = line.get(1..).unwrap_or_default();
        match line.as_bytes().first() {
            Some(b'+' | b':') => Ok(rest.to_owned()),
            Some(b'-') => bail!("{rest}"),
            Some(b'$') => self.bulk(rest.parse()?),
            Some(b'*') => {
                let count: usize = rest.parse().unwrap_or(0);
                let parts = (0..count).map(|_| self.reply()).collect::<Result<Vec<_>>>()?;
                Ok(parts.join(" "))
            }
            _ => bail!("unexpected reply {line:?}"),
        }
    }

    fn bulk(&mut self, length: i64) -> Result<String> {
        let Ok(length) = usize::try_from(length) else { return Ok("(nil)".to_owned()) };
        let mut body = vec![0; length + 2];
        self.stream.read_exact(&mut body)?;
        body.truncate(length);
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
