use crate::redis_server::RedisServer;
use crate::wait::wait_until;

const SLOTS: usize = 16_384;

/// A Redis Cluster of primaries, each with a part of the slots. All of them end when this is dropped.
#[derive(Debug)]
pub struct RedisCluster(Vec<RedisServer>);

impl RedisCluster {
    /// Starts a cluster of `servers` servers. Even a cluster of one server refuses commands across slots.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed, or the cluster does not start.
    pub fn start(servers: usize) -> RedisCluster {
        let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let servers: Vec<_> = (0..servers).map(|_| RedisServer::start_with(&settings)).collect();
        let part = SLOTS.div_ceil(servers.len());
        for (number, server) in servers.iter().enumerate() {
            let slots = (number * part..SLOTS.min((number + 1) * part)).collect::<Vec<_>>();
            run(server, redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots));
            run(server, redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1));
        }
        for server in &servers[1..] {
            let first = servers[0].port();
            run(server, redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(first));
        }
        wait_until("the cluster is up", || {
            servers.iter().all(|server| is_up(server, servers.len()))
        });
        RedisCluster(servers)
    }

    /// Returns `redis-cluster://127.0.0.1:PORT,…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.0.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    pub fn servers(&self) -> &[RedisServer] {
        &self.0
    }

    /// Returns one of the servers, to kill and restart it.
    pub fn server_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.0[number]
    }
}

fn run(server: &RedisServer, command: &redis::Cmd) {
    command.exec(&mut server.connection()).expect("a fresh server takes its part");
}

fn is_up(server: &RedisServer, servers: usize) -> bool {
    let info: String =
        redis::cmd("CLUSTER").arg("INFO").query(&mut server.connection()).unwrap_or_default();
    info.contains("cluster_state:ok") && info.contains(&format!("cluster_size:{servers}\r"))
}
