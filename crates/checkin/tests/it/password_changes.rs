//! A change of the password ends the sessions from before it, whatever else happens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Client, Response};

use crate::harness::{
    CHECKIN, EMAIL, PASSWORD, PATIENCE, SECRET, Service, Site, at, expect_plain, log_in, session_id,
};
#[cfg(feature = "external-tests")]
use crate::passwords::BCRYPT;
use crate::under_way::UnderWay;

const OTHER: &str = "another password";

/// Without a cache nobody waits for leases: the tests are faster, and the races the same.
const NO_CACHE: [&str; 2] = ["--session-cache", "0"];

fn login(password: &str) -> Value {
    json!({"email": EMAIL, "password": password})
}

fn change(from: &str, to: &str) -> Value {
    json!({"currentPassword": from, "newPassword": to})
}

#[track_caller]
fn expect_over(response: &Response) {
    expect_plain(response, 401, "Authentication required.");
}

async fn no_login_outlives_the_change(site: Site) {
    let (auth, receiver) = (site.auth(&NO_CACHE), site.receiver(&NO_CACHE));
    let mut owner = auth.logged_in().await;
    let (mut old, mut new) = (PASSWORD, OTHER);
    let mut late = 0;
    for offset in (0..40).step_by(2) {
        let mut thief = auth.client();
        let theft = async {
            // At another moment of the change each time.
            tokio::time::sleep(Duration::from_millis(offset)).await;
            thief.post("/login", &login(old)).await
        };
        let change = change(old, new);
        let (changed, theft) = tokio::join!(owner.post("/password", &change), theft);
        expect_plain(&changed, 200, "OK");
        if theft.status == 200 {
            late += 1;
            expect_over(&receiver.client_like(&thief).post(CHECKIN, &at(3, 1)).await);
            expect_over(&thief.get("/session").await);
        } else {
            expect_plain(&theft, 401, "Invalid login.");
        }
        assert_eq!(owner.get("/session").await.status, 200);
        (old, new) = (new, old);
    }
    eprintln!("{late} of 20 logins were in time, and over");
}

#[tokio::test]
async fn no_login_with_the_old_password_outlives_the_change_on_sqlite() {
    no_login_outlives_the_change(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_login_with_the_old_password_outlives_the_change_on_redis() {
    no_login_outlives_the_change(Site::redis()).await;
}

/// Of a change of the password and an end of all other sessions, which come from two sessions, only the first
/// takes place: the other session has ended.
async fn no_change_outlives_the_end_of_its_session(site: Site) {
    let auth = site.auth(&NO_CACHE);
    let mut owner = auth.logged_in().await;
    let (mut old, mut new) = (PASSWORD, OTHER);
    let mut changes = 0;
    for offset in (0..200).step_by(10) {
        let mut thief = auth.client();
        expect_plain(&thief.post("/login", &login(old)).await, 200, "OK");
        let end = async {
            tokio::time::sleep(Duration::from_millis(offset)).await;
            owner.delete("/sessions").await
        };
        let change = change(old, new);
        let (changed, ended) = tokio::join!(thief.post("/password", &change), end);
        let is_changed = changed.status == 200;
        let (over, other) = if is_changed { (ended, changed) } else { (changed, ended) };
        assert_eq!((over.status, other.status), (401, 200), "after {offset} ms");
        if is_changed {
            changes += 1;
            (old, new) = (new, old);
            expect_plain(&owner.post("/login", &login(old)).await, 200, "OK");
        } else {
            expect_over(&thief.get("/session").await);
            assert_eq!(owner.get("/session").await.status, 200);
        }
    }
    eprintln!("{changes} of 20 passwords were changed, and the other sessions ended instead");
}

#[tokio::test]
async fn no_change_outlives_the_end_of_its_session_on_sqlite() {
    no_change_outlives_the_end_of_its_session(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_change_outlives_the_end_of_its_session_on_redis() {
    no_change_outlives_the_end_of_its_session(Site::redis()).await;
}

/// A login replaces the hash of the password meanwhile, and the session ends the others. Neither is another
/// password.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_right_password_is_right_while_its_hash_is_replaced() {
    let site = Site::redis();
    let auth = site.auth(&NO_CACHE);
    let mut owner = auth.logged_in().await;
    let (old, mut new) = (PASSWORD, OTHER.to_owned());
    for round in 0..40 {
        let offset = Duration::from_millis(round);
        let _: i64 = site.redis_cli(&["HSET", "ncc:user:77", "password", BCRYPT]);
        let (mut browser, mut same) = (auth.client(), owner.clone());
        let logged_in = async {
            tokio::time::sleep(offset).await;
            browser.post("/login", &login(old)).await
        };
        let ended = async {
            tokio::time::sleep(offset).await;
            if round % 4 == 0 { 200 } else { same.delete("/sessions").await.status }
        };
        let change = change(old, &new);
        let (changed, _, ended) = tokio::join!(owner.post("/password", &change), logged_in, ended);
        assert!(changed.status == 200 && [200, 401].contains(&ended), "{changed:?} {offset:?}");
        expect_plain(&auth.client().post("/login", &login(&new)).await, 200, "OK");
        new.push('!');
    }
}

/// Sends a change of the password and hangs up, until one is made.
async fn changed_in_haste(auth: &Service, browser: &Client) {
    let deadline = Instant::now() + PATIENCE;
    for hurry in [1, 5, 20, 100, 500, 2500, 10_000] {
        let (browser, port) = (browser.clone(), auth.port());
        let hasty = move || {
            let change = change(PASSWORD, OTHER);
            let request = UnderWay::post(&browser, port, "/password", &change);
            request.hang_up(Duration::from_millis(hurry));
        };
        tokio::task::spawn_blocking(hasty).await.unwrap();
        // A change that was given up cannot be told from one that is still being made, except by waiting.
        for _ in 0..20 {
            if auth.client().post("/login", &login(OTHER)).await.status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "the password is not changed");
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Wrong passwords count: a right one forgets them.
            log_in(&mut auth.client()).await;
        }
    }
    panic!("no change was made");
}

async fn a_client_that_hangs_up_leaves_no_session(site: &Site, others: &mut [Client]) {
    let (auth, receiver) = (site.auth(&NO_CACHE), site.receiver(&NO_CACHE));
    let (mut own, mut old) = (auth.logged_in().await, auth.logged_in().await);
    changed_in_haste(&auth, &own).await;
    // These have an epoch, and are refused at once.
    for client in [&mut own, &mut old] {
        expect_over(&receiver.client_like(client).post(CHECKIN, &at(3, 1)).await);
        expect_over(&client.get("/session").await);
    }
    // These have none, and are searched for.
    let deadline = Instant::now() + PATIENCE;
    for client in others {
        while client.get("/session").await.status != 401 {
            assert!(Instant::now() < deadline, "a session of Express lives on");
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_session_on_sqlite() {
    a_client_that_hangs_up_leaves_no_session(&Site::sqlite(), &mut []).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_session_on_redis() {
    let site = Site::redis();
    let express = site.express(SECRET);
    let mut others = [Client::new(express.url()), Client::new(express.url())];
    for client in &mut others {
        assert_eq!(log_in(client).await.status, 200);
    }
    a_client_that_hangs_up_leaves_no_session(&site, &mut others).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_session_of_an_earlier_epoch_is_refused_by_every_service() {
    let site = Site::redis();
    let (auth, receiver, api) = (site.auth(&[]), site.receiver(&[]), site.api(&[]));
    let fields = || -> BTreeSet<String> { site.redis_cli(&["HKEYS", "ncc:user:77"]) };
    let epoch = |key: &str| -> Option<String> { site.redis_cli(&["GET", key]) };
    let before = fields();
    let mut owner = auth.logged_in().await;
    assert_eq!(epoch("{ncc:user:77}:epoch"), None);
    assert_eq!(epoch(&format!("{{ncc:session:{}}}:epoch", session_id(&owner))).unwrap(), "0");
    expect_plain(&owner.post("/password", &change(PASSWORD, OTHER)).await, 200, "OK");
    assert_eq!(epoch("{ncc:user:77}:epoch").unwrap(), "1");
    assert_eq!(fields(), before, "what Express programs read stays as it is");
    let beside = format!("{{ncc:session:{}}}:epoch", session_id(&owner));
    assert_eq!(epoch(&beside).unwrap(), "1");
    let value = site.session_value(&owner).unwrap();
    assert!(!value.contains("epoch"), "{value}");
    let (life, own): (i64, i64) = (
        site.redis_cli(&["TTL", &beside]),
        site.redis_cli(&["TTL", &format!("ncc:session:{}", session_id(&owner))]),
    );
    assert!((life - own).abs() <= 1 && life <= 86_400, "{life} {own}");

    for service in [&auth, &receiver, &api] {
        let mut thief = auth.client();
        expect_plain(&thief.post("/login", &login(OTHER)).await, 200, "OK");
        let id = session_id(&thief);
        // As a process would leave it that was killed between two steps.
        site.redis_cli::<()>(&["SET", &format!("{{ncc:session:{id}}}:epoch"), "0"]);
        let mut thief = service.client_like(&thief);
        let answer = match service.port() {
            port if port == auth.port() => thief.get("/session").await,
            port if port == api.port() => thief.get("/api/user/77").await,
            _ => thief.post(CHECKIN, &at(3, 1)).await,
        };
        expect_over(&answer);
        let left: i64 = site.redis_cli(&["EXISTS", &format!("ncc:session:{id}")]);
        assert_eq!(left, 0, "nor does an Express service take it");
    }

    // What Express stores after the change has no epoch, and is a session.
    let express = site.express(SECRET);
    let mut at_express = Client::new(express.url());
    assert_eq!(log_in(&mut at_express).await.status, 200);
    for (service, path) in [(&auth, "/session"), (&api, "/api/user/77")] {
        assert_eq!(service.client_like(&at_express).get(path).await.status, 200);
    }
    assert_eq!(owner.get("/session").await.status, 200);
}
