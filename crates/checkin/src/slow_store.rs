//! What requests may do while the store answers too late.
//!
//! If a request makes several commands, and more requests are let in than the store can answer in time, all of
//! them may get their first answer and none of them its last one. So fewer are let in then.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// For how many times the time of a command the store is slow after one has timed out.
const SLOW_FOR: u32 = 4;

/// Limits the requests of a service while the store is slow: from the moment at which a command times out, for
/// four times as long as a command may take. Clones share the limit.
#[derive(Clone, Debug)]
pub struct SlowStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How long a command may take.
    limit: Duration,
    timed_out: Notify,
    // Locked for a few instructions, never across an await.
    state: Mutex<State>,
    refused: Counter,
}

#[derive(Debug, Default)]
struct State {
    /// When a command timed out last.
    timed_out: Option<Instant>,
    in_progress: usize,
    /// The requests that succeeded while the store was slow, since this moment.
    succeeded: usize,
    since: Option<Instant>,
    /// Those that succeeded in the same time before it.
    before: usize,
}

/// A request is not carried out, or not to its end, because the store is slow.
#[derive(Debug)]
pub struct GivenUp;

impl SlowStore {
    /// No command has timed out yet; each may take as long as `limit`. Counts requests that are not let in in `refused`.
    #[must_use]
    pub fn new(limit: Duration, refused: Counter) -> Self {
        let (timed_out, state) = (Notify::new(), Mutex::default());
        Self(Arc::new(Shared { limit, timed_out, state, refused }))
    }

    /// Notes that a command has timed out now.
    pub fn command_timed_out(&self) {
        self.0.state().timed_out = Some(Instant::now());
        self.0.timed_out.notify_waiters();
    }

    /// Returns the result of a request. If a command times out meanwhile, also one of another request, it may take as
    /// long as one command in all; otherwise, as long as all of its commands may take. While the store is slow, it is
    /// let in if no other one is in progress, or no more than lately succeeded in the time of a command.
    ///
    /// # Errors
    ///
    /// [`GivenUp`] if it was not let in or took longer. What it did until then stays done.
    ///
    /// # Cancel safety
    ///
    /// That of the request, which goes no further when it is given up.
    pub async fn within<T, E: From<GivenUp>>(
        &self,
        // A future that is handed on as itself takes its memory twice.
        request: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, E> {
        let Shared { limit, timed_out, refused, .. } = &*self.0;
        let Some(_place) = Place::take(&self.0) else {
            refused.inc();
            return Err(GivenUp.into());
        };
        let (end, timed_out) = (Instant::now() + *limit, timed_out.notified());
        let given_up = async {
            // So there is a timer only while commands time out.
            timed_out.await;
            sleep_until(end).await;
        };
        let result = tokio::select! {
            biased;
            result = request => result,
            () = given_up => Err(GivenUp.into()),
        };
        if result.is_ok() {
            self.0.state().succeeded(*limit);
        }
        result
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_slow(&self, limit: Duration) -> bool {
        self.timed_out.is_some_and(|last| last.elapsed() < limit * SLOW_FOR)
    }

    fn has_place(&mut self, limit: Duration) -> bool {
        self.in_progress == 0 || !self.is_slow(limit) || self.in_progress < self.lately(limit)
    }

    fn succeeded(&mut self, limit: Duration) {
        if self.is_slow(limit) {
            self.lately(limit);
            self.succeeded += 1;
        }
    }

    /// Returns how many requests have succeeded in the time of a command.
    fn lately(&mut self, limit: Duration) -> usize {
        let passed = self.since.map_or(Duration::MAX, |since| since.elapsed());
        if passed >= limit {
            self.before = if passed < limit * 2 { self.succeeded } else { 0 };
            self.succeeded = 0;
            self.since = Some(Instant::now());
        }
        self.before.max(self.succeeded)
    }
}

/// The place of a request in progress, until this is dropped.
struct Place<'a>(&'a Shared);

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let mut state = shared.state();
        let has_place = state.has_place(shared.limit);
        state.in_progress += usize::from(has_place);
        has_place.then(|| Self(shared))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().in_progress -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(250);
    const MOMENT: Duration = Duration::from_millis(5);

    fn store() -> SlowStore {
        SlowStore::new(LIMIT, Counter::default())
    }

    async fn takes(store: &SlowStore, time: Duration) -> Result<(), GivenUp> {
        let request = async {
            sleep(time).await;
            Ok(())
        };
        store.within(pin!(request)).await
    }

    /// Returns how long a request may take, if a command times out after this time.
    async fn given_up_after(timed_out: Duration) -> Duration {
        let store = store();
        let begin = Instant::now();
        let time_out = async {
            sleep(timed_out).await;
            store.command_timed_out();
        };
        let request = pin!(pending::<Result<(), GivenUp>>());
        let (result, ()) = tokio::join!(store.within(request), time_out);
        assert!(result.is_err());
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_given_up_when_it_is_old_and_a_command_has_timed_out_meanwhile() {
        let [early, late] = [100, 900].map(Duration::from_millis);
        assert!((LIMIT..LIMIT + MOMENT).contains(&given_up_after(early).await));
        assert!((late..late + MOMENT).contains(&given_up_after(late).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_goes_on_if_no_command_times_out_meanwhile() {
        let store = store();
        store.command_timed_out();
        takes(&store, LIMIT * 3).await.expect("the time-out was before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_gets_as_many_requests_as_it_answers() {
        let store = store();
        let waiting = || takes(&store, LIMIT / 2);
        let all = async || {
            let results = futures_util::future::join_all((0..20).map(|_| waiting())).await;
            results.iter().filter(|result| result.is_ok()).count()
        };
        assert_eq!(all().await, 20, "nothing has timed out");
        store.command_timed_out();
        assert_eq!(all().await, 1, "nothing has succeeded since");
        for _ in 0..6 {
            store.within(pin!(ready(Ok::<_, GivenUp>(())))).await.unwrap();
        }
        assert_eq!(all().await, 7, "seven have succeeded");
        assert_eq!(store.0.refused.get(), 19 + 13);
        sleep(LIMIT * SLOW_FOR).await;
        assert_eq!(all().await, 20, "the time-out is long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_dropped_or_fails_leaves_its_place_and_counts_for_nothing() {
        let store = store();
        store.command_timed_out();
        for _ in 0..3 {
            tokio::time::timeout(MOMENT, takes(&store, LIMIT)).await.unwrap_err();
            store.within(pin!(ready(Err::<(), _>(GivenUp)))).await.unwrap_err();
        }
        let both = tokio::join!(takes(&store, MOMENT), takes(&store, MOMENT));
        assert!(matches!(both, (Ok(()), Err(GivenUp))));
    }
}
