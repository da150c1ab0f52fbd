//! Logs one warning when something that a program depends on becomes unavailable, and one line when it
//! is available again, however many operations fail in between.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::sync::Arc;
//! use outage_log::Outage;
//!
//! let outage = Arc::new(Outage::default()); // one for each server or file, shared by its handles
//! let ping = || async { true }; // sends a request to the server and reports its result
//! outage.failed(&"connection refused", ping); // logs a warning
//! outage.failed(&"connection refused", ping); // logs nothing
//! outage.worked(); // after two seconds without a failure, the end is logged
//! # }
//! ```
//!
//! Both lines have the target `outage_log`, so that a program can filter them.

#![warn(missing_docs)]

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The interval between two probes during an outage. They are sent even if no request needs the
/// store.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// An outage is over when the store has worked for this long without a failure. A store that works
/// only now and then therefore counts as one outage and not as hundreds.
const QUIET: Duration = Duration::from_secs(2);

/// The outage of one store, if there is one. All handles of the store share it.
#[derive(Debug, Default)]
pub struct Outage {
    /// Read by each operation that succeeds, so that it costs no lock.
    is_on: AtomicBool,
    // Locked for a few instructions, never across an await.
    state: Mutex<Option<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    since: Instant,
    /// The time of the first success since the last failure.
    works_since: Option<Instant>,
}

impl Outage {
    /// Records an operation that failed because the store is unavailable. The first failure logs
    /// `cause` and starts a task that calls `probe` twice a second until the outage is over.
    ///
    /// `probe` tries an operation, and reports its result here like every other operation. It
    /// returns whether the store is still in use: `false` ends the task.
    ///
    /// # Panics
    ///
    /// Panics if it is called outside a tokio runtime.
    pub fn failed<F>(self: &Arc<Self>, cause: &dyn Display, probe: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = bool> + Send,
    {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = &mut *state {
            state.works_since = None;
            return;
        }
        *state = Some(State { since: Instant::now(), works_since: None });
        self.is_on.store(true, Ordering::Relaxed);
        tracing::warn!("the store is unavailable: {cause}");
        let outage = Arc::clone(self);
        tokio::spawn(async move {
            while probe().await {
                if let Some(lasted) = outage.ended(Instant::now()) {
                    let seconds = lasted.as_secs_f64();
                    tracing::info!("the store is available again after {seconds:.1} s");
                    return;
                }
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
        });
    }

    /// Records an operation that succeeded. This is cheap while there is no outage.
    pub fn worked(&self) {
        if self.is_on.load(Ordering::Relaxed) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(state) = &mut *state {
                state.works_since.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Returns how long the outage lasted, once it is over.
    fn ended(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { since, works_since } = (*state)?;
        let works_since = works_since.filter(|works| now.duration_since(*works) >= QUIET)?;
        *state = None;
        self.is_on.store(false, Ordering::Relaxed);
        Some(works_since.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outage_ends_after_two_seconds_without_a_failure() {
        let outage = Arc::new(Outage::default());
        let fail = || outage.failed(&"it is a test", || std::future::ready(false));
        fail();
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(outage.ended(later(9)), None, "nothing has worked");
        outage.worked();
        assert_eq!(outage.ended(later(1)), None, "two seconds have not passed");
        fail();
        assert_eq!(outage.ended(later(9)), None, "it failed again");
        outage.worked();
        assert!(outage.ended(later(9)).is_some());
        assert_eq!(outage.ended(later(9)), None, "reported once");
    }
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
