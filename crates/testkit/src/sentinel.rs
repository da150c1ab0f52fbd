use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::port::free_port;
use crate::redis_server::{RedisServer, server_program};
use crate::wait::wait_until;

/// A master, a replica, and a sentinel that fails over half a second after the master stopped
/// responding. All of them end when this is dropped.
#[derive(Debug)]
pub struct Sentinel {
    port: u16,
    child: Child,
    master: RedisServer,
    replica: RedisServer,
    _directory: TempDir,
}

impl Sentinel {
    /// # Panics
    ///
    /// If `redis-server` is not installed, or the three do not find each other.
    pub fn start() -> Sentinel {
        let master = RedisServer::start();
        let replica =
            RedisServer::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
        wait_until("the replica follows", || {
            info(&replica, "replication").contains("master_link_status:up")
        });
        let directory = tempfile::tempdir().expect("cannot make a directory for the sentinel");
        let port = free_port();
        let file = directory.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor m 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds m 500\nsentinel failover-timeout m 10000\n",
            directory.path().display(),
            master.port()
        );
        std::fs::write(&file, settings).expect("the sentinel's settings can be written");
        let child = server_program()
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server is needed for this test: {error}"));
        let sentinel = Sentinel { port, child, master, replica, _directory: directory };
        wait_until("the sentinel knows the replica", || sentinel.knows_replica());
        sentinel
    }

    /// Returns `redis-sentinel://127.0.0.1:PORT/m`.
    pub fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/m", self.port)
    }

    /// Opens a blocking connection to the sentinel itself.
    ///
    /// # Panics
    ///
    /// If the sentinel does not respond.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port));
        let connected = client.and_then(|client| client.get_connection());
        connected.expect("the sentinel accepts connections")
    }

    /// Returns the server that was the master at first.
    pub fn master(&mut self) -> &mut RedisServer {
        &mut self.master
    }

    /// Returns the server that is the master after the fail-over.
    pub fn replica(&self) -> &RedisServer {
        &self.replica
    }

    /// Makes the sentinel replace the master although it works, as for maintenance.
    ///
    /// # Panics
    ///
    /// If the sentinel does not do so.
    pub fn fail_over(&self) {
        let mut connection = self.connection();
        // It knows the replica's state only after a while.
        wait_until("the sentinel promotes the replica", || {
            redis::cmd("SENTINEL").arg("failover").arg("m").exec(&mut connection).is_ok()
        });
    }

    /// Waits until the replica has become the master.
    ///
    /// # Panics
    ///
    /// If it does not become the master.
    pub fn wait_for_failover(&self) {
        wait_until("the replica takes over", || {
            info(&self.replica, "replication").contains("role:master")
        });
    }

    fn knows_replica(&self) -> bool {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port));
        let Ok(mut connection) = client.and_then(|client| client.get_connection()) else {
            return false;
        };
        let replicas: Result<Vec<redis::Value>, _> =
            redis::cmd("SENTINEL").arg("replicas").arg("m").query(&mut connection);
        replicas.is_ok_and(|replicas| replicas.len() == 1)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // Both fail only if the sentinel has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn info(server: &RedisServer, section: &str) -> String {
    redis::cmd("INFO").arg(section).query(&mut server.connection()).unwrap_or_default()
}
