//! Clients that hang up while their password is being checked.

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use testkit::{Client, Signal};

use crate::harness::{PASSWORD, PATIENCE, Service, Site, memory_kib};
use crate::under_way::UnderWay;

const CLIENTS: u64 = 200;

/// What a hash takes, and a thread with it; and what anything else may take meanwhile.
const HASH_MIB: u64 = 20;
const REST_MIB: u64 = 64;

/// The most memory that the process ever had, and what it has now, in MiB.
fn memory(service: &Service) -> (u64, u64) {
    let mib = |name| memory_kib(&service.program, name) / 1024;
    (mib("VmHWM"), mib("VmRSS"))
}

/// A login that hangs up so long after it was sent.
async fn hang_up(auth: &Service, email: String, after: Duration) {
    let (browser, port) = (auth.client(), auth.port());
    let login = json!({"email": email, "password": "not the password"});
    let sent = move || UnderWay::post(&browser, port, "/login", &login).hang_up(after);
    tokio::task::spawn_blocking(sent).await.unwrap();
}

/// How long others wait for their answers, the longest of some.
async fn others_wait(client: &mut Client) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(client.get("/session").await.status, 200);
        longest = longest.max(asked.elapsed());
    }
    longest
}

async fn hashing_is_bounded(site: Site) {
    let auth = site.auth(&[]);
    let email = "bo@example.com";
    let account = json!({"firstName": "Bo", "lastName": "B", "email": email, "password": PASSWORD});
    assert_eq!(auth.client().post("/register", &account).await.status, 201);
    let mut client = auth.logged_in().await;
    let (before, wait_before) = (memory(&auth), others_wait(&mut client).await);

    let attack = async {
        for number in 0..CLIENTS {
            let email = format!("nobody{number}@example.com");
            hang_up(&auth, email, Duration::from_millis(2 + number % 19)).await;
        }
    };
    let (wait_during, ()) = tokio::join!(others_wait(&mut client), attack);
    let during = memory(&auth);
    let wait_after = others_wait(&mut client).await;
    let after = memory(&auth);
    eprintln!(
        "memory (highest, now) {before:?} {during:?} {after:?} MiB, \
         others wait {wait_before:?} {wait_during:?} {wait_after:?}"
    );
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    assert!(after.0 <= before.0 + REST_MIB + cores * HASH_MIB, "{before:?} {after:?} MiB");

    // Their failures count. In the moment when a wait ends, one more attempt is free.
    let mut is_counted = false;
    for attempt in 1..=10 {
        if is_counted {
            break;
        }
        // At the same time, because the first wait takes only a second. On a busy machine it takes longer
        // until the service has the requests.
        let soon = Duration::from_millis(10 << attempt);
        join_all((0..20).map(|_| hang_up(&auth, email.to_owned(), soon))).await;
        let login = json!({"email": email, "password": PASSWORD});
        is_counted |= auth.client().post("/login", &login).await.status == 429;
    }
    assert!(is_counted, "failures of clients that hang up are not counted");
}

#[tokio::test]
async fn clients_that_hang_up_do_not_escape_the_bounds_on_sqlite() {
    hashing_is_bounded(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn clients_that_hang_up_do_not_escape_the_bounds_on_redis() {
    hashing_is_bounded(Site::redis()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_stop_does_not_wait_for_many_slow_hashes() {
    let site = Site::redis();
    // The slowest that a login checks.
    let slow = "$2b$12$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce";
    let mut auth = site.auth(&[]);
    for id in 1..=60 {
        let user = format!("ncc:user:{id}");
        site.redis_cli::<i64>(&["HSET", &user, "password", slow]);
        let email = site.redis_cli(&["HGET", &user, "email"]);
        hang_up(&auth, email, Duration::from_millis(2)).await;
    }
    auth.program.signal(Signal::SIGTERM);
    let status = tokio::task::spawn_blocking(move || auth.program.wait(PATIENCE / 2)).await;
    assert!(status.unwrap().success());
}
