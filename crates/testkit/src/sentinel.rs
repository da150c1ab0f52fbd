use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::host::Host;
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
    host: Host,
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
        Sentinel::start_on(&[Host::local()], replicas, sentinels)
    }

    /// Starts a master on the first of these hosts, and the replicas and sentinels on all of them.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_on(hosts: &[Host], replicas: usize, sentinels: usize) -> Sentinel {
        let on = |number: usize| &hosts[number % hosts.len()];
        let settings = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"];
        let master = RedisServer::start_on(on(0), &settings);
        let (address, port) = (on(0).address().to_string(), master.port().to_string());
        let follow = [&settings[..], &["--replicaof", &address, &port]].concat();
        let replica = |number| RedisServer::start_on(on(number), &follow);
        let replicas: Vec<_> = (1..=replicas).map(replica).collect();
        master.wait_for_replicas(replicas.len());
        let quorum = sentinels / 2 + 1;
        let sentinel = |number| Watcher::start(on(number), &master, quorum);
        let sentinels = (0..sentinels).map(sentinel).collect();
        let sentinel = Sentinel { sentinels, master, replicas };
        wait_until("the sentinels know the replicas and each other", || sentinel.knows_all());
        sentinel
    }

    /// Returns `redis-sentinel://127.0.0.1:PORT,…/m`.
    pub fn url(&self) -> String {
        format!("redis-sentinel://{}/m", self.addresses())
    }

    /// Returns `127.0.0.1:PORT,…`, the addresses of the sentinels.
    pub fn addresses(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(Watcher::address).collect();
        hosts.join(",")
    }

    /// Makes the sentinels forget the master, and monitor another server under its name.
    ///
    /// # Panics
    ///
    /// If a sentinel refuses.
    pub fn monitor(&self, master: &RedisServer) {
        for sentinel in &self.sentinels {
            let mut connection = sentinel.connect().expect("the sentinel accepts connections");
            let mut send = |words: &[&str]| {
                let mut command = redis::cmd("SENTINEL");
                command.arg(words).exec(&mut connection).expect("the sentinel changes its master");
            };
            send(&["REMOVE", "m"]);
            let (address, port) = (master.host().address().to_string(), master.port().to_string());
            let quorum = (self.sentinels.len() / 2 + 1).to_string();
            send(&["MONITOR", "m", &address, &port, &quorum]);
        }
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

    /// Makes the first replica a second master, and waits until the sentinels make it a replica again.
    ///
    /// # Panics
    ///
    /// If they do not.
    pub fn promote_by_hand(&self) {
        let promote = redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).clone();
        promote.exec(&mut self.replica().connection()).expect("a replica can be promoted");
        wait_until("the sentinels make it a replica again", || {
            info(self.replica(), "replication").contains("role:slave")
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
    fn start(host: &Host, master: &RedisServer, quorum: usize) -> Watcher {
        let directory = tempfile::tempdir().expect("cannot make a directory for the sentinel");
        let port = free_port();
        let file = directory.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind {}\nprotected-mode no\ndir {}\n\
             sentinel monitor m {} {} {quorum}\nsentinel down-after-milliseconds m 500\nsentinel failover-timeout m 10000\n",
            host.address(),
            directory.path().display(),
            master.host().address(),
            master.port(),
        );
        std::fs::write(&file, settings).expect("the sentinel's settings can be written");
        let mut program = server_program();
        program.arg(&file).arg("--sentinel");
        let child = host
            .command(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server is needed for this test: {error}"));
        Watcher { host: host.clone(), port, child, _directory: directory }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host.address(), self.port)
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(format!("redis://{}", self.address()))?.get_connection()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Both fail only if the sentinel has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a section of INFO. It is empty while the server gives up its connections, as on a change of its role.
fn info(server: &RedisServer, section: &str) -> String {
    let connection = redis::Client::open(server.url()).and_then(|client| client.get_connection());
    let ask = |mut connection| redis::cmd("INFO").arg(section).query(&mut connection);
    connection.and_then(ask).unwrap_or_default()
}
