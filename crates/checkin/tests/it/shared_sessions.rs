//! One deployment, many services: ours and Express ones take each other's sessions.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client, Express, Method, signature};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, SECRET, Site, accepted, at, expect_plain, log_in, session_id,
};

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn services_behind_one_redis_take_each_others_sessions() {
    let site = Site::redis();
    let auths = [site.auth(&[]), site.auth(&[])];
    let receivers = [site.receiver(&[]), site.receiver(&[])];
    let mut stars = 0;
    for (auth, other) in [(&auths[0], &auths[1]), (&auths[1], &auths[0])] {
        let mut here = auth.logged_in().await;
        let mut there = other.client_like(&here);
        assert_eq!(there.get("/session").await.json()["user"]["email"], EMAIL);
        let mut at_receivers = receivers.each_ref().map(|receiver| receiver.client_like(&here));
        for client in &mut at_receivers {
            stars += 1;
            accepted(&client.post(CHECKIN, &at(3, stars)).await);
        }
        expect_plain(&there.get("/logout").await, 200, "OK");
        expect_plain(&here.get("/session").await, 401, "Authentication required.");
        for client in &mut at_receivers {
            let refused = client.post(CHECKIN, &at(4, 1)).await;
            expect_plain(&refused, 401, "Authentication required.");
        }
    }
}

#[tokio::test]
async fn two_processes_share_one_sqlite_file() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let mut at_auth = auth.logged_in().await;
    let mut at_receiver = receiver.client_like(&at_auth);
    accepted(&at_receiver.post(CHECKIN, &at(3, 1)).await);
    // Both write at once.
    let logins = futures_util::future::join_all((0..4).map(|_| auth.logged_in()));
    let checkins = futures_util::future::join_all((10..20).map(|location| {
        let mut client = at_receiver.clone();
        async move { accepted(&client.post(CHECKIN, &at(location, 1)).await) }
    }));
    tokio::join!(logins, checkins);
    expect_plain(&at_auth.get("/logout").await, 200, "OK");
    let refused = at_receiver.post(CHECKIN, &at(3, 2)).await;
    expect_plain(&refused, 401, "Authentication required.");
}

fn express_client(express: &Express, like: &Client) -> Client {
    let mut client = Client::new(express.url());
    *client.jar_mut() = like.jar().clone();
    client
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_login_at_express_is_one_here() {
    let site = Site::redis();
    let (express, auth, receiver) = (site.express(SECRET), site.auth(&[]), site.receiver(&[]));
    let mut at_express = Client::new(express.url());
    expect_ok(&log_in(&mut at_express).await);
    let mut at_auth = auth.client_like(&at_express);
    let mut at_receiver = receiver.client_like(&at_express);
    accepted(&at_receiver.post(CHECKIN, &at(3, 1)).await);
    assert_eq!(at_auth.get("/session").await.json()["user"]["email"], EMAIL);

    expect_ok(&at_express.get("/logout").await);
    let ended = Instant::now();
    expect_plain(&at_auth.get("/session").await, 401, "Authentication required.");
    // Express waits for nobody: a receiver may take the session for as long as its lease.
    tokio::time::sleep_until((ended + Duration::from_millis(250)).into()).await;
    let refused = at_receiver.post(CHECKIN, &at(3, 2)).await;
    expect_plain(&refused, 401, "Authentication required.");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_login_here_is_one_at_express() {
    let site = Site::redis();
    let (express, auth) = (site.express(SECRET), site.auth(&[]));
    let mut at_auth = auth.logged_in().await;
    let mut at_express = express_client(&express, &at_auth);
    let session = at_express.get("/session").await;
    assert_eq!(session.json(), json!({"user": EMAIL, "all": {"user": EMAIL}}));

    expect_plain(&at_auth.get("/logout").await, 200, "OK");
    assert_eq!(at_express.get("/session").await.status, 401);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_new_password_ends_the_sessions_everywhere_else() {
    let site = Site::redis();
    let (express, auth, receiver) = (site.express(SECRET), site.auth(&[]), site.receiver(&[]));
    let mut at_express = Client::new(express.url());
    expect_ok(&log_in(&mut at_express).await);
    let (mut old, mut other) = (auth.logged_in().await, auth.logged_in().await);
    let mut here = old.clone();
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another password"});
    expect_plain(&here.post("/password", &change).await, 200, "OK");

    assert_eq!(here.get("/session").await.status, 200);
    assert_ne!(session_id(&here), session_id(&old));
    for ended in [&mut old, &mut other] {
        expect_plain(&ended.get("/session").await, 401, "Authentication required.");
        let mut at_receiver = receiver.client_like(ended);
        let refused = at_receiver.post(CHECKIN, &at(3, 1)).await;
        expect_plain(&refused, 401, "Authentication required.");
    }
    assert_eq!(at_express.get("/session").await.status, 401);
    let sessions: Vec<String> = site.redis_cli(&["KEYS", "ncc:session:*"]);
    assert_eq!(sessions, [format!("ncc:session:{}", session_id(&here))]);

    expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
    let login = json!({"email": EMAIL, "password": "another password"});
    expect_plain(&auth.client().post("/login", &login).await, 200, "OK");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn what_express_stored_survives_byte_for_byte() {
    let site = Site::redis();
    let (express, auth, receiver) = (site.express(SECRET), site.auth(&[]), site.receiver(&[]));
    let mut at_auth = auth.logged_in().await;
    let mut at_express = express_client(&express, &at_auth);
    let odd = r#"{"nested":[{"a":{"b":[[],{},null,false]}}],"one":1.0,"big":12345678901234567890,"huge":1e300,"tiny":5e-324,"minus":-0.0,"text":"é 漢 😀 \u2028 \ud800 \u0000 \"\\/","":"","__proto__":1,"cookie":{"path":"/x"}}"#;
    let stored = at_express.request(Method::POST, "/session/odd");
    expect_ok(&stored.header("content-type", "application/json").body(odd).send().await);

    survives(&site, &mut at_auth, &mut receiver.client_like(&at_express), 1).await;
    // What JavaScript would not write itself, another client of Redis may.
    let key = format!("ncc:session:{}", session_id(&at_auth));
    let value = site.session_value(&at_auth).unwrap();
    let value = value.replace("\"odd\":", " \"raw\" : [1.0, 1E2, 18446744073709551616] ,\"odd\":");
    site.redis_cli::<()>(&["SET", &key, &value, "EX", "1000"]);
    survives(&site, &mut at_auth, &mut receiver.client_like(&at_express), 2).await;
}

async fn survives(site: &Site, at_auth: &mut Client, at_receiver: &mut Client, stars: u64) {
    let before = site.session_value(at_auth);
    assert!(before.as_ref().is_some_and(|value| value.contains("odd")), "{before:?}");
    assert_eq!(at_auth.get("/session").await.status, 200);
    accepted(&at_receiver.post(CHECKIN, &at(3, stars)).await);
    assert_eq!(site.session_value(at_auth), before);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_old_secret_verifies_and_the_new_one_signs() {
    let site = Site::redis();
    let (old, new) = ("the secret of the last quarter", SECRET);
    let both = format!("{new},{old}");
    let express = site.express(old);
    let auth = site.auth(&["--session-secret", &both]);
    let only_new = site.auth(&[]);

    let mut at_express = Client::new(express.url());
    expect_ok(&log_in(&mut at_express).await);
    assert_eq!(auth.client_like(&at_express).get("/session").await.status, 200);
    assert_eq!(only_new.client_like(&at_express).get("/session").await.status, 401);

    let fresh = auth.logged_in().await;
    let cookie = signature::decode(fresh.jar().get(COOKIE).unwrap()).unwrap();
    assert!(signature::unsign(&cookie, new).is_some(), "the new secret signs");
    assert_eq!(only_new.client_like(&fresh).get("/session").await.status, 200);
    assert_eq!(express_client(&express, &fresh).get("/session").await.status, 401);
}

/// Express says `text/html` where we say `text/plain`.
#[track_caller]
fn expect_ok(response: &testkit::Response) {
    assert_eq!((response.status, response.text()), (200, "OK"));
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_session_and_its_account_are_read_at_once_and_never_outdated() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let mut client = auth.logged_in().await;
    let shown = async |client: &mut Client| client.get("/session").await.json()["user"].clone();
    // The second time, the account of the session is remembered: the index of addresses is not read.
    for hashes in [2, 1] {
        site.redis_cli::<()>(&["CONFIG", "RESETSTAT"]);
        assert_eq!(shown(&mut client).await["id"], 77);
        let statistics: String = site.redis_cli(&["INFO", "commandstats"]);
        // One `MGET` is for the session, the other for the standing of the account.
        for (command, calls) in [("pttl", 1), ("mget", 2), ("hmget", hashes)] {
            let calls = format!("cmdstat_{command}:calls={calls},");
            assert!(statistics.contains(&calls), "{command}: {statistics}");
        }
        for command in ["get", "hget", "hgetall", "evalsha"] {
            assert!(!statistics.contains(&format!("cmdstat_{command}:")), "{statistics}");
        }
    }

    // Other programs change the account, and give the session to another one.
    site.redis_cli::<i64>(&["HSET", "ncc:user:77", "firstName", "Alan"]);
    assert_eq!(shown(&mut client).await["firstName"], "Alan");
    let other: String = site.redis_cli(&["HGET", "ncc:user:78", "email"]);
    let key = format!("ncc:session:{}", session_id(&client));
    let stored: String = site.redis_cli(&["GET", &key]);
    site.redis_cli::<()>(&["SET", &key, &stored.replace(EMAIL, &other), "KEEPTTL"]);
    assert_eq!(shown(&mut client).await["id"], 78);
    assert_eq!(shown(&mut client).await["id"], 78);
    site.redis_cli::<()>(&["SET", &key, &stored, "KEEPTTL"]);
    assert_eq!(shown(&mut client).await["id"], 77);

    // The password was changed, by a process that died before it ended the sessions.
    site.redis_cli::<()>(&["SET", "{ncc:user:77}:epoch", "1"]);
    expect_plain(&client.get("/session").await, 401, "Authentication required.");
    assert!(!site.redis_cli::<bool>(&["EXISTS", &key]), "Express does not accept it, either");

    let mut client = auth.logged_in().await;
    assert_eq!(shown(&mut client).await["id"], 77);
    site.redis_cli::<i64>(&["DEL", "ncc:user:77"]);
    expect_plain(&client.get("/session").await, 401, "Authentication required.");
}
