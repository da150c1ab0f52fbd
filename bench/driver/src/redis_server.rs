//! The Redis server that all programs share, and its statistics.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use redis::{Client, Connection};

use crate::server::Process;

const START: Duration = Duration::from_secs(5);

pub struct RedisServer {
    process: Process,
    pub url: String,
    connection: RefCell<Connection>,
}

/// The number of calls so far, of each command and in total, including those inside scripts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    pub total: u64,
    pub by_command: BTreeMap<String, u64>,
}

impl RedisServer {
    /// Starts a server without persistence on a free port, on the driver's core.
    pub fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("redis://127.0.0.1:{port}");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null());
        let process = Process::start(&mut command)?;
        let connection = RefCell::new(connect(&url)?);
        Ok(Self { process, url, connection })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn version(&self) -> Result<String> {
        let info = self.info("server")?;
        Ok(field(&info, "redis_version").context("INFO has no version")?.to_owned())
    }

    pub fn calls(&self) -> Result<Calls> {
        let info = self.info("all")?;
        calls(&info).context("INFO has no command statistics")
    }

    pub fn stream_length(&self, key: &str) -> Result<u64> {
        Ok(redis::cmd("XLEN").arg(key).query(&mut self.connection.borrow_mut())?)
    }

    /// Deletes all entries of a stream and keeps its last id.
    pub fn empty_stream(&self, key: &str) -> Result<()> {
        let mut trim = redis::cmd("XTRIM");
        trim.arg(key).arg("MAXLEN").arg(0);
        Ok(trim.exec(&mut self.connection.borrow_mut())?)
    }

    fn info(&self, section: &str) -> Result<String> {
        Ok(redis::cmd("INFO").arg(section).query(&mut self.connection.borrow_mut())?)
    }
}

fn connect(url: &str) -> Result<Connection> {
    let (client, since) = (Client::open(url)?, Instant::now());
    loop {
        match client.get_connection() {
            Err(_) if since.elapsed() < START => thread::sleep(Duration::from_millis(20)),
            result => return result.context("the started Redis does not reply"),
        }
    }
}

fn calls(info: &str) -> Option<Calls> {
    let total = field(info, "total_commands_processed")?.parse().ok()?;
    let by_command = info.lines().filter_map(|line| {
        let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), counts.split(',').next()?.parse().ok()?))
    });
    Some(Calls { total, by_command: by_command.collect() })
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_info() {
        let info = "# Stats\r\ntotal_commands_processed:12\r\n# Commandstats\r\n\
                    cmdstat_get:calls=9,usec=3,usec_per_call=0.33\r\n";
        let by_command = BTreeMap::from([("get".to_owned(), 9)]);
        assert_eq!(calls(info), Some(Calls { total: 12, by_command }));
        assert_eq!(calls("# Stats\r\n"), None);
    }
}
