//! `DELETE /sessions` ends all other sessions, at once and whatever else happens.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, RedisServer, until};

#[cfg(feature = "external-tests")]
use crate::harness::SECRET;
use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, Service, Site, accepted, at, expect_plain, log_in,
};

const OTHER: &str = "another password";

/// The tests of races do not wait for leases.
const NO_CACHE: [&str; 2] = ["--session-cache", "0"];

#[track_caller]
fn expect_over(response: &testkit::Response) {
    expect_plain(response, 401, "Authentication required.");
}

fn login(password: &str) -> Value {
    json!({"email": EMAIL, "password": password})
}

/// A session of an Express service ends there.
#[cfg(feature = "external-tests")]
async fn expect_end_at_express(client: &Client) {
    until("the search ends the session of Express", async || {
        client.clone().get("/session").await.status == 401
    })
    .await;
}

async fn others_are_refused_at_once(site: &Site, forget_the_index: impl Fn()) -> Client {
    let (auth, receiver, api) = (site.auth(&[]), site.receiver(&[]), site.api(&[]));
    let mut asking = auth.logged_in().await;
    let others = [auth.logged_in().await, auth.logged_in().await];
    // The receiver and the API know both sessions.
    for (other, place) in others.iter().zip([1, 2]) {
        accepted(&receiver.client_like(other).post(CHECKIN, &at(place, 3)).await);
        assert_eq!(api.client_like(other).get("/api/user/77").await.status, 200);
    }
    forget_the_index();
    assert_eq!(asking.delete("/sessions").await.status, 200);
    for other in &others {
        expect_over(&receiver.client_like(other).post(CHECKIN, &at(3, 3)).await);
        expect_over(&api.client_like(other).get("/api/user/77").await);
        expect_over(&auth.client_like(other).get("/session").await);
    }
    accepted(&receiver.client_like(&asking).post(CHECKIN, &at(3, 3)).await);
    assert_eq!(api.client_like(&asking).get("/api/user/77").await.status, 200);
    // It can ask again.
    assert_eq!(asking.delete("/sessions").await.json(), json!({"ended": 0}));
    asking
}

#[tokio::test]
async fn the_other_sessions_are_refused_at_once_on_sqlite() {
    others_are_refused_at_once(&Site::sqlite(), || {}).await;
}

/// Even if they are in no index, and no search comes.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_other_sessions_are_refused_at_once_on_redis() {
    let site = Site::redis();
    let lease = "{ncc:session-searches}:lease";
    site.redis_cli::<()>(&["SET", lease, "a process that does nothing"]);
    let express = site.express(SECRET);
    let mut at_express = Client::new(express.url());
    assert_eq!(log_in(&mut at_express).await.status, 200);
    let index = format!("ncc:account-sessions:{EMAIL}");
    let asking = others_are_refused_at_once(&site, || site.redis_cli(&["DEL", &index])).await;
    assert_eq!(at_express.get("/session").await.status, 200, "nobody searches");
    // The processes have ended since. Another one does what they left undone.
    site.redis_cli::<()>(&["DEL", lease]);
    let auth = site.auth(&[]);
    expect_end_at_express(&at_express).await;
    until("the search is done", async || {
        site.redis_cli::<i64>(&["EXISTS", "ncc:session-searches", lease]) == 0
    })
    .await;
    assert_eq!(auth.client_like(&asking).get("/session").await.status, 200);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_search_that_fails_is_repeated_and_ends_no_new_login() {
    let site = Site::on(RedisServer::start());
    let (auth, express) = (site.auth(&NO_CACHE), site.express(SECRET));
    let account =
        json!({"firstName": "Al", "lastName": "Appelhof", "email": EMAIL, "password": PASSWORD});
    assert_eq!(auth.client().post("/register", &account).await.status, 201);
    let mut at_express = Client::new(express.url());
    assert_eq!(log_in(&mut at_express).await.status, 200);
    let mut asking = auth.logged_in().await;
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "-scan"]);
    assert_eq!(asking.delete("/sessions").await.json(), json!({"ended": 0}));
    let mut new = auth.logged_in().await;
    auth.program
        .wait_for_line("a search for the sessions of accounts failed", crate::harness::PATIENCE);
    assert_eq!(at_express.get("/session").await.status, 200);
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "+scan"]);
    expect_end_at_express(&at_express).await;
    for client in [&mut asking, &mut new] {
        assert_eq!(client.get("/session").await.status, 200);
    }
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_command_that_could_not_search_counts_no_sessions() {
    let site = Site::on(RedisServer::start());
    let auth = site.auth(&NO_CACHE);
    let account =
        json!({"firstName": "Al", "lastName": "Appelhof", "email": EMAIL, "password": PASSWORD});
    assert_eq!(auth.client().post("/register", &account).await.status, 201);
    let mut session = auth.logged_in().await;
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "-scan"]);
    let failed = site.run("sessions", &["revoke", "--all"]);
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "+scan"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
    assert!(failed.stderr.contains("run the command again"), "{}", failed.stderr);
    let recorded = || site.run("security-events", &["list", "--json"]).stdout;
    assert!(!recorded().contains("sessions-revoked"), "{}", recorded());
    assert_eq!(session.get("/session").await.status, 200);

    let ended = site.run("sessions", &["revoke", "--all"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "1 sessions ended\n"), "{}", ended.stderr);
    assert!(recorded().contains("1 sessions of all accounts"), "{}", recorded());
}

async fn parallel_requests_of_one_session(site: Site) {
    let auth = site.auth(&NO_CACHE);
    let mut asking = auth.logged_in().await;
    let mut other = auth.logged_in().await;
    let requests = (0..100).map(|number| {
        let mut client = asking.clone();
        async move {
            match number % 4 {
                0 => client.get("/session").await.status,
                _ => client.delete("/sessions").await.status,
            }
        }
    });
    // Logins are not refused meanwhile, for whatever reason.
    let logins = (0..4).map(|_| {
        let mut client = auth.client();
        async move { log_in(&mut client).await.status }
    });
    let (statuses, logins) = tokio::join!(join_all(requests), join_all(logins));
    assert_eq!(statuses, [200; 100]);
    assert!(logins.iter().all(|status| [200, 503].contains(status)), "{logins:?}");
    assert_eq!(asking.get("/session").await.status, 200);
    expect_over(&other.get("/session").await);
    assert_eq!(auth.logged_in().await.get("/session").await.status, 200);
}

#[tokio::test]
async fn parallel_requests_of_one_session_all_succeed_on_sqlite() {
    parallel_requests_of_one_session(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn parallel_requests_of_one_session_all_succeed_on_redis() {
    parallel_requests_of_one_session(Site::redis()).await;
}

/// A change of the password beside the end of the other sessions, from one session.
async fn beside_a_change_of_the_password(site: Site) {
    let auth = site.auth(&NO_CACHE);
    let (mut old, mut new) = (PASSWORD, OTHER);
    for _ in 0..3 {
        let mut owner = auth.client();
        expect_plain(&owner.post("/login", &login(old)).await, 200, "OK");
        let mut other = auth.client();
        expect_plain(&other.post("/login", &login(old)).await, 200, "OK");
        let mut same = owner.clone();
        let change = json!({"currentPassword": old, "newPassword": new});
        let before = owner.jar().get(COOKIE).unwrap().to_owned();
        let (changed, ended) =
            tokio::join!(owner.post("/password", &change), same.delete("/sessions"));
        expect_plain(&changed, 200, "OK");
        assert!([200, 401].contains(&ended.status), "{}", ended.text());
        assert_ne!(owner.jar().get(COOKIE).unwrap(), before);
        assert_eq!(owner.get("/session").await.status, 200);
        expect_over(&other.get("/session").await);
        expect_over(&same.get("/session").await);
        (old, new) = (new, old);
    }
}

#[tokio::test]
async fn a_change_of_the_password_beside_it_keeps_its_session_on_sqlite() {
    beside_a_change_of_the_password(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_change_of_the_password_beside_it_keeps_its_session_on_redis() {
    beside_a_change_of_the_password(Site::redis()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_command_ends_the_sessions_of_an_account_and_of_everybody() {
    let site = Site::redis();
    let (auth, express): (Service, _) = (site.auth(&[]), site.express(SECRET));
    let mut at_express = Client::new(express.url());
    assert_eq!(log_in(&mut at_express).await.status, 200);
    let mut ours = auth.logged_in().await;
    let ended = site.run("sessions", &["revoke", "--user", EMAIL]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "2 sessions ended\n"), "{}", ended.stderr);
    expect_over(&ours.get("/session").await);
    assert_eq!(at_express.get("/session").await.status, 401);
    assert_eq!(site.redis_cli::<String>(&["GET", "{ncc:user:77}:epoch"]), "1");
    assert_eq!(site.redis_cli::<i64>(&["EXISTS", "ncc:session-searches"]), 0);
}
