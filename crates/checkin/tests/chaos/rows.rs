//! The faults that are run, each on a form of deployment with a promise.

use std::fmt;
use std::time::Duration;

use super::clocks::Clock;
use super::deployment::{Form, Place};
use super::faults::Fault;
use super::network::Cut;

/// A fault with the promise that is checked.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) form: Form,
    /// The setting `--wait-replicas`.
    pub(crate) replicas: u32,
    pub(crate) fault: Fault,
    pub(crate) promise: Promise,
}

/// What must hold when a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nothing that was confirmed is lost.
    NothingLost,
    /// What was confirmed in these times before and after a fault began may be lost.
    MayLose { before: Duration, after: Duration },
}

impl Promise {
    /// Returns whether what was confirmed so many milliseconds after a fault began may be lost.
    pub(crate) fn lets_lose(self, after_fault: i64) -> bool {
        let Self::MayLose { before, after } = self else { return false };
        (-(before.as_millis() as i64)..=after.as_millis() as i64).contains(&after_fault)
    }

    const fn may_lose(before_ms: u64, after_ms: u64) -> Self {
        let [before, after] = [Duration::from_millis(before_ms), Duration::from_millis(after_ms)];
        Self::MayLose { before, after }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::MayLose { before, after } = self else { return f.write_str("nothing is lost") };
        let [before, after] = [before, after].map(Duration::as_secs_f32);
        write!(f, "only what was confirmed from {before} s before to {after} s after may be lost")
    }
}

const ALWAYS: Form = Form::Server("always");
const CLUSTER: Form = Form::Cluster;
const EVERYSEC: Form = Form::Server("everysec");
const PROXY: Form = Form::Proxy;
const SENTINEL: Form = Form::Sentinel;
const SQLITE: Form = Form::Sqlite;

/// The replicas are behind by so much, and a sentinel or a cluster replaces a master within so much.
const UNTIL_FAIL_OVER: Promise = Promise::may_lose(1000, 4000);

pub(crate) fn rows() -> Vec<Row> {
    use Fault::*;
    use Promise::NothingLost;
    let row = |form, replicas, fault, promise| Row { form, replicas, fault, promise };
    let keeps = |form, fault| row(form, 0, fault, NothingLost);
    let waits = |form, replicas, fault| row(form, replicas, fault, NothingLost);
    vec![
        keeps(EVERYSEC, None),
        keeps(SQLITE, None),
        keeps(EVERYSEC, KillReceivers),
        keeps(SQLITE, KillReceivers),
        keeps(EVERYSEC, KillProcessors),
        keeps(SQLITE, KillProcessors),
        keeps(SQLITE, KillServices),
        keeps(EVERYSEC, SuspendProcessor),
        keeps(SQLITE, SuspendProcessor),
        keeps(ALWAYS, KillServer),
        // Redis delays the write to the file, too, as long as a sync is in progress, for at most two seconds.
        row(EVERYSEC, 0, KillServer, Promise::may_lose(2000, 500)),
        keeps(ALWAYS, LosePower),
        // AOF everysec may lose the last two seconds, and a response takes a moment to arrive.
        row(EVERYSEC, 0, LosePower, Promise::may_lose(2000, 500)),
        keeps(SQLITE, LosePower),
        keeps(EVERYSEC, StopServer),
        keeps(EVERYSEC, SuspendServer),
        keeps(EVERYSEC, FullMemory),
        keeps(EVERYSEC, FullDisk),
        keeps(SQLITE, FullDisk),
        keeps(EVERYSEC, ForgetScripts),
        keeps(EVERYSEC, KillConnections),
        keeps(EVERYSEC, PauseWrites),
        keeps(EVERYSEC, NoClients),
        keeps(PROXY, CutConnections),
        keeps(PROXY, FreezeConnections),
        keeps(PROXY, Delay(0, 100)),
        keeps(PROXY, Delay(100, 100)),
        keeps(PROXY, Delay(200, 200)),
        keeps(EVERYSEC, SameName),
        keeps(CLUSTER, SameName),
        keeps(SQLITE, SameName),
        keeps(EVERYSEC, NoFilesOfServices),
        keeps(EVERYSEC, NoFilesOfServer),
        keeps(EVERYSEC, SetClock(Clock::Server)),
        keeps(EVERYSEC, SetClock(Clock::Receiver)),
        keeps(EVERYSEC, SetClock(Clock::Processor)),
        keeps(EVERYSEC, SetClock(Clock::Authentication)),
        keeps(SQLITE, SetClock(Clock::Services)),
        keeps(EVERYSEC, Starve),
        keeps(SQLITE, Starve),
        row(SENTINEL, 0, KillMaster, UNTIL_FAIL_OVER),
        waits(SENTINEL, 1, KillMaster),
        waits(SENTINEL, 1, SuspendMaster),
        row(SENTINEL, 0, PlannedFailOver, UNTIL_FAIL_OVER),
        waits(SENTINEL, 2, PlannedFailOver),
        keeps(SENTINEL, PromoteByHand),
        waits(SENTINEL, 1, PromoteByHand),
        waits(SENTINEL, 1, SuspendReplica),
        row(CLUSTER, 0, KillMaster, UNTIL_FAIL_OVER),
        waits(CLUSTER, 1, KillMaster),
        keeps(CLUSTER, PlannedFailOver),
        keeps(CLUSTER, MoveSlots),
        keeps(CLUSTER, AddServer),
        waits(CLUSTER, 1, SuspendReplica),
        keeps(EVERYSEC, Partition(Cut::Both)),
        keeps(EVERYSEC, Partition(Cut::Outgoing)),
        keeps(EVERYSEC, LosePackets),
        keeps(EVERYSEC, Narrow),
        // A master that the sentinels cannot reach accepts writes as long as the partition lasts.
        row(SENTINEL, 0, Partition(Cut::Both), Promise::may_lose(1000, 9000)),
        row(SENTINEL, 0, Partition(Cut::Outgoing), Promise::may_lose(1000, 9000)),
        waits(SENTINEL, 1, Partition(Cut::Both)),
        waits(SENTINEL, 1, Partition(Cut::Outgoing)),
        waits(SENTINEL, 1, LosePackets),
        // One of a cluster does so for the node time-out, 2 s.
        row(CLUSTER, 0, Partition(Cut::Both), Promise::may_lose(1000, 3000)),
        row(CLUSTER, 0, Partition(Cut::Outgoing), Promise::may_lose(1000, 3000)),
        waits(CLUSTER, 1, Partition(Cut::Both)),
        waits(CLUSTER, 1, Partition(Cut::Outgoing)),
        waits(CLUSTER, 1, LosePackets),
    ]
}

impl Row {
    /// Returns the number of the fault in the plan of faults.
    pub(crate) fn number(&self) -> &'static str {
        use Fault::*;
        match self.fault {
            None => "–",
            KillReceivers | KillServices => "F-1",
            KillProcessors => "F-2",
            SuspendProcessor => "F-3",
            KillServer => "F-6",
            LosePower => "F-7",
            StopServer => "F-8",
            KillMaster if self.form == CLUSTER => "F-9",
            PlannedFailOver if self.form == CLUSTER => "F-11",
            KillMaster | SuspendMaster | PlannedFailOver | PromoteByHand => "F-10",
            MoveSlots | AddServer => "F-12",
            Partition(_) => "F-13",
            LosePackets => "F-14",
            Narrow => "F-15",
            Delay(..) => "F-16",
            CutConnections => "F-17",
            FreezeConnections => "F-18",
            SuspendServer | PauseWrites => "F-20",
            FullMemory => "F-21",
            FullDisk if self.form == SQLITE => "F-24",
            FullDisk => "F-23",
            ForgetScripts => "F-26",
            SameName => "F-28",
            NoFilesOfServices | NoFilesOfServer => "F-31",
            SetClock(_) => "F-32",
            KillConnections | NoClients => "F-38",
            Starve => "F-39",
            SuspendReplica => "F-40",
        }
    }

    /// Returns the form of the store, and where it is.
    pub(crate) fn on(&self) -> String {
        let place = match self.place() {
            Place::Here | Place::Clocks => "",
            Place::Hosts => ", on hosts of their own",
            Place::SmallVolume => ", on a volume of 64 MiB",
            Place::Disk => ", on ext4",
        };
        format!("{}{place}", self.form)
    }

    /// Returns how long the clients may wait for their next 202, if the fault lasts longer than that. When
    /// a host is cut off, the services on the others must not wait until it is back.
    pub(crate) fn longest_gap(&self) -> Option<Duration> {
        let is_served = matches!(self.form, Form::Sentinel | Form::Cluster);
        let is_partition = matches!(self.fault, Fault::Partition(_));
        (is_served && is_partition).then_some(Duration::from_secs(6))
    }

    /// Returns where the deployment runs.
    pub(crate) fn place(&self) -> Place {
        match self.fault {
            Fault::LosePower => Place::Disk,
            Fault::FullDisk => Place::SmallVolume,
            Fault::SetClock(_) => Place::Clocks,
            Fault::Partition(_) | Fault::LosePackets | Fault::Narrow => Place::Hosts,
            _ => Place::Here,
        }
    }
}
