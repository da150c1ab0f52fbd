//! A session ends some time after its last use, and some time after its login, however much it is used.

use std::time::{Duration, Instant};

use crate::harness::{CHECKIN, PATIENCE, Site, at, expect_plain};

async fn use_never_extends_the_absolute_timeout(site: Site) {
    let lifetimes = ["--idle-timeout", "2s", "--absolute-timeout", "3s"];
    let (auth, receiver) = (site.auth(&lifetimes), site.receiver(&lifetimes));
    let mut used = auth.logged_in().await;
    let mut at_receiver = receiver.client_like(&used);
    let deadline = Instant::now() + PATIENCE;
    // Each use is within the idle timeout.
    while used.get("/session").await.status == 200 {
        at_receiver.post(CHECKIN, &at(2, 5)).await;
        assert!(Instant::now() < deadline, "the session lives on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    expect_plain(&at_receiver.post(CHECKIN, &at(3, 5)).await, 401, "Authentication required.");
    assert_eq!(auth.logged_in().await.get("/session").await.status, 200);
}

async fn an_unused_session_ends(site: Site) {
    let lifetimes = ["--session-profile", "strict", "--idle-timeout", "1s"];
    let auth = site.auth(&lifetimes);
    let mut unused = auth.logged_in().await;
    // The clock of the store is that of the machine.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    expect_plain(&unused.get("/session").await, 401, "Authentication required.");
}

#[tokio::test]
async fn sessions_end_on_sqlite() {
    tokio::join!(
        use_never_extends_the_absolute_timeout(Site::sqlite()),
        an_unused_session_ends(Site::sqlite())
    );
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_end_on_redis() {
    tokio::join!(
        use_never_extends_the_absolute_timeout(Site::redis()),
        an_unused_session_ends(Site::redis())
    );
}

/// The profile decides on the time to live, and flags on their own.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_profile_sets_the_time_to_live() {
    let site = Site::redis();
    for (arguments, seconds) in [
        (&[][..], 86_400),
        (&["--session-profile", "strict"], 1_800),
        (&["--idle-timeout", "10m"], 600),
        (&["--absolute-timeout", "5m"], 300),
    ] {
        let client = site.auth(arguments).logged_in().await;
        let id = crate::harness::session_id(&client);
        let left: i64 = site.redis_cli(&["TTL", &format!("ncc:session:{id}")]);
        assert!((seconds - 60..=seconds).contains(&left), "{arguments:?}: {left}");
        // Nothing else is stored by default, and the value is that of the contract.
        let created: i64 = site.redis_cli(&["EXISTS", &format!("{{ncc:session:{id}}}:created")]);
        let has_absolute = ["strict", "5m"].iter().any(|word| arguments.contains(word));
        assert_eq!(created, i64::from(has_absolute), "{arguments:?}");
        let value = site.session_value(&client).unwrap();
        assert_eq!(
            value,
            r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":"al.appelhof@example.com"}"#
        );
    }
}

#[test]
fn the_doctor_names_lifetimes_beyond_the_recommended_ones() {
    let site = Site::sqlite();
    let doctor = |arguments: &[&str]| {
        let ended = site.run("doctor", arguments);
        assert_eq!(ended.code, 0, "{}", ended.stdout);
        ended.stdout
    };
    for (arguments, mark, said) in [
        (&[][..], "warning", "no absolute timeout, beyond AAL1"),
        (&["--absolute-timeout", "30d"], "warning", "within AAL1 only"),
        (&["--session-profile", "strict"], "ok", "an absolute timeout of 12h, within AAL2 of NIST"),
    ] {
        let found = doctor(arguments);
        let line = found.lines().find(|line| line.contains(said)).unwrap_or(&found);
        assert!(line.starts_with(mark) && line.contains(said), "{line}");
    }
}
