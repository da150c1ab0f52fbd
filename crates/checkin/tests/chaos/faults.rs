//! The faults: how each of them happens and ends.

use std::fmt;
use std::time::Duration;

use redis_link::{hash_slot, redis};
use testkit::{Rng, Signal};

use super::clocks::Clock;
use super::deployment::{Deployment, Servers, World};
use super::history::History;
use super::network::{Cut, Network};
use super::processes::{NoFiles, starve};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    KillReceivers,
    KillProcessors,
    /// All services are killed at the same moment.
    KillServices,
    /// A processor is suspended for longer than its lease.
    SuspendProcessor,
    KillServer,
    /// Everything that is not synced is lost.
    LosePower,
    SuspendServer,
    StopServer,
    ForgetScripts,
    KillConnections,
    PauseWrites,
    /// The server accepts no new connection.
    NoClients,
    FullMemory,
    FullDisk,
    CutConnections,
    FreezeConnections,
    /// Everything is delayed by so many milliseconds in each direction, from the first to the second number.
    Delay(u64, u64),
    /// Two processors have the same name.
    SameName,
    /// The services can open no file and no connection.
    NoFilesOfServices,
    NoFilesOfServer,
    SetClock(Clock),
    /// All processes are suspended nine tenths of the time.
    Starve,
    KillMaster,
    SuspendMaster,
    PlannedFailOver,
    /// A replica is a second master until the sentinels notice it.
    PromoteByHand,
    SuspendReplica,
    MoveSlots,
    AddServer,
    /// The first host and the others cannot reach each other.
    Partition(Cut),
    LosePackets,
    /// The network of the first host is slow.
    Narrow,
}

/// How long most faults last.
const AWAY: Duration = Duration::from_secs(4);

/// Longer than a fail-over takes, and than a primary of a cluster accepts writes without the others.
const PARTED: Duration = Duration::from_secs(8);

/// The number of slots that a new server takes over. The log's partition 2 is in one of them.
const SLOTS: usize = 600;

/// The part of the packets that is lost, in a hundred.
const LOST: u8 = 30;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::KillReceivers => "receivers are killed (-9) five times",
            Self::KillProcessors => "processors are killed (-9) five times",
            Self::KillServices => "all services are killed (-9) at once, five times",
            Self::SuspendProcessor => "a processor is suspended for 4 s, its lease is 1 s",
            Self::KillServer => "Redis is killed (-9) and restarted",
            Self::LosePower => "the disk and its programs lose power, three times",
            Self::SuspendServer => "Redis is suspended for 4 s",
            Self::StopServer => "Redis is away for 4 s",
            Self::ForgetScripts => "Redis forgets all scripts, twenty times",
            Self::KillConnections => "Redis drops all connections, twenty times",
            Self::PauseWrites => "Redis pauses all writes for 4 s",
            Self::NoClients => {
                "Redis drops all connections, and accepts none for 4 s (`maxclients`)"
            }
            Self::FullMemory => "the memory of Redis is full for 4 s",
            Self::FullDisk => "the disk is full for 4 s",
            Self::CutConnections => {
                "the connections are cut thirty times, with replies on their way"
            }
            Self::FreezeConnections => "the connections stay open for 4 s and carry nothing",
            Self::Delay(from, to) if from == to => {
                return write!(f, "{from} ms of latency in each direction for 4 s");
            }
            Self::Delay(from, to) => {
                return write!(f, "{from} to {to} ms of latency in each direction for 4 s");
            }
            Self::SameName => "two processors have the same name for 4 s",
            Self::NoFilesOfServices => "no service can open a file or connection for 4 s",
            Self::NoFilesOfServer => "Redis can open no file or connection for 4 s",
            Self::SetClock(clock) => {
                let whose = match clock {
                    Clock::Server => "Redis",
                    Clock::Receiver => "a receiver",
                    Clock::Processor => "a processor",
                    Clock::Authentication => "the authentication service",
                    Clock::Services => "the machine",
                };
                return write!(f, "the clock of {whose} jumps by up to a minute, ahead and back");
            }
            Self::Starve => "every process is suspended nine tenths of the time, for 6 s",
            Self::KillMaster => "the master is killed (-9), and restarted after the fail-over",
            Self::SuspendMaster => "the master is suspended for 4 s and returns as a zombie",
            Self::PlannedFailOver => "a planned fail-over",
            Self::PromoteByHand => {
                "`REPLICAOF NO ONE` makes a replica a second master, until the sentinels undo it"
            }
            Self::SuspendReplica => "a replica is suspended for 4 s",
            Self::MoveSlots => "the slots of all partitions move, key by key",
            Self::AddServer => "a server is added, and takes over 600 slots",
            Self::Partition(Cut::Outgoing) => "nobody hears the first host for 8 s",
            Self::Partition(_) => "the first host is cut off for 8 s",
            Self::LosePackets => "30 % of the packets to the first host are lost for 8 s",
            Self::Narrow => "the first host has 256 kbit/s for 8 s",
        })
    }
}

impl Fault {
    /// Makes the fault happen, and ends it.
    pub(crate) async fn happen(self, on: &mut Deployment, history: &History, chance: &mut Rng) {
        match self {
            Self::None => pause(3000).await,
            Self::KillReceivers => {
                for _ in 0..5 {
                    pause(chance.u64(300..900)).await;
                    let victim = chance.usize(..2);
                    on.receivers[victim].program.kill();
                    on.receivers[victim] = on.receiver(victim);
                }
            }
            Self::KillProcessors => {
                for _ in 0..5 {
                    pause(chance.u64(300..900)).await;
                    let victim = chance.usize(..2);
                    on.processors[victim].kill();
                    on.processors[victim] = on.processor(victim, ["one", "two"][victim]);
                }
            }
            Self::KillServices => {
                for _ in 0..5 {
                    pause(chance.u64(300..900)).await;
                    on.kill_services();
                    on.start_services();
                }
            }
            Self::SuspendProcessor => {
                for processor in &on.processors {
                    processor.signal(Signal::SIGSTOP);
                    tokio::time::sleep(AWAY).await;
                    processor.signal(Signal::SIGCONT);
                }
            }
            Self::SameName => share_name(on).await,
            Self::Starve => starve(on, chance).await,
            Self::NoFilesOfServices => {
                let limits = on.programs().into_iter().map(|program| NoFiles::of(program.pid()));
                let limits: Vec<_> = limits.collect();
                if let Servers::One(server) = &on.servers {
                    kill_connections(&mut server.connection());
                }
                tokio::time::sleep(AWAY).await;
                limits.into_iter().for_each(NoFiles::end);
            }
            Self::LosePower => {
                for _ in 0..3 {
                    pause(chance.u64(1500..3000)).await;
                    history.mark();
                    lose_power(on);
                }
            }
            _ if !matches!(on.world, World::Here) => self.happen_to_world(&on.world, chance).await,
            _ => self.happen_to_servers(&mut on.servers, chance).await,
        }
    }

    async fn happen_to_world(self, on: &World, chance: &mut Rng) {
        match (self, on) {
            (Self::FullDisk, World::Volume(volume)) => {
                volume.fill();
                tokio::time::sleep(AWAY).await;
                volume.empty();
            }
            (Self::SetClock(clock), World::Clocks(clocks)) => clocks.jump(clock, chance).await,
            (Self::Partition(cut), World::Hosts(network)) => part(network, cut).await,
            (Self::LosePackets, World::Hosts(network)) => part(network, Cut::Incoming(LOST)).await,
            (Self::Narrow, World::Hosts(network)) => {
                network.narrow();
                tokio::time::sleep(PARTED).await;
                network.widen();
            }
            (fault, _) => panic!("{fault:?} does not happen here"),
        }
    }

    async fn happen_to_servers(self, on: &mut Servers, chance: &mut Rng) {
        let away = async || tokio::time::sleep(AWAY).await;
        match (self, on) {
            (Self::KillServer, Servers::One(server)) => server.restart(),
            (Self::StopServer, Servers::One(server)) => {
                server.kill();
                away().await;
                server.restart();
            }
            (Self::SuspendServer, Servers::One(server)) => {
                server.pause();
                away().await;
                server.resume();
            }
            (Self::NoFilesOfServer, Servers::One(server)) => {
                let mut connection = server.connection();
                let limit = NoFiles::of(server.pid());
                kill_connections(&mut connection);
                away().await;
                limit.end();
            }
            (Self::FullMemory, Servers::One(server)) => {
                let mut connection = server.connection();
                for limit in ["1", "0"] {
                    redis::cmd("CONFIG")
                        .arg(&["SET", "maxmemory", limit])
                        .exec(&mut connection)
                        .unwrap();
                    away().await;
                }
            }
            (Self::ForgetScripts, Servers::One(server)) => {
                let mut connection = server.connection();
                for _ in 0..20 {
                    pause(chance.u64(50..250)).await;
                    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).unwrap();
                }
            }
            (Self::KillConnections, Servers::One(server)) => {
                let mut connection = server.connection();
                for _ in 0..20 {
                    pause(chance.u64(50..250)).await;
                    kill_connections(&mut connection);
                }
            }
            (Self::PauseWrites, Servers::One(server)) => {
                let pause = ["PAUSE", &AWAY.as_millis().to_string(), "WRITE"];
                redis::cmd("CLIENT").arg(&pause).exec(&mut server.connection()).unwrap();
                away().await;
            }
            (Self::NoClients, Servers::One(server)) => {
                let mut connection = server.connection();
                limit_clients(&mut connection, "1");
                kill_connections(&mut connection);
                away().await;
                limit_clients(&mut connection, "10000");
            }
            (Self::CutConnections, Servers::Proxy { proxy, .. }) => {
                for _ in 0..30 {
                    // What is on its way when it is frozen is lost when it is cut.
                    proxy.freeze();
                    pause(chance.u64(1..20)).await;
                    proxy.cut();
                    proxy.thaw();
                    pause(chance.u64(50..200)).await;
                }
            }
            (Self::FreezeConnections, Servers::Proxy { proxy, .. }) => {
                proxy.freeze();
                away().await;
                proxy.thaw();
            }
            (Self::Delay(from, to), Servers::Proxy { proxy, .. }) => {
                proxy.delay(from..=to, Rng::with_seed(chance.u64(..)));
                away().await;
                proxy.delay(0..=0, Rng::with_seed(0));
            }
            (Self::KillMaster, Servers::Sentinel(sentinel)) => {
                sentinel.master().kill();
                away().await;
                sentinel.master().restart();
            }
            (Self::SuspendMaster, Servers::Sentinel(sentinel)) => {
                sentinel.master().pause();
                away().await;
                sentinel.master().resume();
            }
            (Self::PlannedFailOver, Servers::Sentinel(sentinel)) => {
                sentinel.fail_over();
                // The promotion follows a moment later.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            (Self::PromoteByHand, Servers::Sentinel(sentinel)) => sentinel.promote_by_hand(),
            (Self::SuspendReplica, Servers::Sentinel(sentinel)) => {
                sentinel.replica().pause();
                away().await;
                sentinel.replica().resume();
            }
            (Self::KillMaster, Servers::Cluster(cluster)) => {
                let victim = chance.usize(..3);
                cluster.server_mut(victim).kill();
                away().await;
                cluster.server_mut(victim).restart();
            }
            (Self::PlannedFailOver, Servers::Cluster(cluster)) => {
                for primary in 0..3 {
                    cluster.fail_over(primary);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            (Self::SuspendReplica, Servers::Cluster(cluster)) => {
                let replica = &cluster.replicas()[chance.usize(..3)];
                replica.pause();
                away().await;
                replica.resume();
            }
            (Self::MoveSlots, Servers::Cluster(cluster)) => {
                for partition in 0..4 {
                    let slot = hash_slot(&format!("ncc:checkins:{{{partition}}}"));
                    let from = cluster.owner(slot);
                    cluster.move_slot(slot, from, (from + 1) % 3);
                }
            }
            (Self::AddServer, Servers::Cluster(cluster)) => {
                let added = cluster.add_server();
                cluster.reshard(added, SLOTS);
            }
            (fault, _) => panic!("{fault:?} does not happen to these servers"),
        }
    }
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

async fn part(network: &Network, cut: Cut) {
    network.cut(cut);
    tokio::time::sleep(PARTED).await;
    network.heal();
}

/// Gives the second processor the name of the first one, and ends them in turn, as an operator does.
async fn share_name(on: &mut Deployment) {
    on.processors[1] = on.processor(1, "one");
    tokio::time::sleep(AWAY).await;
    for number in 0..2 {
        assert_eq!(on.processors[number].stop().code(), Some(0));
        on.processors[number] = on.processor(number, ["one", "two"][number]);
    }
}

/// Takes the power from the disk and from the programs that use it, and restarts them.
fn lose_power(on: &mut Deployment) {
    let World::Volume(volume) = &on.world else { panic!("no disk") };
    // Before the disk: a sync that is in progress while ext4 stops may succeed without its data.
    match &on.servers {
        Servers::One(server) => server.pause(),
        _ => on.programs().into_iter().for_each(|program| program.signal(Signal::SIGSTOP)),
    }
    volume.lose_power();
    match &mut on.servers {
        Servers::One(server) => {
            server.kill();
            volume.restore_power();
            server.restart();
        }
        _ => {
            on.kill_services();
            let World::Volume(volume) = &on.world else { panic!("no disk") };
            volume.restore_power();
            on.start_services();
        }
    }
}

fn limit_clients(connection: &mut redis::Connection, number: &str) {
    redis::cmd("CONFIG").arg(&["SET", "maxclients", number]).exec(connection).unwrap();
}

fn kill_connections(connection: &mut redis::Connection) {
    let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
    redis::cmd("CLIENT").arg(&kill).exec(connection).unwrap();
}
