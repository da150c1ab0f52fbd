use std::process::Command;

use crate::host::Host;
use crate::redis_server::RedisServer;
use crate::wait::wait_until;

const SLOTS: usize = 16_384;

/// The settings of a server of a cluster.
const SETTINGS: [&str; 6] =
    ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--appendonly", "yes"];

/// A Redis Cluster of primaries, each with a part of the slots. All of them end when this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<RedisServer>,
    /// The number of servers that have a part of the slots at first.
    parts: usize,
    /// The replica of each server, if there are any.
    replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts a cluster of `servers` servers. Even a cluster of one server refuses commands across slots.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed, or the cluster does not start.
    pub fn start(servers: usize) -> RedisCluster {
        RedisCluster::start_on(&[Host::local()], servers)
    }

    /// Starts a cluster of `servers` servers on these hosts.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_on(hosts: &[Host], servers: usize) -> RedisCluster {
        let server = |number| RedisServer::start_on(&hosts[number % hosts.len()], &SETTINGS);
        let servers: Vec<_> = (0..servers).map(server).collect();
        let part = SLOTS.div_ceil(servers.len());
        for (number, server) in servers.iter().enumerate() {
            let slots = (number * part..SLOTS.min((number + 1) * part)).collect::<Vec<_>>();
            run(server, redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots));
            run(server, redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1));
        }
        for server in &servers[1..] {
            meet(server, &servers[0]);
        }
        wait_until("the cluster is up", || {
            servers.iter().all(|server| is_up(server, servers.len()))
        });
        RedisCluster { parts: servers.len(), servers, replicas: Vec::new() }
    }

    /// Starts a cluster in which each server has a replica.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn with_replicas(servers: usize) -> RedisCluster {
        RedisCluster::with_replicas_on(&[Host::local()], servers)
    }

    /// Starts a cluster in which each server has a replica on the next one of these hosts.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn with_replicas_on(hosts: &[Host], servers: usize) -> RedisCluster {
        let mut cluster = RedisCluster::start_on(hosts, servers);
        for (number, primary) in cluster.servers.iter().enumerate() {
            let replica = RedisServer::start_on(&hosts[(number + 1) % hosts.len()], &SETTINGS);
            meet(&replica, primary);
            let id = node_id(primary);
            wait_until("the replica knows its primary", || {
                let replicate = redis::cmd("CLUSTER").arg("REPLICATE").arg(&id).clone();
                replicate.exec(&mut replica.connection()).is_ok()
            });
            cluster.replicas.push(replica);
        }
        cluster.servers.iter().for_each(|primary| primary.wait_for_replicas(1));
        cluster
    }

    /// Returns the replica of each server, to pause or kill it.
    pub fn replica_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.replicas[number]
    }

    /// Returns the replica of each server.
    pub fn replicas(&self) -> &[RedisServer] {
        &self.replicas
    }

    /// Returns the number of the server whose slot range includes this slot at first.
    pub fn owner(&self, slot: u16) -> usize {
        usize::from(slot) / SLOTS.div_ceil(self.parts)
    }

    /// From now on, no server calls another one failed, however long that one is suspended.
    ///
    /// # Panics
    ///
    /// If a server does not respond.
    pub fn suspect_nobody(&self) {
        for server in self.servers.iter().chain(&self.replicas) {
            let words = ["SET", "cluster-node-timeout", "3600000"];
            run(server, redis::cmd("CONFIG").arg(&words));
        }
    }

    /// Makes a replica the primary of its slots, together with the old one (`CLUSTER FAILOVER`).
    ///
    /// # Panics
    ///
    /// If it refuses.
    pub fn fail_over(&self, number: usize) {
        run(&self.replicas[number], redis::cmd("CLUSTER").arg("FAILOVER"));
    }

    /// Makes the server of this number a primary again, together with its replica.
    ///
    /// # Panics
    ///
    /// If it refuses.
    pub fn fail_back(&self, number: usize) {
        run(&self.servers[number], redis::cmd("CLUSTER").arg("FAILOVER"));
    }

    /// Adds a server without slots, and returns its number. [`owner`](Self::owner) counts only the
    /// servers of the start.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn add_server(&mut self) -> usize {
        let (server, number) = (RedisServer::start_with(&SETTINGS), self.servers.len());
        for known in &self.servers {
            run(known, redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(server.port()));
        }
        let id = node_id(&server);
        self.servers.push(server);
        wait_until("all servers know the new one, and it knows the others", || {
            let joined = &self.servers[number];
            is_up(joined, self.parts)
                && self.servers.iter().all(|server| {
                    let nodes = redis::cmd("CLUSTER").arg("NODES").query(&mut server.connection());
                    nodes.is_ok_and(|nodes: String| {
                        nodes.contains(&id) && !nodes.contains("handshake")
                    })
                })
        });
        number
    }

    /// Returns whether the server is the primary of this slot by its own account.
    pub fn has_slot(server: &RedisServer, slot: u16) -> bool {
        let asked = redis::cmd("CLUSTER").arg("NODES").query(&mut server.connection());
        let nodes: String = asked.unwrap_or_default();
        let Some(myself) = nodes.lines().find(|line| line.contains("myself")) else { return false };
        myself.split(' ').skip(8).filter(|range| !range.starts_with('[')).any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let bounds = [first, last].map(|bound| bound.parse::<u16>().expect("a slot"));
            (bounds[0]..=bounds[1]).contains(&slot)
        })
    }

    /// Moves one slot with all its keys from a server to another one.
    ///
    /// # Panics
    ///
    /// If a server refuses.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to, &[]);
        let (source, target) = (&self.servers[from], &self.servers[to]);
        loop {
            let mut list = redis::cmd("CLUSTER");
            list.arg("GETKEYSINSLOT").arg(slot).arg(10);
            let keys: Vec<Vec<u8>> = list.query(&mut source.connection()).expect("it lists keys");
            if keys.is_empty() {
                break;
            }
            let mut migrate = redis::cmd("MIGRATE");
            migrate
                .arg(target.host().address().to_string())
                .arg(target.port())
                .arg("")
                .arg(0)
                .arg(5000)
                .arg("KEYS");
            run(source, migrate.arg(keys));
        }
        for server in [target, source] {
            let mut set = redis::cmd("CLUSTER");
            run(server, set.arg("SETSLOT").arg(slot).arg("NODE").arg(node_id(target)));
        }
    }

    /// Moves one slot from a server to another one, except for the last step: each key is at one of
    /// the two, and the first one still owns the slot.
    ///
    /// # Panics
    ///
    /// If a server refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize, keys: &[&str]) {
        let [from, to] = [&self.servers[from], &self.servers[to]];
        let (source, target) = (node_id(from), node_id(to));
        let set = |state: &str, id: &str| {
            let mut command = redis::cmd("CLUSTER");
            command.arg("SETSLOT").arg(slot).arg(state).arg(id);
            command
        };
        run(to, &set("IMPORTING", &source));
        run(from, &set("MIGRATING", &target));
        for key in keys {
            let mut migrate = redis::cmd("MIGRATE");
            run(
                from,
                migrate
                    .arg(to.host().address().to_string())
                    .arg(to.port())
                    .arg(*key)
                    .arg(0)
                    .arg(5000),
            );
        }
    }

    /// Moves this number of slots from the servers of the start to the one that was [added](Self::add_server):
    /// atomically if the servers can do so, as Valkey can since 9.0, otherwise key by key with `redis-cli`.
    ///
    /// # Panics
    ///
    /// If a server refuses.
    pub fn reshard(&self, to: usize, slots: usize) {
        let target = &self.servers[to];
        if !migrates_slots(target) {
            let (id, slots) = (node_id(target), slots.to_string());
            let reshard = Command::new("redis-cli")
                .args(["--cluster", "reshard", &target.address(), "--cluster-from", "all"])
                .args(["--cluster-to", &id, "--cluster-slots", &slots, "--cluster-yes"])
                .output()
                .expect("redis-cli is needed for this test");
            let said = [reshard.stdout, reshard.stderr].concat();
            assert!(reshard.status.success(), "{}", String::from_utf8_lossy(&said));
            return;
        }
        let (each, part) = (slots / self.parts, SLOTS.div_ceil(self.parts));
        for (number, source) in self.servers[..self.parts].iter().enumerate() {
            let (first, last) = (number * part, number * part + each - 1);
            let mut migrate = redis::cmd("CLUSTER");
            migrate.arg(&["MIGRATESLOTS", "SLOTSRANGE"]).arg(first).arg(last);
            run(source, migrate.arg("NODE").arg(node_id(target)));
            let last = u16::try_from(last).expect("a slot");
            wait_until("the slots have moved", || RedisCluster::has_slot(target, last));
        }
    }

    /// Returns `redis-cluster://127.0.0.1:PORT,…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(RedisServer::address).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Returns one of the servers, to kill and restart it.
    pub fn server_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.servers[number]
    }
}

fn run(server: &RedisServer, command: &redis::Cmd) {
    command.exec(&mut server.connection()).expect("a fresh server takes its part");
}

fn meet(server: &RedisServer, other: &RedisServer) {
    let address = other.host().address().to_string();
    run(server, redis::cmd("CLUSTER").arg("MEET").arg(address).arg(other.port()));
}

fn node_id(server: &RedisServer) -> String {
    redis::cmd("CLUSTER").arg("MYID").query(&mut server.connection()).expect("a node has an id")
}

fn migrates_slots(server: &RedisServer) -> bool {
    let help = redis::cmd("CLUSTER").arg("HELP").query(&mut server.connection());
    help.is_ok_and(|help: Vec<String>| help.iter().any(|line| line.starts_with("MIGRATESLOTS")))
}

fn is_up(server: &RedisServer, servers: usize) -> bool {
    let info: String =
        redis::cmd("CLUSTER").arg("INFO").query(&mut server.connection()).unwrap_or_default();
    info.contains("cluster_state:ok") && info.contains(&format!("cluster_size:{servers}\r"))
}
