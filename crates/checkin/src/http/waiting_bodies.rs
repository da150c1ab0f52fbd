//! Limits how many requests of a process wait for the rest of their body.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The requests whose body has not arrived yet. If there are too many, the one that has waited longest
/// gives up: a flood of requests without an end ends itself, and the body of anybody else arrives in time.
/// Clones share the requests.
#[derive(Clone, Debug)]
pub(super) struct WaitingBodies {
    // Locked for single steps.
    waiting: Arc<Mutex<Waiting>>,
    max: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By the order of their arrival.
    bodies: BTreeMap<u64, Arc<Notify>>,
    arrived: u64,
}

/// A request that waits for its body, until this is dropped.
pub(super) struct WaitingBody {
    all: WaitingBodies,
    number: u64,
    given_up: Arc<Notify>,
}

impl WaitingBodies {
    /// Lets at most `max` requests wait.
    pub(super) fn new(max: usize) -> Self {
        Self { waiting: Arc::default(), max }
    }

    /// Adds a request, for which another one may have to give up.
    pub(super) fn enter(&self) -> WaitingBody {
        let given_up = Arc::new(Notify::new());
        let mut waiting = self.lock();
        let number = waiting.arrived;
        waiting.arrived += 1;
        if waiting.bodies.len() >= self.max
            && let Some((_, oldest)) = waiting.bodies.pop_first()
        {
            oldest.notify_one();
        }
        waiting.bodies.insert(number, Arc::clone(&given_up));
        WaitingBody { all: self.clone(), number, given_up }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The value is valid after any step.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingBody {
    /// Waits until the request must give up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

impl Drop for WaitingBody {
    fn drop(&mut self) {
        self.all.lock().bodies.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_one_that_has_waited_longest_gives_up() {
        let bodies = WaitingBodies::new(2);
        let (first, second) = (bodies.enter(), bodies.enter());
        assert!(first.given_up().now_or_never().is_none());
        let third = bodies.enter();
        assert!(first.given_up().now_or_never().is_some());
        assert!(second.given_up().now_or_never().is_none());
        drop((first, third));
        let _fourth = bodies.enter();
        assert!(second.given_up().now_or_never().is_none(), "a place was free");
        drop(second);
        assert_eq!(bodies.lock().bodies.len(), 1);
    }
}
