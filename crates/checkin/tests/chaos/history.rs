//! What clients asked for, what they were answered, and whether the store has it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client, Method, Rng};
use tokio::task::JoinSet;

use super::books::Books;
use super::rows::Promise;
use crate::harness::CHECKIN;

/// Clients, each of which checks in as a user of its own.
pub(crate) const USERS: u64 = 16;
pub(crate) const LOCATIONS: u64 = 1000;
pub(crate) const PASSWORD: &str = "secret123";

/// The pause of a client after each check-in.
const PACE: Duration = Duration::from_millis(20);
/// How long a client waits for a response.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause before a check-in is sent again, and how often it is.
const AGAIN: Duration = Duration::from_millis(50);
const ATTEMPTS: usize = 4;
/// The number of requests at the end of which most must be accepted.
const LAST: usize = 100;
/// The pause between two logins.
const LOGIN_PACE: Duration = Duration::from_millis(150);

/// A check-in that differs from all others of its user, so that it can be found in the store.
pub(crate) type Visit = (u64, u64, u64);

/// One request for a check-in.
struct Attempt {
    started: Instant,
    took: Duration,
    status: Option<u16>,
}

/// One session: its cookies, and whether it was logged out.
struct Login {
    client: Client,
    is_ended: bool,
}

/// The clients, and everything that they were answered.
#[derive(Clone, Default)]
pub(crate) struct History {
    receivers: Arc<Vec<Client>>,
    stops: Arc<AtomicBool>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    sent: Arc<Mutex<HashSet<Visit>>>,
    /// When each was confirmed.
    accepted: Arc<Mutex<HashMap<Visit, Instant>>>,
    /// Confirmed with an id that is not greater than the one of the user's check-in before.
    unordered: Arc<AtomicUsize>,
    logins: Arc<Mutex<Vec<Login>>>,
    /// When a fault began that happens more than once.
    marks: Arc<Mutex<Vec<Instant>>>,
}

/// What a history and a store have in common, and what not.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) accepted: usize,
    /// Accepted, but not in the histories of both its user and its location.
    pub(crate) lost: usize,
    /// Lost, although it was confirmed at a time at which nothing may be lost.
    pub(crate) lost_against_promise: usize,
    /// When the lost check-ins were confirmed, in milliseconds after the fault began.
    pub(crate) lost_at: Option<(i64, i64)>,
    pub(crate) twice: usize,
    pub(crate) unordered: usize,
    /// Applied although nobody sent it.
    pub(crate) unasked: usize,
    /// Answered with a status other than 202 and 503.
    pub(crate) refused: usize,
    pub(crate) logins: usize,
    pub(crate) lost_logins: usize,
    pub(crate) undone_logouts: usize,
    /// Whether a check-in was accepted at the end.
    pub(crate) has_recovered: bool,
    /// The longest time without an accepted check-in, and the 99th percentile of the response times
    /// meanwhile.
    pub(crate) gap: Duration,
    pub(crate) p99: Duration,
    /// What the doctor said if it did not find that the figures are the sums over the log.
    pub(crate) unverified: Option<String>,
}

impl History {
    pub(crate) fn of(receivers: Vec<Client>) -> Self {
        Self { receivers: Arc::new(receivers), ..Self::default() }
    }

    /// Marks the moment at which a fault begins again.
    pub(crate) fn mark(&self) {
        self.marks.lock().unwrap().push(Instant::now());
    }

    /// Starts the clients. They run until [`stop`](Self::stop).
    pub(crate) fn start(&self, auth: &Client, chance: &mut Rng) -> JoinSet<()> {
        let mut clients: JoinSet<()> =
            (1..=USERS).map(|user| self.clone().check_in(user)).collect();
        clients.spawn(self.clone().log_in(auth.clone(), Rng::with_seed(chance.u64(..))));
        clients
    }

    pub(crate) async fn stop(&self, mut clients: JoinSet<()>) {
        self.stops.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    async fn check_in(self, user: u64) {
        let mut last = (0, 0);
        for number in 0..LOCATIONS * 6 {
            if self.stops.load(Ordering::Relaxed) {
                return;
            }
            let visit = (user, number / 6 + 1, number % 6);
            self.sent.lock().unwrap().insert(visit);
            for attempt in 0..if has_key(user) { ATTEMPTS } else { 1 } {
                let (status, id) = self.attempt(visit, attempt).await;
                if status == Some(202) {
                    self.accepted.lock().unwrap().insert(visit, Instant::now());
                    self.unordered.fetch_add(usize::from(id <= last), Ordering::Relaxed);
                    last = id;
                }
                if !matches!(status, None | Some(503)) {
                    break;
                }
                tokio::time::sleep(AGAIN).await;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Sends a check-in. Returns the status and the id of the check-in, if there is one.
    async fn attempt(
        &self,
        (user, location, stars): Visit,
        attempt: usize,
    ) -> (Option<u16>, (u64, u64)) {
        let mut client = self.receivers[(user as usize + attempt) % self.receivers.len()].clone();
        let started = Instant::now();
        let body = json!({"userId": user, "locationId": location, "starRating": stars});
        let mut request = client.request(Method::POST, CHECKIN).without_jar().json(&body);
        if has_key(user) {
            request = request.header("idempotency-key", format!("{user} {location} {stars}"));
        }
        let sent = request.try_send();
        let (status, id) = match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(response)) => (Some(response.status), response.header("checkin-id").map(parts)),
            _ => (None, None),
        };
        let attempt = Attempt { started, took: started.elapsed(), status };
        self.attempts.lock().unwrap().push(attempt);
        (status, id.unwrap_or_default())
    }

    /// Logs in and, in half of the cases, out again.
    async fn log_in(self, auth: Client, mut chance: Rng) {
        while !self.stops.load(Ordering::Relaxed) {
            let mut client = auth.clone();
            let email = format!("u{}@example.com", chance.u64(1..=USERS));
            let body = json!({"email": email, "password": PASSWORD});
            let request = client.request(Method::POST, "/login").json(&body).try_send();
            let answer = tokio::time::timeout(PATIENCE, request).await;
            if answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200)) {
                let mut is_ended = false;
                if chance.bool() {
                    tokio::time::sleep(LOGIN_PACE).await;
                    let mut leaving = client.clone();
                    let request = leaving.request(Method::POST, "/logout").try_send();
                    let answer = tokio::time::timeout(PATIENCE, request).await;
                    match answer {
                        Ok(Ok(answer)) if answer.status == 200 => is_ended = true,
                        // Nobody knows whether the session has ended.
                        _ => continue,
                    }
                }
                self.logins.lock().unwrap().push(Login { client, is_ended });
            }
            tokio::time::sleep(LOGIN_PACE).await;
        }
    }

    /// Compares the history with the store, which must have applied everything.
    pub(crate) async fn judge(&self, books: &Books, promise: Promise, since: Instant) -> Verdict {
        let mut verdict = self.compare(books, promise, since);
        let logins = std::mem::take(&mut *self.logins.lock().unwrap());
        verdict.logins = logins.len();
        for Login { mut client, is_ended } in logins {
            match (client.get("/session").await.status, is_ended) {
                (200, true) => verdict.undone_logouts += 1,
                (401, false) => verdict.lost_logins += 1,
                (200 | 401, _) => {}
                (status, _) => panic!("GET /session gets {status} after the fault"),
            }
        }
        verdict
    }
}

impl History {
    /// Compares what was sent and accepted with what was applied.
    fn compare(&self, books: &Books, promise: Promise, since: Instant) -> Verdict {
        let Books { of_users, of_locations } = books;
        let (users, locations) = (&of_users.visits, &of_locations.visits);
        let accepted = self.accepted.lock().unwrap();
        let is_lost = |visit: &Visit| !users.contains(visit) || !locations.contains(visit);
        let lost: Vec<_> = accepted
            .iter()
            .filter(|(visit, _)| is_lost(visit))
            .map(|(_, confirmed)| self.after_fault(*confirmed, since))
            .collect();
        let sent = self.sent.lock().unwrap();
        let attempts = self.attempts.lock().unwrap();
        let is_refusal = |attempt: &&Attempt| !matches!(attempt.status, None | Some(202 | 503));
        let (gap, p99) = outage(&attempts, since);
        let last = attempts.iter().rev().take(LAST);
        Verdict {
            accepted: accepted.len(),
            lost: lost.len(),
            lost_against_promise: lost.iter().filter(|at| !promise.lets_lose(**at)).count(),
            lost_at: lost.iter().min().copied().zip(lost.iter().max().copied()),
            twice: of_users.count - users.len() + of_locations.count - locations.len(),
            unordered: self.unordered.load(Ordering::Relaxed),
            unasked: users.union(locations).filter(|visit| !sent.contains(*visit)).count(),
            refused: attempts.iter().filter(is_refusal).count(),
            has_recovered: last.filter(|attempt| attempt.status == Some(202)).count() > LAST / 2,
            gap,
            p99,
            ..Verdict::default()
        }
    }

    /// Returns how many milliseconds after the nearest beginning of a fault this was; less than 0 if it
    /// was before.
    fn after_fault(&self, moment: Instant, since: Instant) -> i64 {
        let marks = self.marks.lock().unwrap();
        let begins = if marks.is_empty() { &[since][..] } else { &marks };
        let after = |begin: &Instant| {
            let after = moment.saturating_duration_since(*begin).as_millis() as i64;
            after - begin.saturating_duration_since(moment).as_millis() as i64
        };
        begins.iter().map(after).min_by_key(|after| after.abs()).unwrap()
    }
}

/// Returns both parts of an id.
fn parts(id: &str) -> (u64, u64) {
    let (ms, seq) = id.split_once('-').unwrap();
    (ms.parse().unwrap(), seq.parse().unwrap())
}

/// Half of the clients send keys and repeat their check-ins.
fn has_key(user: u64) -> bool {
    user.is_multiple_of(2)
}

/// Returns the longest time without an accepted check-in, and the 99th percentile of the response times
/// of the requests that began in that time.
fn outage(attempts: &[Attempt], since: Instant) -> (Duration, Duration) {
    let mut ends: Vec<Instant> = attempts
        .iter()
        .filter(|attempt| attempt.status == Some(202))
        .map(|attempt| attempt.started + attempt.took)
        .filter(|end| *end >= since)
        .collect();
    let last = attempts.iter().map(|attempt| attempt.started + attempt.took).max();
    ends.extend([Some(since), last].into_iter().flatten());
    ends.sort_unstable();
    let gaps = ends.windows(2).map(|pair| (pair[1] - pair[0], pair[0], pair[1]));
    let Some((gap, from, to)) = gaps.max() else { return Default::default() };
    let meanwhile = |attempt: &&Attempt| (from..=to).contains(&attempt.started);
    let mut times: Vec<Duration> =
        attempts.iter().filter(meanwhile).map(|attempt| attempt.took).collect();
    times.sort_unstable();
    let p99 = times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1)));
    (gap, p99.copied().unwrap_or_default())
}
