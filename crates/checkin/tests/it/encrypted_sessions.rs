//! Sessions that are stored encrypted: `--session-encryption-key-file`.

use std::fs;

use serde_json::json;
use testkit::{Client, Program, Signal, Stream, wait_until};

use crate::harness::{CHECKIN, EMAIL, Site, accepted, at, expect_plain, log_in, session_id};

const ID_KEY: &str = "the key of the ids, which stays as it is";
const FIRST: &str = "the key of the last quarter, of its sessions";
const SECOND: &str = "the key of this quarter, also of its sessions";

/// Writes the file with the keys, and returns the flag that names it.
fn with_keys(site: &Site, name: &str, keys: &[&str]) -> [String; 2] {
    let file = site.directory.path().join(name);
    fs::write(&file, keys.join("\n") + "\n").unwrap();
    ["--session-encryption-key-file".to_owned(), file.to_str().unwrap().to_owned()]
}

fn hang_up(program: &Program, says: &str) {
    let count = || program.text(Stream::Stdout).matches(says).count();
    let before = count();
    program.signal(Signal::SIGHUP);
    wait_until(says, || count() > before);
}

async fn is_logged_in(client: &mut Client) -> bool {
    client.get("/session").await.status == 200
}

async fn is_listed_ended_and_apart_from_other_sessions(site: &Site) {
    let [flag, file] = &with_keys(site, "keys", &[ID_KEY, FIRST]);
    let keys = [flag.as_str(), file];
    let (auth, receiver, plain) = (site.auth(&keys), site.receiver(&keys), site.auth(&[]));
    let (mut al, mut other) = (auth.logged_in().await, auth.logged_in().await);
    accepted(&receiver.client_like(&al).post(CHECKIN, &at(3, 1)).await);

    // Neither kind of service accepts, lists or ends the sessions of the other.
    let mut at_plain = plain.logged_in().await;
    expect_plain(&plain.client_like(&al).get("/session").await, 401, "Authentication required.");
    let refused = auth.client_like(&at_plain).get("/session").await;
    expect_plain(&refused, 401, "Authentication required.");
    let number = |args: &[&str]| {
        let args = [&["list", "--user", EMAIL], args].concat();
        site.run("sessions", &args).stdout.lines().count()
    };
    assert_eq!((number(&keys), number(&[])), (2, 1));
    // A command without the keys says what it did not do.
    let everybody = site.run("sessions", &["revoke", "--all"]);
    assert_eq!((everybody.code, everybody.stdout.as_str()), (1, "1 sessions ended\n"));
    assert!(everybody.stderr.contains("not ended") && everybody.stderr.contains("file): 2"));
    let listed = site.run("sessions", &["list"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (1, ""));
    assert!(listed.stderr.contains("--session-encryption-key-file"), "{}", listed.stderr);
    assert!(!is_logged_in(&mut at_plain).await && is_logged_in(&mut al).await);
    expect_plain(&log_in(&mut at_plain).await, 200, "OK");

    let listed = al.get("/sessions").await.json();
    let own = listed["sessions"].as_array().unwrap();
    let current = own.iter().find(|session| session["current"] == true).unwrap();
    let handle = current["handle"].as_str().unwrap();
    let shown = site.run("sessions", &[&["show", handle], &keys[..]].concat());
    assert!(shown.stdout.contains(EMAIL), "{shown:?}");
    assert_eq!(al.delete("/sessions").await.json(), json!({"ended": 1}));
    assert!(!is_logged_in(&mut other).await);
    assert!(!is_logged_in(&mut at_plain).await, "the epoch of the account is raised for both");
    expect_plain(&log_in(&mut at_plain).await, 200, "OK");

    // The doctor names what does not fit together.
    let [_, wrong] = &with_keys(site, "wrong-keys", &[ID_KEY, SECOND]);
    for (args, expected) in [
        (
            &keys[..],
            "warning  sessions that are stored without encryption, and are not accepted: 1",
        ),
        (
            &[flag, wrong],
            "warning  sessions that are encrypted with keys that these settings do not",
        ),
        (&[], "PROBLEM  sessions that are encrypted with keys that these settings do not have: 1"),
    ] {
        let said = site.run("doctor", args);
        assert!(said.stdout.contains(expected), "{args:?} {said:?}");
    }
    let unknown = site.run("sessions", &["revoke", handle]);
    assert!(unknown.code == 1 && unknown.stderr.contains("do not have their keys"), "{unknown:?}");

    let revoked = site.run("sessions", &[&["revoke", handle], &keys[..]].concat());
    assert_eq!(revoked.stdout, "1 sessions ended\n", "{revoked:?}");
    assert!(!is_logged_in(&mut al).await);
    let everybody = site.run("sessions", &[&["revoke", "--all"], &keys[..]].concat());
    assert!(everybody.code == 1 && everybody.stderr.contains("without encryption: 1"));
}

#[tokio::test]
async fn encrypted_sessions_are_apart_from_others_on_sqlite() {
    is_listed_ended_and_apart_from_other_sessions(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn encrypted_sessions_are_apart_from_others_on_redis() {
    let site = Site::redis();
    is_listed_ended_and_apart_from_other_sessions(&site).await;
    let [flag, file] = &with_keys(&site, "keys", &[ID_KEY, FIRST]);
    let al = site.auth(&[flag, file]).logged_in().await;
    let everything: Vec<String> = site.redis_cli(&["KEYS", "*"]);
    assert!(everything.iter().any(|key| key.starts_with("ncc:encrypted-session:")));
    assert!(!everything.iter().any(|key| key.contains(&session_id(&al))), "{everything:?}");
}

#[tokio::test]
async fn keys_are_replaced_on_sighup_and_nobody_is_logged_out() {
    let site = Site::sqlite();
    let [flag, file] = &with_keys(&site, "keys", &[ID_KEY, FIRST]);
    let auth = site.auth(&[flag, file]);
    let mut al = auth.logged_in().await;
    for keys in [&[ID_KEY, FIRST, SECOND][..], &[ID_KEY, SECOND, FIRST], &[ID_KEY, SECOND]] {
        with_keys(&site, "keys", keys);
        hang_up(&auth.program, "Session encryption keys reloaded.");
        assert!(is_logged_in(&mut al).await, "{keys:?}");
    }
    for (keys, rule) in [
        (&[FIRST, SECOND][..], "keys: line 1 must stay the same"),
        (&[ID_KEY, SECOND, SECOND], "line 3 must not be the same as line 2"),
        (&[ID_KEY], "must hold at least two lines"),
        (&[ID_KEY, SECOND, "short"], "at least 32 bytes"),
    ] {
        with_keys(&site, "keys", keys);
        hang_up(&auth.program, rule);
        assert!(is_logged_in(&mut al).await, "{keys:?}");
    }
    with_keys(&site, "keys", &[ID_KEY, FIRST]);
    hang_up(&auth.program, "Session encryption keys reloaded.");
    assert!(!is_logged_in(&mut al).await);
    assert!(!auth.program.text(Stream::Stdout).contains(SECOND));
}
