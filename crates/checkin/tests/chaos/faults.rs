//! The faults, by the form of Redis on which they can happen.

use std::time::Duration;

use redis_link::{hash_slot, redis};
use testkit::{Rng, Signal};

pub(crate) use super::deployment::Form;
use super::deployment::{Deployment, Servers};
use super::history::History;

/// A fault with the promise that is checked.
pub(crate) struct Row {
    /// The number in the plan of faults.
    pub(crate) number: &'static str,
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) replicas: u32,
    pub(crate) fault: Fault,
    pub(crate) promise: Promise,
}

/// What must hold when a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nothing that was confirmed is lost.
    NothingLost,
    /// What was confirmed in a short time before the fault may be lost, and the loss is reported.
    MayLose,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    KillReceivers,
    KillProcessors,
    /// A processor is suspended for longer than its lease.
    SuspendProcessor,
    KillServer,
    SuspendServer,
    StopServer,
    ForgetScripts,
    KillConnections,
    FullMemory,
    CutConnections,
    FreezeConnections,
    KillMaster,
    SuspendMaster,
    PlannedFailOver,
    SuspendReplica,
    MoveSlots,
}

/// How long a server or a processor is suspended or stopped.
const AWAY: Duration = Duration::from_secs(4);

const CLUSTER: Form = Form::Cluster;
const SENTINEL: Form = Form::Sentinel;
const ALWAYS: Form = Form::Server("always");
const EVERYSEC: Form = Form::Server("everysec");

pub(crate) fn rows() -> Vec<Row> {
    use Fault::*;
    use Promise::{MayLose, NothingLost};
    let row = |number, name, form, replicas, fault, promise| Row {
        number,
        name,
        form,
        replicas,
        fault,
        promise,
    };
    vec![
        row("–", "none", EVERYSEC, 0, None, NothingLost),
        row("F-1", "receivers are killed (-9) five times", EVERYSEC, 0, KillReceivers, NothingLost),
        row(
            "F-2",
            "processors are killed (-9) five times",
            EVERYSEC,
            0,
            KillProcessors,
            NothingLost,
        ),
        row(
            "F-3",
            "a processor is suspended for 4 s, its lease is 1 s",
            EVERYSEC,
            0,
            SuspendProcessor,
            NothingLost,
        ),
        row("F-6", "Redis is killed (-9) and restarted", ALWAYS, 0, KillServer, NothingLost),
        row("F-6", "Redis is killed (-9) and restarted", EVERYSEC, 0, KillServer, NothingLost),
        row("F-8", "Redis is away for 4 s", EVERYSEC, 0, StopServer, NothingLost),
        row("F-20", "Redis is suspended for 4 s", EVERYSEC, 0, SuspendServer, NothingLost),
        row("F-21", "the memory of Redis is full for 4 s", EVERYSEC, 0, FullMemory, NothingLost),
        row(
            "F-26",
            "Redis forgets all scripts, twenty times",
            EVERYSEC,
            0,
            ForgetScripts,
            NothingLost,
        ),
        row(
            "F-38",
            "Redis drops all connections, twenty times",
            EVERYSEC,
            0,
            KillConnections,
            NothingLost,
        ),
        row(
            "F-17",
            "the connections are cut thirty times, with replies on their way",
            Form::Proxy,
            0,
            CutConnections,
            NothingLost,
        ),
        row(
            "F-18",
            "the connections stay open for 4 s and carry nothing",
            Form::Proxy,
            0,
            FreezeConnections,
            NothingLost,
        ),
        row("F-10", "the master is killed (-9)", SENTINEL, 0, KillMaster, MayLose),
        row(
            "F-10",
            "the master is killed (-9), and restarted after the fail-over",
            SENTINEL,
            1,
            KillMaster,
            NothingLost,
        ),
        row(
            "F-10",
            "the master is suspended for 4 s and returns as a zombie",
            SENTINEL,
            1,
            SuspendMaster,
            NothingLost,
        ),
        row(
            "F-10",
            "a planned fail-over (SENTINEL FAILOVER)",
            SENTINEL,
            0,
            PlannedFailOver,
            MayLose,
        ),
        row(
            "F-10",
            "a planned fail-over (SENTINEL FAILOVER)",
            SENTINEL,
            2,
            PlannedFailOver,
            NothingLost,
        ),
        row(
            "F-40",
            "one of two replicas is suspended for 4 s",
            SENTINEL,
            1,
            SuspendReplica,
            NothingLost,
        ),
        row(
            "F-9",
            "a primary is killed (-9), and restarted after the fail-over",
            CLUSTER,
            0,
            KillMaster,
            MayLose,
        ),
        row(
            "F-9",
            "a primary is killed (-9), and restarted after the fail-over",
            CLUSTER,
            1,
            KillMaster,
            NothingLost,
        ),
        row(
            "F-11",
            "a planned fail-over (CLUSTER FAILOVER)",
            CLUSTER,
            0,
            PlannedFailOver,
            NothingLost,
        ),
        row(
            "F-12",
            "the slots of all partitions move, key by key",
            CLUSTER,
            0,
            MoveSlots,
            NothingLost,
        ),
        row("F-40", "a replica is suspended for 4 s", CLUSTER, 1, SuspendReplica, NothingLost),
    ]
}

impl Fault {
    /// Makes the fault happen, and ends it.
    pub(crate) async fn happen(self, on: &mut Deployment, history: &History, chance: &mut Rng) {
        let pause = async |ms: u64| tokio::time::sleep(Duration::from_millis(ms)).await;
        match self {
            Self::None => pause(3000).await,
            Self::KillReceivers => {
                for _ in 0..5 {
                    pause(chance.u64(300..900)).await;
                    let victim = chance.usize(..2);
                    on.receivers[victim].program.kill();
                    on.receivers[victim] = on.receiver();
                    history.receivers(
                        on.receivers.iter().map(crate::harness::Service::client).collect(),
                    );
                }
            }
            Self::KillProcessors => {
                for _ in 0..5 {
                    pause(chance.u64(300..900)).await;
                    let victim = chance.usize(..2);
                    on.processors[victim].kill();
                    on.processors[victim] = on.processor(["one", "two"][victim]);
                }
            }
            Self::SuspendProcessor => {
                for processor in &on.processors {
                    processor.signal(Signal::SIGSTOP);
                    tokio::time::sleep(AWAY).await;
                    processor.signal(Signal::SIGCONT);
                }
            }
            _ => self.happen_to_servers(&mut on.servers, chance).await,
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
            (Self::ForgetScripts | Self::KillConnections, Servers::One(server)) => {
                let mut connection = server.connection();
                for _ in 0..20 {
                    tokio::time::sleep(Duration::from_millis(chance.u64(50..250))).await;
                    let command = match self {
                        Self::ForgetScripts => redis::cmd("SCRIPT").arg("FLUSH").clone(),
                        _ => redis::cmd("CLIENT")
                            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
                            .clone(),
                    };
                    command.exec(&mut connection).unwrap();
                }
            }
            (Self::CutConnections, Servers::Proxy { proxy, .. }) => {
                for _ in 0..30 {
                    // What is on its way when it is frozen is lost when it is cut.
                    proxy.freeze();
                    tokio::time::sleep(Duration::from_millis(chance.u64(1..20))).await;
                    proxy.cut();
                    proxy.thaw();
                    tokio::time::sleep(Duration::from_millis(chance.u64(50..200))).await;
                }
            }
            (Self::FreezeConnections, Servers::Proxy { proxy, .. }) => {
                proxy.freeze();
                away().await;
                proxy.thaw();
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
            (fault, _) => panic!("{fault:?} does not happen to these servers"),
        }
    }
}
