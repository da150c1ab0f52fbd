//! A simulation of receivers, processors and clients over a model of Redis, with crashes, stalls, and lost, late
//! and repeated requests. The code under test is the real one: the receiver, the processor, the storage in Redis
//! and its scripts. A run takes place on one thread with a clock of its own, and follows from its seed.
//!
//! `SEED=… SEEDS=1` repeats a run; `SEEDS` is the number of runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clients;
mod deployment;
mod end;
mod leavers;
mod network;
mod plan;
mod redis;
mod run;
mod watch;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use run::{Report, run};

/// The prefix of all keys.
const PREFIX: &str = "ncc";

/// The number of runs without the variable `SEEDS`: about half a minute of a debug build on two cores.
const RUNS: u64 = 20;

#[test]
fn nothing_is_lost_or_counted_twice_whatever_fails() {
    let runs = std::env::var("SEEDS").map_or(RUNS, |runs| runs.parse().unwrap());
    let first = u64::from(testkit::seed());
    let begin = Instant::now();
    let (next, results) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return;
                    }
                    let result = run(first + number);
                    if result.is_err() {
                        // The others end, too.
                        next.store(runs, Ordering::Relaxed);
                    }
                    results.lock().unwrap().push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(number, _)| *number);
    let mut sum = Report::default();
    for (number, result) in results {
        match result {
            Ok(report) => sum.add(&report),
            Err(failure) => panic!("run {} failed:\n{failure}", number + 1),
        }
    }
    eprintln!("{runs} runs in {:.1} s: {sum}", begin.elapsed().as_secs_f64());
}

#[test]
fn a_seed_repeats_every_command() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
