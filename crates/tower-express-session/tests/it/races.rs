//! Concurrent requests of one session: no change is lost, and an ended session is not restored.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use redis_link::{Client, Reply};
use testkit::{Client as Browser, Express, Method, RedisServer, Rng, signature};
use tokio::task::JoinSet;
use tower::ServiceExt;
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{Error, Event, MemoryStore, Session, SessionLayer, Store};

use crate::backend::patient;
use crate::programs::SECRET;

const REQUESTS: usize = 64;
const ROUNDS: usize = 20;

/// The number of races that run concurrently.
const AT_ONCE: usize = 40;

/// The maximum duration of a request of a race, in milliseconds.
const LONGEST_MS: u64 = 50;

fn app(store: Arc<dyn Store>) -> Router {
    app_with_events(store, |_| {})
}

fn app_with_events(
    store: Arc<dyn Store>,
    on_event: impl Fn(Event) + Send + Sync + 'static,
) -> Router {
    let layer = SessionLayer::builder(store, [SECRET]).on_event(on_event).build().unwrap();
    Router::new()
        .route("/start", get(async |session: Session| session.insert("user", "al")))
        .route("/look", get(async |session: Session| session.raw().to_json()))
        .route("/own/{n}", get(own))
        .route("/own-and-shared/{n}", get(own_and_shared))
        .route("/slow/{ms}", get(slow))
        .route("/logout", get(async |session: Session| session.log_out().await))
        .layer(layer)
}

async fn own(session: Session, Path(number): Path<usize>) -> Result<(), Error> {
    session.insert(format!("own-{number}"), &number)
}

async fn own_and_shared(session: Session, Path(number): Path<usize>) -> Result<(), Error> {
    session.insert(format!("own-{number}"), &number)?;
    session.update("counter", |count: Option<usize>| count.unwrap_or(0) + 1).await?;
    Ok(())
}

/// Waits between loading the session and changing it: a race is about when things happen.
async fn slow(session: Session, Path(ms): Path<u64>) -> Result<(), Error> {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    session.insert("slow", &ms)
}

/// Returns the status, the body, and the session cookie of the response.
async fn request(app: &Router, path: &str, cookie: &str) -> (StatusCode, String, Option<String>) {
    let request = Request::get(path).header(COOKIE, cookie).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let set = response.headers().get(SET_COOKIE).map(|line| line.to_str().unwrap());
    let set = set.map(|line| line.split(';').next().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), set)
}

async fn log_in(app: &Router) -> String {
    let (status, _, cookie) = request(app, "/start", "").await;
    assert_eq!(status, StatusCode::OK);
    cookie.unwrap()
}

fn redis(server: &RedisServer) -> RedisStore {
    RedisStore::new(patient(&server.url()))
}

async fn sqlite(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(dir.path().join("sessions.db")).await.unwrap()
}

async fn no_update_is_lost(store: Arc<dyn Store>) {
    let app = app(store);
    for (path, counts) in [("/own", false), ("/own-and-shared", true)] {
        for _ in 0..ROUNDS {
            let cookie = log_in(&app).await;
            let mut requests = JoinSet::new();
            for number in 0..REQUESTS {
                let (app, cookie) = (app.clone(), cookie.clone());
                requests.spawn(async move {
                    request(&app, &format!("{path}/{number}"), &cookie).await.0
                });
            }
            assert!(requests.join_all().await.iter().all(|status| *status == StatusCode::OK));
            let (_, json, _) = request(&app, "/look", &cookie).await;
            let session: serde_json::Value = serde_json::from_str(&json).unwrap();
            for number in 0..REQUESTS {
                assert_eq!(session[format!("own-{number}")], number, "{json}");
            }
            assert!(!counts || session["counter"] == REQUESTS, "{json}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_in_memory() {
    no_update_is_lost(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    no_update_is_lost(Arc::new(sqlite(&dir).await)).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_in_redis() {
    let server = RedisServer::start();
    no_update_is_lost(Arc::new(redis(&server))).await;
    no_update_is_lost(Arc::new(redis(&server).cached(CacheOptions::default()))).await;
}

/// The counts of some races.
#[derive(Debug, Default)]
struct Outcome {
    races: usize,
    /// Requests in progress that found that the session had ended.
    gone: usize,
    /// Sessions that Express wrote back after they had ended.
    written_back: usize,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.races += other.races;
        self.gone += other.gone;
        self.written_back += other.written_back;
    }
}

/// When the requests of a race act, in milliseconds from its start.
#[derive(Clone, Copy, Debug)]
struct Plan {
    slow: [u64; 2],
    express: u64,
    logout: u64,
    is_ended_by_express: bool,
}

impl Plan {
    fn random(rng: &mut Rng) -> Plan {
        let mut ms = || rng.u64(..LONGEST_MS);
        let (slow, express, logout) = ([ms(), ms()], ms(), ms());
        Plan { slow, express, logout, is_ended_by_express: rng.bool() }
    }
}

/// A real Express service, and the Redis that it writes to.
#[derive(Clone)]
struct Neighbour {
    browser: Browser,
    redis: Client,
    /// Whether it has our store, which never writes an ended session back.
    has_our_store: bool,
}

impl Neighbour {
    /// Loads the session, waits for some milliseconds and then writes it without comparing.
    async fn write(&self, cookie: &str, ms: u64) {
        self.run(cookie, &format!(r#"[["sleep",{ms}],["set","express",1]]"#)).await;
    }

    async fn run(&self, cookie: &str, program: &str) -> String {
        let mut browser = self.browser.clone();
        // Node closes idle connections, possibly at the moment when the next request is sent.
        let post = browser.request(Method::POST, "/").without_jar().header("Connection", "close");
        let answer = post.header("Cookie", cookie).body(program.to_owned()).send().await;
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    }

    async fn wrote_back(&self, cookie: &str) -> bool {
        let value = signature::decode(cookie.split_once('=').unwrap().1).unwrap();
        let key = format!("sess:{}", signature::unsign(&value, SECRET).unwrap());
        self.redis.call(&[b"EXISTS", key.as_bytes()]).await.unwrap() == Reply::Int(1)
    }
}

/// Runs `count` races, in which Express takes part if it is given.
async fn races(store: Arc<dyn Store>, neighbour: Option<Neighbour>, count: usize) -> Outcome {
    let gone = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&gone);
    let app = app_with_events(store, move |event| {
        if event == Event::Gone {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut rng = testkit::random();
    let mut outcome = Outcome::default();
    let mut running = JoinSet::new();
    for _ in 0..count {
        let (app, plan, neighbour) = (app.clone(), Plan::random(&mut rng), neighbour.clone());
        running.spawn(async move { race(&app, plan, neighbour).await });
        if running.len() == AT_ONCE {
            outcome += running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(one) = running.join_next().await {
        outcome += one.unwrap();
    }
    outcome.gone = gone.load(Ordering::Relaxed);
    assert!(outcome.gone > 0, "some requests must lose the race: {outcome:?}");
    outcome
}

async fn race(app: &Router, plan: Plan, neighbour: Option<Neighbour>) -> Outcome {
    let cookie = log_in(app).await;
    let slow = plan.slow.map(|ms| format!("/slow/{ms}"));
    let logout = async {
        tokio::time::sleep(Duration::from_millis(plan.logout)).await;
        match &neighbour {
            Some(express) if express.has_our_store && plan.is_ended_by_express => {
                express.run(&cookie, r#"[["destroy"]]"#).await;
            }
            _ => assert_eq!(request(app, "/logout", &cookie).await.0, StatusCode::OK),
        }
        // From here on the session must not be accepted, although other requests are still in
        // progress.
        assert_eq!(request(app, "/look", &cookie).await.1, "{}", "{plan:?}");
    };
    let at_express = async {
        if let Some(neighbour) = &neighbour {
            neighbour.write(&cookie, plan.express).await;
        }
    };
    let ((), (.., first), (.., second), ()) = tokio::join!(
        logout,
        request(app, &slow[0], &cookie),
        request(app, &slow[1], &cookie),
        at_express
    );
    let written_back = match &neighbour {
        Some(neighbour) => usize::from(neighbour.wrote_back(&cookie).await),
        None => 0,
    };
    if let Some(express) = neighbour.as_ref().filter(|express| express.has_our_store) {
        let all = express.run(&cookie, r#"[["all"]]"#).await;
        assert_eq!(all, "[{}]", "the session has ended at Express: {plan:?}");
    }
    let (_, json, _) = request(app, "/look", &cookie).await;
    assert_eq!(json, "{}", "the session has ended after all requests: {plan:?}");
    if let Some(neighbour) = &neighbour {
        assert!(
            !neighbour.wrote_back(&cookie).await,
            "the last request deleted the value again: {plan:?}"
        );
    }
    assert_eq!([first, second].iter().flatten().find(|pair| *pair == CLEARED), None);
    Outcome { races: 1, gone: 0, written_back }
}

/// The beginning of a header that clears the cookie. A slow response must not send it, because the
/// browser may have logged in again.
const CLEARED: &str = "connect.sid=";

#[expect(clippy::print_stdout, reason = "the test reports the counts of the races")]
fn report(store: &str, outcome: &Outcome) {
    println!("{store}: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ended_sessions_are_not_restored_in_memory_and_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    report("memory", &races(Arc::new(MemoryStore::new()), None, 1000).await);
    report("SQLite", &races(Arc::new(sqlite(&dir).await), None, 1000).await);
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ended_sessions_are_not_accepted_in_redis_although_express_writes_them_back() {
    let outcome = races_beside_express("connect-redis", 10_000).await;
    report("Redis, beside Express", &outcome);
    // How many depends on how busy the machine is: 197 to 957 were seen.
    assert!(outcome.written_back > 30, "Express must write some sessions back: {outcome:?}");
}

/// `RACES=10000` runs more of them.
#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ended_sessions_are_not_written_back_by_express_with_our_store() {
    let count = std::env::var("RACES").map_or(500, |count| count.parse().expect("a number"));
    let outcome = races_beside_express("merging-session-store", count).await;
    report("Redis, beside Express with our store", &outcome);
    assert_eq!(outcome.written_back, 0, "{outcome:?}");
}

/// Runs races beside an Express service whose store is of this package.
#[cfg(feature = "external-tests")]
async fn races_beside_express(module: &str, count: usize) -> Outcome {
    let server = RedisServer::start();
    let options = format!(r#"{{"secret":"{SECRET}","resave":false,"saveUninitialized":false}}"#);
    let has_our_store = module != "connect-redis";
    let more = if has_our_store { r#"{"timeout":10000}"# } else { "{}" };
    let url = server.url();
    let variables =
        [("STORE", &*url), ("OPTIONS", &options), ("MODULE", module), ("STORE_OPTIONS", more)];
    let express = Express::start("probe.js", &variables);
    let (browser, redis_client) = (Browser::new(express.url()), patient(&url));
    let neighbour = Neighbour { browser, redis: redis_client, has_our_store };
    races(Arc::new(redis(&server)), Some(neighbour), count).await
}
