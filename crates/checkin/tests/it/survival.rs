//! Processes and stores end, stop, and come back.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client, Method, Program, RedisServer, Response, Signal, Stream, wait_until};

use crate::harness::{
    CHECKIN, EMAIL, PASSWORD, PATIENCE, Service, Site, accepted, at, expect_plain, expect_problem,
    log_in, retry_after, until,
};
use crate::under_way::UnderWay;

/// The time-out that a service has by default; the harness gives more.
const DEFAULT_TIMEOUT: [&str; 2] = ["--store-timeout", "250ms"];

async fn keyed(client: &mut Client) -> Response {
    let request = client.request(Method::POST, CHECKIN).header("idempotency-key", "a visit");
    request.json(&at(2, 5)).send().await
}

#[tokio::test]
async fn up_keeps_what_it_accepted_when_it_is_killed() {
    let site = Site::empty_sqlite();
    let (mut first, mut at_auth, mut at_receiver) = site.up(&[]);
    let demo_login = first.wait_for_line("demo login", PATIENCE);
    assert!(demo_login.contains(EMAIL) && demo_login.contains(PASSWORD), "{demo_login}");
    let secret = site.directory.path().join("checkin.db.session-secret");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!first.text(Stream::Stdout).contains(fs::read_to_string(&secret).unwrap().trim()));

    let refused = keyed(&mut at_receiver).await;
    expect_plain(&refused, 401, "Authentication required.");
    expect_plain(&log_in(&mut at_auth).await, 200, "OK");
    *at_receiver.jar_mut() = at_auth.jar().clone();
    let checkin = accepted(&keyed(&mut at_receiver).await);
    first.kill();

    let (_second, mut auth_again, mut receiver_again) = site.up(&[]);
    for client in [&mut auth_again, &mut receiver_again] {
        *client.jar_mut() = at_auth.jar().clone();
    }
    assert_eq!(auth_again.get("/session").await.json()["user"]["email"], EMAIL);
    assert_eq!(accepted(&keyed(&mut receiver_again).await), checkin);
    expect_plain(&auth_again.get("/logout").await, 200, "OK");
    expect_plain(&keyed(&mut receiver_again).await, 401, "Authentication required.");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn redis_keeps_what_was_accepted_when_the_services_are_killed() {
    let site = Site::redis();
    let (mut auth, mut receiver) = (site.auth(&[]), site.receiver(&[]));
    let at_auth = auth.logged_in().await;
    let checkin = accepted(&keyed(&mut receiver.client_like(&at_auth)).await);
    auth.program.kill();
    receiver.program.kill();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    assert_eq!(auth.client_like(&at_auth).get("/session").await.status, 200);
    assert_eq!(accepted(&keyed(&mut receiver.client_like(&at_auth)).await), checkin);
}

async fn ends_well(signal: Signal) {
    let site = Site::sqlite();
    let mut auth = site.auth(&[]);
    // A browser's idle connection holds nobody up.
    let mut idle = auth.client();
    expect_plain(&idle.get("/healthz").await, 200, "OK");
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let login = UnderWay::post(&auth.client(), auth.port(), "/login", &login);
    auth.program.signal(signal);
    let port = auth.port();
    wait_until("it accepts no connections", || TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(auth.program.is_running());
    let answer = tokio::task::spawn_blocking(|| login.finish()).await.unwrap();
    assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("checkinapp=s%3A"), "{answer}");
    let stopped = Instant::now();
    assert_eq!(auth.program.wait(PATIENCE).code(), Some(0));
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
    assert_eq!(auth.program.text(Stream::Stderr), "");

    let auth = site.auth(&[]);
    let mut client = auth.client();
    let cookie = answer.split("checkinapp=").nth(1).unwrap().split(';').next().unwrap();
    client.jar_mut().set("checkinapp", cookie);
    assert_eq!(client.get("/session").await.status, 200, "what was answered is stored");
}

#[tokio::test]
async fn sigterm_finishes_the_request_under_way() {
    ends_well(Signal::SIGTERM).await;
}

#[tokio::test]
async fn sigint_finishes_the_request_under_way() {
    ends_well(Signal::SIGINT).await;
}

#[tokio::test]
async fn every_service_ends_well_at_once_when_idle() {
    let site = Site::sqlite();
    let (up, ..) = site.up(&[]);
    let programs: [Program; 3] = [up, site.receiver(&[]).program, site.auth(&[]).program];
    for mut program in programs {
        let asked = Instant::now();
        assert_eq!(program.stop().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

/// Services with the default time-out, and a browser with a session.
struct Scene {
    auth: Service,
    receiver: Service,
    at_auth: Client,
    at_receiver: Client,
}

impl Scene {
    async fn on(site: &Site) -> Scene {
        let at_auth = site.auth(&[]).logged_in().await;
        let (auth, receiver) = (site.auth(&DEFAULT_TIMEOUT), site.receiver(&DEFAULT_TIMEOUT));
        let (at_auth, at_receiver) = (auth.client_like(&at_auth), receiver.client_like(&at_auth));
        let mut scene = Scene { auth, receiver, at_auth, at_receiver };
        scene.works_again().await;
        scene
    }

    /// Asks until the store answers in time; on the way a session is never denied. Returns the id of a check-in.
    async fn works_again(&mut self) -> String {
        let denied_or_fine = |response: &Response| {
            assert!(matches!(response.status, 200 | 202 | 503), "{}", response.status);
            response.status != 503
        };
        let at_auth = &mut self.at_auth;
        until("/session", async || at_auth.get("/session").await, denied_or_fine).await;
        let at_receiver = &mut self.at_receiver;
        let checkin = until("check-in", async || keyed(at_receiver).await, denied_or_fine).await;
        for service in [&self.auth, &self.receiver] {
            let mut client = service.client();
            until("/readyz", async || client.get("/readyz").await, denied_or_fine).await;
        }
        accepted(&checkin)
    }

    /// All that needs the store says 503 soon, and the rest works.
    async fn is_away(&mut self) {
        let mut soonest = [Duration::MAX; 8];
        for _ in 0..3 {
            let took = [
                away(self.at_auth.get("/session")).await,
                away(log_in(&mut self.at_auth.clone())).await,
                away(log_in(&mut self.auth.client())).await,
                away(self.at_auth.get("/logout")).await,
                away(keyed(&mut self.at_receiver)).await,
                away(self.at_receiver.post(CHECKIN, &at(9, 1))).await,
                away(self.auth.client().get("/readyz")).await,
                away(self.receiver.client().get("/readyz")).await,
            ];
            soonest = std::array::from_fn(|request| soonest[request].min(took[request]));
            for service in [&self.auth, &self.receiver] {
                expect_plain(&service.client().get("/healthz").await, 200, "OK");
            }
            nobody(&self.auth, Method::GET, "/session").await;
            nobody(&self.receiver, Method::POST, CHECKIN).await;
        }
        // The machine may stop for a moment, but not three times at the same request.
        assert!(soonest.iter().all(|took| *took < Duration::from_secs(2)), "{soonest:?}");
    }
}

/// A store that is away is never taken for a session that is gone. Returns how long the response took.
async fn away(answer: impl Future<Output = Response>) -> Duration {
    let asked = Instant::now();
    let response = answer.await;
    let took = asked.elapsed();
    expect_problem(&response, 503, &[]);
    assert!(retry_after(&response) >= 1);
    assert_eq!(response.set_cookies(), Vec::<String>::new(), "the browser keeps its cookie");
    assert!(took < Duration::from_secs(10), "{took:?}");
    took
}

/// Who has no cookie is nobody, store or no store.
async fn nobody(service: &Service, method: Method, path: &str) {
    let response = service.client().request(method, path).json(&at(2, 5)).send().await;
    expect_plain(&response, 401, "Authentication required.");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn redis_is_killed_and_comes_back() {
    let mut site = Site::lasting_redis();
    let mut scene = Scene::on(&site).await;
    let checkin = scene.works_again().await;
    site.server_mut().kill();
    scene.is_away().await;
    site.server_mut().restart();
    assert_eq!(scene.works_again().await, checkin);
    assert!(scene.auth.program.is_running() && scene.receiver.program.is_running());
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn redis_stands_still_and_goes_on() {
    let site = Site::redis();
    let mut scene = Scene::on(&site).await;
    site.server().pause();
    scene.is_away().await;
    site.server().resume();
    scene.works_again().await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn nobody_waits_for_a_store_that_is_not_needed() {
    let site = Site::redis();
    let (auth, receiver) =
        (site.auth(&["--store-timeout", "20s"]), site.receiver(&["--store-timeout", "20s"]));
    site.server().pause();
    let asked = Instant::now();
    nobody(&auth, Method::GET, "/session").await;
    nobody(&receiver, Method::POST, CHECKIN).await;
    expect_plain(&auth.client().get("/healthz").await, 200, "OK");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    site.server().resume();
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_check_in_is_accepted_when_its_replicas_have_it() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let al = auth.logged_in().await;
    let primary = site.server().port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &primary]);
    let receiver = site.receiver(&["--wait-replicas", "1", "--duplicate-window", "0"]);
    let mut client = receiver.client_like(&al);
    let accept = |answer: &Response| answer.status == 202;
    let first = until("the replica", async || keyed(&mut client).await, accept).await;
    let length = || {
        let mut connection = replica.connection();
        redis::cmd("XLEN").arg("ncc:checkins").query::<u64>(&mut connection).unwrap()
    };
    assert_eq!(length(), site.counts().0);

    replica.pause();
    for _ in 0..2 {
        let short = client.post(CHECKIN, &at(3, 3)).await;
        expect_problem(&short, 503, &[]);
        assert!(retry_after(&short) >= 1);
    }
    expect_problem(&keyed(&mut client).await, 503, &[]);
    // Who needs no replica does not wait.
    expect_plain(&client.get("/readyz").await, 200, "OK");
    replica.resume();
    let again = until("the replica", async || keyed(&mut client).await, accept).await;
    assert_eq!(accepted(&again), accepted(&first));
    assert_eq!(length(), site.counts().0);
}

#[cfg(feature = "external-tests")]
#[test]
fn the_demo_login_is_shown_only_where_it_works() {
    let shown = |site: &Site| {
        let mut up = site.start("up", &[]);
        up.wait_for_line("  store  ", PATIENCE);
        assert_eq!(up.stop().code(), Some(0));
        up.text(Stream::Stdout).contains("demo login")
    };
    let other_users = Site::empty_sqlite();
    let file = other_users.directory.path().join("users.json");
    let user = r#"{"id":77,"firstName":"Al","lastName":"A","email":"al@example.com","password":"secret123"}"#;
    fs::write(&file, format!(r#"{{"users":[{user}]}}"#)).unwrap();
    assert_eq!(other_users.run("load", &[file.to_str().unwrap()]).code, 0);
    assert!(!shown(&other_users));

    let demo = Site::redis();
    assert!(shown(&demo));
    let hash = r"$2b$04$abcdefghijklmnopqrstuuWJfxmDLxDJTYcJgf1xNRK3cC1dlY8rW";
    demo.redis_cli::<()>(&["HSET", "ncc:user:77", "password", hash]);
    assert!(!shown(&demo));
}
