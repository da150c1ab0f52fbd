//! The moments at which commands to the store timed out, and how long requests go on then.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// When a command to the store timed out last. A request of several commands, of which each is answered just
/// in time, would otherwise take several times as long as a command may. Clones share the moment.
#[derive(Clone, Debug)]
pub struct CommandTimeouts {
    /// How long a command may take.
    limit: Duration,
    last: watch::Sender<Option<Instant>>,
}

/// A request was given up, because the store does not respond in time.
#[derive(Debug)]
pub struct GivenUp;

impl CommandTimeouts {
    /// No command has timed out yet; each may take as long as `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, last: watch::Sender::default() }
    }

    /// Notes that a command has timed out now.
    pub fn note(&self) {
        self.last.send_replace(Some(Instant::now()));
    }

    /// Returns the result of a request. While commands time out, the request as a whole may take as long as
    /// one command; while none does, as long as all of its commands may take.
    ///
    /// # Errors
    ///
    /// [`GivenUp`] if it took longer. What it did until then stays done.
    ///
    /// # Cancel safety
    ///
    /// That of the request, which is dropped when it is given up.
    pub async fn within<T>(&self, request: impl Future<Output = T>) -> Result<T, GivenUp> {
        let end = Instant::now() + self.limit;
        let given_up = async {
            sleep_until(end).await;
            // The sender is there, so this ends only when a command times out.
            let is_recent =
                |last: &Option<Instant>| last.is_some_and(|last| last.elapsed() <= self.limit);
            drop(self.last.subscribe().wait_for(is_recent).await);
        };
        tokio::select! {
            biased;
            result = request => Ok(result),
            () = given_up => Err(GivenUp),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(250);

    /// Returns how long a request may take, if a command times out after this time.
    async fn given_up_after(timed_out: Duration) -> Duration {
        let timeouts = CommandTimeouts::new(LIMIT);
        let begin = Instant::now();
        let note = async {
            sleep(timed_out).await;
            timeouts.note();
        };
        let (result, ()) = tokio::join!(timeouts.within(pending::<()>()), note);
        assert!(result.is_err());
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_given_up_when_it_is_old_and_a_command_has_just_timed_out() {
        let [early, later] = [100, 900].map(Duration::from_millis);
        assert!((LIMIT..LIMIT + Duration::from_millis(5)).contains(&given_up_after(early).await));
        assert!((later..later + Duration::from_millis(5)).contains(&given_up_after(later).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_goes_on_when_the_last_time_out_is_long_ago() {
        let timeouts = CommandTimeouts::new(LIMIT);
        timeouts.note();
        sleep(Duration::from_millis(10)).await;
        timeouts.within(sleep(LIMIT * 3)).await.expect("no command timed out meanwhile");
    }
}
