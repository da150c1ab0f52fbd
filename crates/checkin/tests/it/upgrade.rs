//! Stores that an earlier version made.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sqlite_writer::rusqlite::Connection;
#[cfg(feature = "external-tests")]
use testkit::Method;
use testkit::{Client, Response};

#[cfg(feature = "external-tests")]
use crate::harness::{CHECKIN, accepted, at};
use crate::harness::{COOKIE, EMAIL, SECRET, Site, expect_plain, log_in, until};

/// Made with commit 89eb6d4 (schema version 2): two users, two locations, details of one, a session, a
/// dead letter, six check-ins of which the last is not counted yet. The session's expiry was then
/// set to the year 2100, and the file vacuumed with a page size of 1024 bytes.
const VERSION_2: &str = "tests/fixtures/schema_version_2.db";

/// The session in that file, signed with [`SECRET`].
pub(crate) const SESSION: &str =
    "s%3AJBlalrDcvEgvLk3uWztJNvvjLEXBVz6N.5BMRe%2BkSM0dUpOL%2FpKEQ8f8Us0QSIb%2FPP8tVtPgNloI";

impl Site {
    /// A store that commit 89eb6d4 made.
    pub(crate) fn sqlite_of_version_2() -> Site {
        let site = Site::empty_sqlite();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(VERSION_2);
        fs::copy(fixture, site.directory.path().join("checkin.db")).unwrap();
        site
    }
}

#[tokio::test]
async fn a_store_of_schema_version_2_is_taken_over() {
    let site = Site::sqlite_of_version_2();
    let secret = ["--session-secret", SECRET];
    let (_up, mut auth, api) = site.up_with_api(&secret);
    expect_plain(&log_in(&mut auth).await, 200, "OK");
    let mut client = Client::new(api);
    client.jar_mut().set(COOKIE, SESSION);

    let ask = async || client.get("/api/user/77").await;
    let counted = |response: &Response| response.json()["numCheckins"] == 6;
    let user: Value = until("the account is there", ask, counted).await.json();
    assert_eq!((&user["email"], &user["lastSeenAt"]), (&EMAIL.into(), &2.into()), "{user}");
    let ask = async || client.get("/api/user/78").await;
    let counted = |response: &Response| response.json()["numCheckins"] == 2;
    until("the last one is counted", ask, counted).await;
    let place: Value = client.get("/api/location/2?withDetails=true").await.json();
    assert_eq!(place["description"], "Coffee and small plates.", "{place}");
    let found: Value = client.get("/api/locations/bycategory/bar").await.json();
    assert_eq!(found.to_string().matches("Καφές Home Bar").count(), 1, "{found}");

    let found: Value =
        client.get("/api/locations/search?q=%CE%9A%CE%91%CE%A6%CE%95%CE%A3").await.json();
    assert_eq!(found.to_string().matches("Καφές Home Bar").count(), 1, "{found}");

    let doctor = site.run("doctor", &["--verify", "--session-secret", SECRET]);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    assert!(doctor.stdout.contains("7 check-ins"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("6 counted, 0 waiting, 1 dead"), "{}", doctor.stdout);
}

const COMPOSED: &str = "zo\u{eb}@example.com";
const DECOMPOSED: &str = "zoe\u{308}@example.com";
const MIXED: &str = "e\u{301}\u{eb}@example.com";

/// Two accounts of an earlier version with one address, in two forms of Unicode.
#[tokio::test]
async fn accounts_that_share_an_address_are_named_on_sqlite() {
    let site = Site::sqlite();
    let file = Connection::open(site.file()).unwrap();
    for (id, email) in [(5, COMPOSED), (6, DECOMPOSED)] {
        let sql = "UPDATE users SET email = ?2, email_canonical = ?2 WHERE id = ?1";
        file.execute(sql, (id, email)).unwrap();
    }
    let doctor = site.run("doctor", &[]);
    let named = "their Unicode form only, with which they share their sessions and their attempts: 1 (user 6)";
    assert!(doctor.stdout.contains(named), "{}", doctor.stdout);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn accounts_that_share_an_address_or_are_hidden_are_named_on_redis() {
    let site = Site::redis();
    for (id, email) in [("5", COMPOSED), ("6", DECOMPOSED), ("7", MIXED)] {
        let _: i64 = site.redis_cli(&["HSET", &format!("ncc:user:{id}"), "email", email]);
        let _: i64 = site.redis_cli(&["HSET", "ncc:users:email", email, id]);
    }
    let hidden = "under one Unicode form of their addresses only: 1 (user 7)";
    let doctor = site.run("doctor", &[]).stdout;
    for named in ["with which they share their sessions and their attempts: 1 (user 6)", hidden] {
        assert!(doctor.contains(named), "{doctor}");
    }
    // As it advises.
    let _: i64 = site.redis_cli(&["HSETNX", "ncc:users:email", "\u{e9}\u{eb}@example.com", "7"]);
    let doctor = site.run("doctor", &[]).stdout;
    assert!(!doctor.contains(hidden), "{doctor}");
}

/// A check-in that an older receiver accepted, and whose client sends it again after the upgrade.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_retry_is_recognised_across_an_upgrade() {
    // The hash of user 77 and the key "a visit".
    const KEY: &str =
        "{ncc:checkins}:key:d21a7ce794e796cf77e417f3fe00e5ebe5e5f9db5bd2f1ce03f2c762d5359097";
    let site = Site::redis();
    let _: () = site.redis_cli(&["SET", KEY, "77 5 1 1700000000000-0", "EX", "86400"]);
    let client = site.auth(&[]).logged_in().await;
    let receiver = site.receiver(&[]);
    let mut client = receiver.client_like(&client);
    for (stars, status) in [(1, 202), (2, 422), (1, 202)] {
        let request = client.request(Method::POST, CHECKIN).header("idempotency-key", "a visit");
        let answer = request.json(&at(5, stars)).send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 202 {
            assert_eq!(accepted(&answer), "1700000000000-0");
        }
    }
}
