//! Runs programs on pairs of servers and counts the differences.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::sync::Mutex;
use std::thread;

use super::minimise::minimise;
use super::pair::{Kind, SharedServers, Side};
use super::run::{Mismatch, Outcome, run};
use super::{Program, ProgramSettings};

/// The number of pairs that run concurrently, each on two of the 16 databases of Redis. While one
/// pair waits (for an expiry, for a sleeping request, or for its servers to start), the others
/// continue.
const WORKERS: u8 = 8;

/// The result of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) mismatches: Vec<Mismatch>,
    programs: usize,
    steps: usize,
    /// The number of steps with parallel requests.
    parallel: usize,
    settings: usize,
    /// The number of programs that ran more than once because the machine was too slow for their
    /// timing.
    repeated: usize,
}

/// Runs every program on both sides and reports the differences. Programs with the same settings
/// share a pair of servers; each program starts with empty databases.
pub(crate) fn compare(programs: Vec<Program>, kinds: &[Kind; 2]) -> Report {
    let servers = SharedServers::start();
    let mut groups: BTreeMap<ProgramSettings, Vec<Program>> = BTreeMap::new();
    for program in programs {
        groups.entry(program.settings.clone()).or_default().push(program);
    }
    let queue = Mutex::new(groups.into_iter());
    let next = || queue.lock().expect("taking from the queue does not panic").next();
    let work = |slot: u8| {
        let groups = std::iter::from_fn(next);
        groups
            .map(|(settings, programs)| group(programs, servers.sides(slot, kinds, &settings)))
            .sum()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|slot| scope.spawn(move || work(slot))).collect();
        workers.into_iter().map(|worker| joined::<Report>(worker)).sum()
    })
}

/// Runs programs that have the same settings.
fn group(programs: Vec<Program>, mut sides: [Side; 2]) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    let mut run = |program: &Program| runtime.block_on(run(program, &mut sides));
    let mut report = Report { settings: 1, ..Report::default() };
    for program in programs {
        let Outcome { mismatch, attempts } = run(&program);
        report.programs += 1;
        report.steps += program.steps.len();
        report.parallel += program.steps.iter().filter(|step| step.is_parallel()).count();
        report.repeated += usize::from(attempts > 1);
        let minimised = mismatch.map(|found| minimise(found, |program| run(program).mismatch));
        report.mismatches.extend(minimised);
    }
    report
}

fn joined<T>(worker: thread::ScopedJoinHandle<'_, T>) -> T {
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Sum for Report {
    fn sum<I: Iterator<Item = Report>>(reports: I) -> Report {
        reports.fold(Report::default(), |mut sum, report| {
            sum.mismatches.extend(report.mismatches);
            sum.programs += report.programs;
            sum.steps += report.steps;
            sum.parallel += report.parallel;
            sum.settings += report.settings;
            sum.repeated += report.repeated;
            sum
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { mismatches, programs, steps, parallel, settings, repeated } = self;
        let differences = mismatches.len();
        write!(formatter, "{programs} programs, {steps} steps, {differences} differences ")?;
        write!(formatter, "({settings} settings, {parallel} steps of parallel requests, ")?;
        write!(formatter, "{repeated} programs repeated at a slower pace)")
    }
}
