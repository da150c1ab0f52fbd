//! The processors and receivers of a run, which crash, stop, stall and start again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use checkin::metrics::Throttled;
use checkin::services::{processor, receiver};
use checkin::slow_store::SlowStore;
use checkin_storage::Storage;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::network::Process;
use crate::plan::{Fault, Plan};
use crate::world::World;

/// The services of a run.
pub(crate) struct Deployment {
    pub world: Arc<World>,
    pub plan: Plan,
    // Locked for a step, never across an await.
    processors: Mutex<Vec<Option<Processor>>>,
    receivers: Mutex<Vec<Receiver>>,
    /// Processors that were asked to stop.
    leaving: Mutex<Vec<JoinHandle<()>>>,
}

struct Processor {
    process: Arc<Process>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A receiver, and the end of its process.
#[derive(Clone)]
pub(crate) struct Receiver {
    process: Arc<Process>,
    pub router: Router,
    pub ended: CancellationToken,
}

impl Deployment {
    pub(crate) fn start(world: Arc<World>, plan: Plan) -> Arc<Self> {
        let receivers = (0..plan.receivers).map(|number| receiver(&world, &plan, number));
        let deployment = Arc::new(Self {
            receivers: Mutex::new(receivers.collect()),
            processors: Mutex::new((0..plan.processors).map(|_| None).collect()),
            leaving: Mutex::default(),
            world,
            plan,
        });
        for number in 0..deployment.plan.processors {
            deployment.start_processor(number);
        }
        deployment
    }

    /// Lets all faults happen at their times, and ends them at the end.
    pub(crate) async fn run_faults(&self) {
        let begin = Instant::now();
        for (at, fault) in &self.plan.faults {
            sleep_until(begin + *at).await;
            self.world.note(&format!("{fault:?}"));
            self.inject(*fault);
        }
        sleep_until(begin + self.plan.duration).await;
        self.world.note("the faults end");
        self.world.lock().end_faults();
        // Somebody has to apply what is left.
        if self.live().is_empty() {
            self.start_processor(0);
        }
    }

    fn inject(&self, fault: Fault) {
        match fault {
            Fault::Crash(number) => {
                if let Some(processor) = self.processors()[number].take() {
                    processor.process.end();
                    processor.task.abort();
                }
            }
            Fault::Stop(number) => {
                if let Some(processor) = self.processors()[number].take() {
                    processor.stop.cancel();
                    lock(&self.leaving).push(processor.task);
                }
            }
            Fault::Start(number) => self.start_processor(number),
            Fault::StallProcessor(number, time) => {
                if let Some(processor) = &self.processors()[number] {
                    processor.process.stall(time);
                }
            }
            Fault::StallReceiver(number, time) => lock(&self.receivers)[number].process.stall(time),
            Fault::ReplaceReceiver(number) => {
                let new = receiver(&self.world, &self.plan, number);
                let old = std::mem::replace(&mut lock(&self.receivers)[number], new);
                old.process.end();
                old.ended.cancel();
            }
            Fault::Down(time) => self.world.lock().down_until = Instant::now() + time,
            Fault::Full(time) => self.world.lock().full_until = Instant::now() + time,
            Fault::Deny(command, time) => {
                self.world.lock().denied = (Some(command), Instant::now() + time);
            }
            Fault::FlushScripts => self.world.lock().redis.flush_scripts(),
            Fault::SetClock(by_ms) => self.world.lock().set_forward_ms += by_ms,
        }
    }

    fn start_processor(&self, number: usize) {
        let processor = &mut self.processors()[number];
        if processor.is_some() {
            return;
        }
        let name = format!("processor-{number}");
        let process = Process::new(&self.world, &name, &self.plan, true);
        let storage: Arc<dyn Storage> = Arc::new(process.storage(self.plan.partitions));
        let settings = processor::ProcessorSettings {
            name,
            batch: self.plan.batch,
            lease: self.plan.lease,
            keep_history: None,
            traces: None,
        };
        let stop = CancellationToken::new();
        let run = processor::run(storage, settings, processor::Progress::default(), stop.clone());
        *processor = Some(Processor { process, stop, task: tokio::spawn(run) });
    }

    fn processors(&self) -> MutexGuard<'_, Vec<Option<Processor>>> {
        lock(&self.processors)
    }

    /// Returns the names of the processors that run.
    pub(crate) fn live(&self) -> Vec<String> {
        let processors = self.processors();
        processors.iter().flatten().map(|processor| processor.process.name.clone()).collect()
    }

    /// Returns whether a processor has ended by itself, or has not ended although it was asked to.
    pub(crate) fn has_ended_wrongly(&self) -> bool {
        let processors = self.processors();
        processors.iter().flatten().any(|processor| processor.task.is_finished())
            || lock(&self.leaving).iter().any(|task| !task.is_finished())
    }

    /// Returns one of the receivers.
    pub(crate) fn receiver(&self) -> Receiver {
        let receivers = lock(&self.receivers);
        receivers[self.world.lock().random.usize(0..receivers.len())].clone()
    }
}

fn receiver(world: &Arc<World>, plan: &Plan, number: usize) -> Receiver {
    let process = Process::new(world, &format!("receiver-{number}"), plan, true);
    let storage = Arc::new(process.storage(plan.partitions));
    let parts = receiver::Parts {
        log: storage.clone(),
        retractions: storage.clone(),
        locations: storage.clone(),
        users: storage,
        identity: receiver::Identity::None,
        throttled: Throttled::default(),
        slow_store: SlowStore::new(Duration::from_secs(1)),
    };
    let settings = receiver::ReceiverSettings { admission: plan.admission, rate_per_user: 0 };
    let router = receiver::router(parts, settings).into();
    Receiver { process, router, ended: CancellationToken::new() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
