//! What happens to accounts is recorded, without secrets and addresses of people.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{PATIENCE, Stream, until};

use crate::harness::{EMAIL, PASSWORD, SECRET, Service, Site, expect_plain, log_in};

const OTHER: &str = "another long password";

/// Runs `checkin security-events list` and returns its lines.
#[track_caller]
fn listed(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let ended = site.run("security-events", &[&["list", "--json"], arguments].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns kind, account, source and detail of each event.
fn told(events: &[Value]) -> Vec<(&str, Option<u64>, &str, &str)> {
    events
        .iter()
        .map(|event| {
            (
                event["kind"].as_str().unwrap(),
                event["account"].as_u64(),
                event["source"].as_str().unwrap(),
                event["detail"].as_str().unwrap_or(""),
            )
        })
        .collect()
}

async fn the_life_of_an_account(auth: &Service) -> String {
    let mut al = auth.logged_in().await;
    let wrong = |email: &str| json!({"email": email, "password": "a wrong password"});
    for email in [EMAIL, "nobody@example.com"] {
        expect_plain(&auth.client().post("/login", &wrong(email)).await, 401, "Invalid login.");
    }
    let mut other = auth.logged_in().await;
    let sessions = other.get("/sessions").await.json();
    let mut listed = sessions["sessions"].as_array().unwrap().iter();
    let old = listed.rfind(|session| session["current"] == false).unwrap();
    let handle = old["handle"].as_str().unwrap().to_owned();
    assert_eq!(other.delete(&format!("/sessions/{handle}")).await.status, 204);
    // None is left, so this is no event.
    assert_eq!(other.delete("/sessions").await.json(), json!({"ended": 0}));
    let change = |from, to| json!({"currentPassword": from, "newPassword": to});
    assert_eq!(other.post("/password", &change("wrong", OTHER)).await.status, 400);
    expect_plain(&other.post("/password", &change(PASSWORD, OTHER)).await, 200, "OK");
    expect_plain(&other.post("/logout", &Value::Null).await, 200, "OK");
    // Nobody is logged in any more.
    expect_plain(&al.post("/logout", &Value::Null).await, 200, "OK");
    let new =
        json!({"firstName": "Eve", "lastName": "E", "email": "eve@example.com", "password": OTHER});
    assert_eq!(auth.client().post("/register", &new).await.status, 201);
    handle
}

async fn each_event_is_recorded(site: Site) {
    let mut auth = site.auth(&["--log-format", "json"]);
    let handle = the_life_of_an_account(&auth).await;
    let eve = listed(&site, &["--kind", "account-opened"])[0]["account"].as_u64().unwrap();
    expect_plain(&log_in_as(&auth, "eve@example.com").await, 200, "OK");
    let ended = site.run("sessions", &["revoke", "--user", "eve@example.com"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    let events = listed(&site, &[]);
    let revoked = format!("session {handle}");
    let (al, eve_too) = (Some(77), Some(eve));
    let expected = [
        ("login", al, "auth", ""),
        ("failed-login", al, "auth", ""),
        ("failed-login", None, "auth", ""),
        ("login", al, "auth", ""),
        ("sessions-revoked", al, "auth", revoked.as_str()),
        ("failed-login", al, "auth", ""),
        ("password-changed", al, "auth", ""),
        ("logout", al, "auth", ""),
        ("account-opened", eve_too, "auth", ""),
        ("login", eve_too, "auth", ""),
        ("sessions-revoked", eve_too, "sessions revoke", "1 sessions"),
    ];
    assert_eq!(told(&events), expected);
    let from_auth = events.iter().filter(|event| event["source"] == "auth");
    assert!(from_auth.clone().all(|event| event["address"] == "127.0.0.1"));
    assert!(events.windows(2).all(|pair| pair[0]["time"].as_u64() <= pair[1]["time"].as_u64()));

    // By account, kind and time.
    let of_al = expected.iter().filter(|event| event.1 == al).count();
    assert_eq!(listed(&site, &["--user", EMAIL]).len(), of_al);
    assert_eq!(listed(&site, &["--user", "77", "--kind", "failed-login"]).len(), 2);
    assert_eq!(listed(&site, &["--since", "1h"]).len(), expected.len());
    assert_eq!(listed(&site, &["--until", "1h"]).len(), 0);
    assert_eq!(
        listed(&site, &["--since", "2000-01-01T00:00:00Z", "--until", "2001-01-01T00:00:00Z"])
            .len(),
        0
    );
    let text = site.run("security-events", &["list"]).stdout;
    assert_eq!(text.lines().count(), expected.len());

    // The service logs the same.
    auth.program.stop();
    let log = auth.program.text(Stream::Stdout);
    let logged: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let logged: Vec<_> = logged.iter().filter_map(|line| line["security.event"].as_str()).collect();
    let recorded: Vec<_> = expected[..10].iter().map(|event| event.0).collect();
    assert_eq!(logged, recorded);
    for secret in ["example.com", PASSWORD, OTHER, "a wrong password"] {
        assert!(!text.contains(secret) && !log.contains(secret), "{secret}");
    }
}

async fn log_in_as(auth: &Service, email: &str) -> testkit::Response {
    auth.client().post("/login", &json!({"email": email, "password": OTHER})).await
}

#[tokio::test]
async fn each_event_is_recorded_on_sqlite() {
    each_event_is_recorded(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn each_event_is_recorded_on_redis() {
    each_event_is_recorded(Site::redis()).await;
}

async fn what_anybody_can_cause_pushes_nothing_else_out(site: Site) {
    let auth = site.auth(&["--max-security-events", "3"]);
    let ended = site.run("users", &["role", EMAIL, "operator"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mut al = auth.logged_in().await;
    for change in ["disable", "enable"] {
        let path = format!("/accounts/80/{change}");
        assert_eq!(al.post(&path, &json!({})).await.status, 204);
    }
    let change = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    expect_plain(&al.post("/password", &change).await, 200, "OK");
    for _ in 0..4 {
        let login = json!({"email": EMAIL, "password": OTHER});
        expect_plain(&auth.client().post("/login", &login).await, 200, "OK");
        expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
        assert_eq!(al.delete("/sessions").await.json(), json!({"ended": 1}));
    }
    let events = listed(&site, &[]);
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let (login, failed, ended) = ("login", "failed-login", "sessions-revoked");
    assert_eq!(
        kinds[..4],
        ["role-changed", "account-disabled", "account-enabled", "password-changed"]
    );
    assert_eq!(kinds[4..], [failed, failed, ended, login, failed, ended]);
    assert_eq!(listed(&site, &["--kind", "role-changed"]), events[..1]);
    assert_eq!(listed(&site, &["--kind", "password-changed"]), events[3..4]);
}

#[tokio::test]
async fn what_anybody_can_cause_pushes_nothing_else_out_on_sqlite() {
    what_anybody_can_cause_pushes_nothing_else_out(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn what_anybody_can_cause_pushes_nothing_else_out_on_redis() {
    what_anybody_can_cause_pushes_nothing_else_out(Site::redis()).await;
}

/// A command, which may have other settings than the services, removes nothing because of its age.
async fn services_remove_old_events_of_all_lists(site: Site) {
    let auth = site.auth(&[]);
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
    drop(auth);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let role = ["role", EMAIL, "operator", "--keep-security-events", "1s"];
    let ended = site.run("users", &role);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(listed(&site, &[]).len(), 2);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let _auth = site.auth(&["--keep-security-events", "1s"]);
    let begin = Instant::now();
    while !listed(&site, &[]).is_empty() {
        assert!(begin.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn services_remove_old_events_of_all_lists_on_sqlite() {
    services_remove_old_events_of_all_lists(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn services_remove_old_events_of_all_lists_on_redis() {
    services_remove_old_events_of_all_lists(Site::redis()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_login_does_not_depend_on_its_record() {
    let site = Site::redis();
    site.redis_cli::<()>(&["SET", "ncc:security-events:logins", "not a stream"]);
    let mut auth = site.auth(&[]);
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
    let metrics = auth.client().get("/metrics").await.text().to_owned();
    assert!(
        metrics.contains("checkin_security_events_unrecorded_total{service=\"auth\"} 1"),
        "{metrics}"
    );
    // Without a time there is no record.
    let silent = site.auth(&["--keep-security-events", "0"]);
    expect_plain(&log_in(&mut silent.client()).await, 200, "OK");
    let metrics = silent.client().get("/metrics").await.text().to_owned();
    assert!(
        metrics.contains("checkin_security_events_unrecorded_total{service=\"auth\"} 0"),
        "{metrics}"
    );
    auth.program.stop();
    let log = auth.program.text(Stream::Stdout);
    assert!(log.contains("cannot record a security event"), "{log}");
    // The other lists are bounded meanwhile, and this is logged once.
    assert_eq!(log.matches("cannot remove old security events").count(), 1, "{log}");
}

/// Sessions of Express are in no index, so the request itself ends none of them.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn what_a_search_ends_is_recorded() {
    let site = Site::redis();
    let (auth, express) = (site.auth(&[]), site.express(SECRET));
    let mut al = auth.logged_in().await;
    let end_others = async |al: &mut testkit::Client| {
        assert_eq!(al.delete("/sessions").await.json(), json!({"ended": 0}));
        until("the search is done", async || {
            site.redis_cli::<i64>(&["EXISTS", "ncc:session-searches"]) == 0
        })
        .await;
        listed(&site, &["--kind", "sessions-revoked"])
    };
    assert_eq!(end_others(&mut al).await, [Value::Null; 0]);
    for _ in 0..2 {
        assert_eq!(log_in(&mut testkit::Client::new(express.url())).await.status, 200);
    }
    let ended = ("sessions-revoked", Some(77), "auth", "2 sessions, by a search");
    assert_eq!(told(&end_others(&mut al).await), [ended]);
    assert_eq!(told(&end_others(&mut al).await), [ended]);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn what_a_search_for_several_accounts_ends_is_recorded_for_each() {
    let site = Site::redis();
    let (auth, express) = (site.auth(&[]), site.express(SECRET));
    let lease = "{ncc:session-searches}:lease";
    site.redis_cli::<()>(&["SET", lease, "a process that does nothing"]);
    for id in [77, 78, 79] {
        let email: String = site.redis_cli(&["HGET", &format!("ncc:user:{id}"), "email"]);
        let login = json!({"email": email, "password": PASSWORD});
        let mut client = auth.client();
        expect_plain(&client.post("/login", &login).await, 200, "OK");
        // Nothing of the second one is to be found.
        if id != 78 {
            let mut at_express = testkit::Client::new(express.url());
            assert_eq!(at_express.post("/login", &login).await.status, 200);
        }
        assert_eq!(client.delete("/sessions").await.json(), json!({"ended": 0}));
    }
    site.redis_cli::<()>(&["DEL", lease]);
    until("the search is done", async || {
        site.redis_cli::<i64>(&["EXISTS", "ncc:session-searches"]) == 0
    })
    .await;
    let of = |id| ("sessions-revoked", Some(id), "auth", "2 sessions of 2 accounts, by a search");
    assert_eq!(told(&listed(&site, &["--kind", "sessions-revoked"])), [of(77), of(79)]);
}
