use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::port::free_port;
use crate::redis_server::{RedisServer, server_program};
use crate::wait::wait_until;

/// A master, replicas, and sentinels that fail over half a second after the master stopped responding.
/// All of them end when this is dropped.
#[derive(Debug)]
pub struct Sentinel {
    sentinels: Vec<Watcher>,
    master: RedisServer,
    replicas: Vec<RedisServer>,
}

/// One sentinel.
#[derive(Debug)]
struct Watcher {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Sentinel {
    /// Starts a master, a replica and a sentinel.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed, or the three do not find each other.
    pub fn start() -> Sentinel {
        Sentinel::start_with(1, 1)
    }

    /// Starts a master with this number of replicas and sentinels.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(replicas: usize, sentinels: usize) -> Sentinel {
        let settings = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"];
        let master = RedisServer::start_with(&settings);
        let port = master.port().to_string();
        let follow = [&settings[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replicas: Vec<_> = (0..replicas).map(|_| RedisServer::start_with(&follow)).collect();
        master.wait_for_replicas(replicas.len());
        let quorum = sentinels / 2 + 1;
        let sentinels = (0..sentinels).map(|_| Watcher::start(master.port(), quorum)).collect();
        let sentinel = Sentinel { sentinels, master, replicas };
        wait_until("the sentinels know the replicas and each other", || sentinel.knows_all());
        sentinel
    }

    /// Returns `redis-sentinel://127.0.0.1:PORT,…/m`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis-sentinel://{}/m", hosts.join(","))
    }

    /// Opens a blocking connection to the first sentinel.
    ///
    /// # Panics
    ///
    /// If the sentinel does not respond.
    pub fn connection(&self) -> redis::Connection {
        self.sentinels[0].connect().expect("the sentinel accepts connections")
    }

    /// Returns the server that was the master at first.
    pub fn master(&mut self) -> &mut RedisServer {
        &mut self.master
    }

    /// Returns the first replica. If there is only one, it is the master after the fail-over.
    pub fn replica(&self) -> &RedisServer {
        &self.replicas[0]
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
            info(self.replica(), "replication").contains("role:master")
        });
    }

    fn knows_all(&self) -> bool {
        self.sentinels.iter().all(|sentinel| {
            let Ok(mut connection) = sentinel.connect() else { return false };
            let mut count = |what: &str| {
                let listed: Result<Vec<redis::Value>, _> =
                    redis::cmd("SENTINEL").arg(what).arg("m").query(&mut connection);
                listed.map_or(0, |listed| listed.len())
            };
            count("replicas") == self.replicas.len()
                && count("sentinels") == self.sentinels.len() - 1
        })
    }
}

impl Watcher {
    fn start(master: u16, quorum: usize) -> Watcher {
        let directory = tempfile::tempdir().expect("cannot make a directory for the sentinel");
        let port = free_port();
        let file = directory.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor m 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds m 500\nsentinel failover-timeout m 10000\n",
            directory.path().display(),
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
        Watcher { port, child, _directory: directory }
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?.get_connection()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Both fail only if the sentinel has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn info(server: &RedisServer, section: &str) -> String {
    redis::cmd("INFO").arg(section).query(&mut server.connection()).unwrap_or_default()
}
