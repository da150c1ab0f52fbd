//! A run: a time with faults, and a time without any, in which everything must come to rest.

use std::cell::RefCell;
use std::fmt;
use std::panic;
use std::sync::{Arc, Once};
use std::time::Duration;

use testkit::Rng;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::PREFIX;
use crate::clients::{check_in, check_in_privately, write_as_express};
use crate::deployment::Deployment;
use crate::end::come_to_rest;
use crate::leavers::delete_account;
use crate::plan::Plan;
use crate::world::World;

/// The number of lines at the end of a trace that a failure shows.
const TAIL: usize = 60;

/// What happened in a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// A hash of all commands in their order.
    pub trace: u64,
    pub commands: u64,
    pub accepted: usize,
    pub stored: usize,
    pub retracted: usize,
    pub left: usize,
    /// The time that passed inside the run.
    pub lasted: Duration,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.accepted += other.accepted;
        self.stored += other.stored;
        self.retracted += other.retracted;
        self.left += other.left;
        self.lasted += other.lasted;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, accepted, stored, retracted, left, lasted, .. } = self;
        let hours = lasted.as_secs_f64() / 3600.0;
        write!(
            f,
            "{hours:.1} simulated hours, {commands} commands, {stored} check-ins in the log, {accepted} of them \
             accepted, {retracted} deleted, {left} accounts deleted"
        )
    }
}

thread_local! {
    /// The first panic of this thread's run.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a seed. Returns the violated invariant and the end of the trace if one does not hold.
pub(crate) fn run(seed: u64) -> Result<Report, String> {
    run_with(seed, false).map_err(|_| {
        // The same again, with a trace for people.
        let failed = run_with(seed, true).err();
        failed.unwrap_or_else(|| "it failed, but not when it was repeated".to_owned())
    })
}

fn run_with(seed: u64, has_lines: bool) -> Result<Report, String> {
    note_panics();
    PANIC.take();
    let (world, result) = runtime().block_on(simulate(seed, has_lines));
    let mut state = world.lock();
    let violation = state.watch.violation.take().or(result.err()).or(PANIC.take());
    let [accepted, stored, retracted, left] = state.watch.counts();
    let report = Report {
        trace: state.trace.hash(),
        commands: state.trace.commands,
        accepted,
        stored,
        retracted,
        left,
        lasted: state.trace.at,
    };
    match violation {
        None => Ok(report),
        Some(violation) => {
            let lines = state.trace.lines.take().unwrap_or_default();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            Err(format!("{}\n\nSEED={seed}: {violation}", tail.join("\n")))
        }
    }
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            PANIC.with_borrow_mut(|first| *first = first.take().or(Some(panicked.to_string())));
            default(panicked);
        }));
    });
}

/// Returns the commands of a run; see [`Trace`](crate::world::Trace).
#[cfg(feature = "external-tests")]
pub(crate) fn recorded(seed: u64) -> Vec<(u64, crate::redis::Refusal, Vec<Vec<u8>>)> {
    let (world, result) = runtime().block_on(simulate(seed, true));
    result.unwrap();
    std::mem::take(&mut world.lock().trace.recorded)
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

async fn simulate(seed: u64, has_lines: bool) -> (Arc<World>, Result<(), String>) {
    let mut random = Rng::with_seed(seed);
    let plan = Plan::of(&mut random);
    let world = Arc::new(World::new(&plan, random, has_lines));
    world.note(&format!("{plan:?}"));
    fill(&world, &plan);
    let deployment = Deployment::start(Arc::clone(&world), plan);
    let mut clients = JoinSet::new();
    for client in 0..deployment.plan.clients {
        clients.spawn(check_in(Arc::clone(&deployment), client));
    }
    clients.spawn(check_in_privately(Arc::clone(&deployment)));
    if deployment.plan.has_express {
        clients.spawn(write_as_express(Arc::clone(&deployment)));
    }
    for user in deployment.plan.users + 1..=deployment.plan.last_user() {
        clients.spawn(delete_account(Arc::clone(&deployment), user));
    }
    deployment.run_faults().await;
    let result = come_to_rest(&deployment, clients).await;
    (world, result)
}

/// Writes the users and locations.
fn fill(world: &World, plan: &Plan) {
    let run = |command: String| {
        let words: Vec<Vec<u8>> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        world.execute("setup", &words).unwrap();
    };
    for id in 1..=plan.last_user() {
        run(format!(
            "HSET {PREFIX}:user:{id} id {id} firstName A lastName B email {id}@example.com password {PASSWORD}"
        ));
        run(format!("ZADD {PREFIX}:users:ids {id} {id}"));
        run(format!("HSET {PREFIX}:users:email {id}@example.com {id}"));
    }
    for id in 1..=plan.locations {
        run(format!("HSET {PREFIX}:location:{id} id {id} name A category cafe location 1,1"));
        run(format!("ZADD {PREFIX}:locations:ids {id} {id}"));
    }
}

/// A hash of the form that accounts have, of no password.
const PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b/dWQb+Fh3ZIYlzcmBnVcmhHHk";
