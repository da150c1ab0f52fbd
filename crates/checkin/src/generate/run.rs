//! Sends the check-ins of a run and waits for the responses.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::{Answer, Cookie, HttpClient};
use super::pace::Pace;
use super::plan::{Plan, PlannedCheckin};
use super::retry;
use super::tally::{Outcome, Report};
use crate::domain::{NewCheckin, UserId};

/// The maximum number of check-ins in flight, each on a connection of its own: more than a healthy
/// receiver keeps waiting, and fewer than the files that a process may open.
pub const MAX_IN_FLIGHT: usize = 900;

/// How long to wait for the last responses when the run is stopped.
const GRACE: Duration = Duration::from_secs(3);

/// Sends check-ins and counts the results. Clones share the state.
#[derive(Clone, Debug)]
pub struct Sender {
    client: HttpClient,
    sessions: Arc<[(UserId, Cookie)]>,
    /// The prefix of the idempotency keys, which must differ between runs.
    run: Arc<str>,
    // Locked for single additions, never across an await.
    tally: Arc<Mutex<Report>>,
}

impl Sender {
    /// Creates a sender for these users.
    #[must_use]
    pub fn new(client: HttpClient, sessions: Vec<(UserId, Cookie)>, run: &str) -> Self {
        Self { client, sessions: sessions.into(), run: run.into(), tally: Arc::default() }
    }

    /// Returns the number of users.
    #[must_use]
    pub fn users(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the results so far.
    #[must_use]
    pub fn tally(&self) -> Report {
        self.count().clone()
    }

    fn count(&self) -> MutexGuard<'_, Report> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a check-in until there is a response or no attempt is left.
    async fn send(self, visit: PlannedCheckin, number: u64, due: Instant) {
        let (user, cookie) = &self.sessions[visit.user];
        let key = HeaderValue::try_from(format!("{}-{number}", self.run));
        let key = key.expect("letters, digits and a dash may stand in a header");
        let outcome = self.answered(cookie, &key, visit.by(*user)).await;
        self.count().count(outcome, due.elapsed());
    }

    async fn answered(&self, cookie: &Cookie, key: &HeaderValue, checkin: NewCheckin) -> Outcome {
        let mut attempts = 1;
        loop {
            let (outcome, asked) = match self.client.check_in(cookie, key, &checkin).await {
                Answer::Accepted => return Outcome::Accepted,
                Answer::Duplicate => return Outcome::Duplicate,
                Answer::Refused(status) => return Outcome::Refused(status),
                Answer::Away(asked) => (Outcome::Refused(503), asked),
                Answer::Nothing => (Outcome::Unanswered, None),
            };
            let Some(wait) = retry::wait(attempts, asked) else {
                return outcome;
            };
            sleep(wait).await;
            attempts += 1;
            self.count().count_retry();
        }
    }
}

/// Sends each check-in when it is due and waits for the responses. `stop` ends the run early.
/// Returns the time that the run took.
///
/// # Cancel safety
///
/// Dropping the future ends all requests in flight.
pub async fn run(
    sender: &Sender,
    plan: Plan,
    pace: Pace,
    stop: impl Future<Output = ()>,
) -> Duration {
    let start = Instant::now();
    let mut sends = JoinSet::new();
    let all = async {
        send_when_due(sender, plan, pace, start, &mut sends).await;
        end_of(&mut sends).await;
    };
    let stopped = tokio::select! {
        () = stop => true,
        () = all => false,
    };
    if stopped {
        drop(timeout(GRACE, end_of(&mut sends)).await);
    }
    let took = start.elapsed();
    sends.shutdown().await;
    sender.count().give_up_the_rest();
    took
}

async fn send_when_due(
    sender: &Sender,
    mut plan: Plan,
    pace: Pace,
    start: Instant,
    sends: &mut JoinSet<()>,
) {
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut ticks = pace.ticks(start);
    while let Some(number) = ticks.recv().await {
        // A missed check-in is drawn, too, so that the others are the same in every run.
        let visit = plan.visit();
        let Ok(place) = Arc::clone(&in_flight).try_acquire_owned() else {
            sender.count().count_missed();
            continue;
        };
        sender.count().count_sent();
        let sending = sender.clone().send(visit, number, start + pace.due(number));
        sends.spawn(async move {
            sending.await;
            drop(place);
        });
        while sends.try_join_next().is_some() {}
    }
}

/// A task that panics has no outcome, and its check-in counts as unanswered.
async fn end_of(sends: &mut JoinSet<()>) {
    while sends.join_next().await.is_some() {}
}
