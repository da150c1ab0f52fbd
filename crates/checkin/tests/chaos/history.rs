//! What clients asked for and what they were answered.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client, Method, Request, Response, Rng};
use tokio::task::JoinSet;

use super::deletions::Deletion;
use super::leavers::Leaver;
use crate::harness::CHECKIN;

/// Clients, each of which checks in as a user of its own.
pub(crate) const USERS: u64 = 16;
pub(crate) const LOCATIONS: u64 = 1000;
pub(crate) const PASSWORD: &str = "secret123";

/// The users who also check in privately, at locations behind the others, where nobody else does.
pub(crate) const PRIVATE_USERS: u64 = 4;
pub(crate) const PRIVATE_LOCATIONS: u64 = 200;

/// The number of clients that delete check-ins.
const DELETERS: usize = 4;

/// The pause of a client after each check-in.
pub(super) const PACE: Duration = Duration::from_millis(20);
/// That of a client after each private check-in.
const PRIVATE_PACE: Duration = Duration::from_millis(60);
/// How long a client waits for a response.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause before a request is sent again, and how often it is.
pub(super) const AGAIN: Duration = Duration::from_millis(50);
pub(super) const ATTEMPTS: usize = 4;
/// The pause between two logins.
const LOGIN_PACE: Duration = Duration::from_millis(150);

/// A check-in that differs from all others of its user, so that it can be found in the store.
pub(crate) type Visit = (u64, u64, u64);

/// Who sees a check-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Public,
    Private,
}

/// What the clients know of a check-in that was sent.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// When it was confirmed.
    pub(crate) accepted: Option<Instant>,
    /// Whether somebody asked to delete it, and when that was confirmed.
    pub(crate) is_deleting: bool,
    pub(crate) deleted: Option<Instant>,
}

pub(crate) type Ledger = HashMap<Visit, Known>;

/// One request for a check-in.
pub(super) struct Attempt {
    pub(super) started: Instant,
    pub(super) took: Duration,
    pub(super) status: Option<u16>,
}

/// One session: its cookies, and whether it was logged out.
pub(super) struct Login {
    pub(super) client: Client,
    pub(super) is_ended: bool,
}

/// The clients, and everything that they were answered.
#[derive(Clone, Default)]
pub(crate) struct History {
    receivers: Arc<Vec<Client>>,
    stops: Arc<AtomicBool>,
    pub(super) attempts: Arc<Mutex<Vec<Attempt>>>,
    public: Arc<Mutex<Ledger>>,
    private: Arc<Mutex<Ledger>>,
    /// The deletions that nobody has sent yet.
    pub(super) deletions: Arc<Mutex<VecDeque<Deletion>>>,
    pub(super) leavers: Arc<Mutex<HashMap<u64, Leaver>>>,
    /// Confirmed with an id that is not greater than the one of the user's check-in before.
    pub(super) unordered: Arc<AtomicUsize>,
    pub(super) logins: Arc<Mutex<Vec<Login>>>,
    /// When a fault began that happens more than once.
    pub(super) marks: Arc<Mutex<Vec<Instant>>>,
    /// Responses that no fault explains.
    pub(super) refused: Arc<Mutex<Vec<String>>>,
    /// Responses which show that the store does not know any more what it had confirmed.
    pub(super) forgotten: Arc<Mutex<Vec<String>>>,
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
        for user in 1..=PRIVATE_USERS {
            clients.spawn(self.clone().check_in_privately(user));
        }
        for _ in 0..DELETERS {
            clients.spawn(self.clone().delete_checkins());
        }
        self.start_leavers(auth, &mut clients);
        clients.spawn(self.clone().log_in(auth.clone(), Rng::with_seed(chance.u64(..))));
        clients
    }

    pub(crate) async fn stop(&self, mut clients: JoinSet<()>) {
        self.stops.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    }

    /// Returns the number of accepted check-ins.
    pub(crate) fn accepted(&self) -> usize {
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().filter(|attempt| attempt.status == Some(202)).count()
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    pub(super) fn ledger(&self, kind: Kind) -> MutexGuard<'_, Ledger> {
        match kind {
            Kind::Public => self.public.lock().unwrap(),
            Kind::Private => self.private.lock().unwrap(),
        }
    }

    async fn check_in(self, user: u64) {
        let mut last = (0, 0);
        for number in 0..LOCATIONS * 6 {
            if self.has_stopped() {
                return;
            }
            let visit = (user, number / 6 + 1, number % 6);
            if let Some(id) = self.make(Kind::Public, visit).await {
                self.unordered.fetch_add(usize::from(parts(&id) <= last), Ordering::Relaxed);
                last = parts(&id);
                self.may_delete(number, Kind::Public, visit, id);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn check_in_privately(self, user: u64) {
        for number in 0..PRIVATE_LOCATIONS * 6 {
            if self.has_stopped() {
                return;
            }
            let visit = (user, LOCATIONS + number / 6 + 1, number % 6);
            if let Some(id) = self.make(Kind::Private, visit).await {
                self.may_delete(number, Kind::Private, visit, id);
            }
            tokio::time::sleep(PRIVATE_PACE).await;
        }
    }

    /// Checks in, several times if the client has a key. Returns the id if the check-in is confirmed.
    pub(super) async fn make(&self, kind: Kind, visit: Visit) -> Option<String> {
        self.ledger(kind).entry(visit).or_default();
        for attempt in 0..if has_key(visit.0) { ATTEMPTS } else { 1 } {
            if let Some(id) = self.attempt(kind, visit, attempt).await {
                self.ledger(kind).get_mut(&visit).unwrap().accepted = Some(Instant::now());
                return Some(id);
            }
            tokio::time::sleep(AGAIN).await;
        }
        None
    }

    /// Sends a check-in. Returns its id if it is confirmed.
    pub(super) async fn attempt(&self, kind: Kind, visit: Visit, attempt: usize) -> Option<String> {
        let (user, location, stars) = visit;
        let mut client = self.receiver(user, attempt);
        let started = Instant::now();
        let mut body = json!({"userId": user, "locationId": location, "starRating": stars});
        if kind == Kind::Private {
            body["private"] = true.into();
        }
        let mut request = client.request(Method::POST, CHECKIN).without_jar().json(&body);
        if has_key(user) {
            request = request.header("idempotency-key", format!("{user} {location} {stars}"));
        }
        let response = answer(request).await;
        let status = response.as_ref().map(|response| response.status);
        if kind == Kind::Public && user <= USERS {
            let attempt = Attempt { started, took: started.elapsed(), status };
            self.attempts.lock().unwrap().push(attempt);
        }
        match status {
            Some(202) => response.unwrap().header("checkin-id").map(str::to_owned),
            None | Some(503) => None,
            // The account is deleted.
            Some(422) if self.leavers.lock().unwrap().contains_key(&user) => None,
            Some(other) => {
                self.refuse(format!("{kind:?} check-in: {other}"));
                None
            }
        }
    }

    pub(super) fn receiver(&self, user: u64, attempt: usize) -> Client {
        self.receivers[(user as usize + attempt) % self.receivers.len()].clone()
    }

    pub(super) fn refuse(&self, what: String) {
        self.refused.lock().unwrap().push(what);
    }

    /// Logs in and, in half of the cases, out again.
    async fn log_in(self, auth: Client, mut chance: Rng) {
        while !self.has_stopped() {
            let mut client = auth.clone();
            if log_in(&mut client, chance.u64(1..=USERS)).await == Some(200) {
                let mut is_ended = false;
                if chance.bool() {
                    tokio::time::sleep(LOGIN_PACE).await;
                    let mut leaving = client.clone();
                    match answer(leaving.request(Method::POST, "/logout")).await {
                        Some(answer) if answer.status == 200 => is_ended = true,
                        // Nobody knows whether the session has ended.
                        _ => continue,
                    }
                }
                self.logins.lock().unwrap().push(Login { client, is_ended });
            }
            tokio::time::sleep(LOGIN_PACE).await;
        }
    }
}

/// Logs in as a user. Returns the status, if there is a response.
pub(super) async fn log_in(client: &mut Client, user: u64) -> Option<u16> {
    let body = json!({"email": format!("u{user}@example.com"), "password": PASSWORD});
    let response = answer(client.request(Method::POST, "/login").json(&body)).await;
    response.map(|response| response.status)
}

/// Sends a request. Returns nothing if no response comes in time.
pub(super) async fn answer(request: Request<'_>) -> Option<Response> {
    tokio::time::timeout(PATIENCE, request.try_send()).await.ok()?.ok()
}

/// Returns both parts of an id.
fn parts(id: &str) -> (u64, u64) {
    let (ms, seq) = id.split_once('-').unwrap();
    (ms.parse().unwrap(), seq.parse().unwrap())
}

/// Half of the clients send keys and repeat their check-ins.
pub(super) fn has_key(user: u64) -> bool {
    user.is_multiple_of(2)
}
