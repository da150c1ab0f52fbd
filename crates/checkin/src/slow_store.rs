//! How long a request goes on while commands to the store time out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long the store counts as slow after a command has timed out, as a multiple of the time that a command may take.
/// A slow store answers some commands in time, so the next time-out may come later than the end of a request.
const SLOW_FOR: u32 = 4;

/// Knows whether commands to the store time out. A request of several commands, of which each is answered just in time,
/// would otherwise take several times as long as a command may. Clones share what they know.
#[derive(Clone, Debug)]
pub struct SlowStore {
    /// How long a command may take.
    limit: Duration,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// When a command timed out last. Locked for a few instructions.
    last: Mutex<Option<Instant>>,
    timed_out: Notify,
}

/// A request is not carried out to its end, because the store is slow.
#[derive(Debug)]
pub struct GivenUp;

impl SlowStore {
    /// No command has timed out yet; each may take as long as `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, shared: Arc::default() }
    }

    /// Notes that a command has timed out now.
    pub fn command_timed_out(&self) {
        *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.shared.timed_out.notify_waiters();
    }

    /// Returns the result of a request. If a command, also one of another request, times out meanwhile, or has timed out
    /// shortly before (within four times the time that a command may take), the request may take as long as one command in
    /// all; otherwise, as long as all of its commands may take.
    ///
    /// # Errors
    ///
    /// [`GivenUp`] if it took longer. What it did until then stays done.
    ///
    /// # Cancel safety
    ///
    /// That of the request, which goes no further when it is given up.
    pub async fn within<T, E: From<GivenUp>>(
        &self,
        // A future that is handed on as itself takes its memory twice.
        request: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, E> {
        let (now, timed_out) = (Instant::now(), self.shared.timed_out.notified());
        let last = *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_slow = last.is_some_and(|last| now < last + self.limit * SLOW_FOR);
        let given_up = async {
            // So there is a timer only while commands time out.
            if !is_slow {
                timed_out.await;
            }
            sleep_until(now + self.limit).await;
        };
        tokio::select! {
            biased;
            result = request => result,
            () = given_up => Err(GivenUp.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(250);
    const MOMENT: Duration = Duration::from_millis(5);

    /// Returns how long a request may take, if a command times out after this time.
    async fn given_up_after(timed_out: Duration) -> Duration {
        let store = SlowStore::new(LIMIT);
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

    /// Returns whether a request that begins this time after a command has timed out is given up.
    async fn is_given_up_after(since: Duration) -> bool {
        let store = SlowStore::new(LIMIT);
        store.command_timed_out();
        sleep(since).await;
        let request = pin!(async {
            sleep(LIMIT * 3).await;
            Ok::<_, GivenUp>(())
        });
        store.within(request).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_is_slow_for_some_time_after_a_command_has_timed_out() {
        assert!(is_given_up_after(Duration::ZERO).await);
        assert!(is_given_up_after(LIMIT * SLOW_FOR - MOMENT).await);
        assert!(!is_given_up_after(LIMIT * SLOW_FOR).await);
    }
}
