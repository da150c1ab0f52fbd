//! The receiver answers for sessions from memory, and never for one that has ended.

use std::time::Duration;

use testkit::{Client, Signal};
use tokio::time::sleep;

use crate::harness::{CHECKIN, Site, accepted, at, expect_plain};
use crate::under_way::UnderWay;

const REFUSED: &str = "Authentication required.";

/// How often Redis was asked for a session, or for the standing of an account.
fn reads(site: &Site) -> u64 {
    let info: String = site.redis_cli(&["INFO", "commandstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

async fn check_in(client: &mut Client, place: u64) {
    accepted(&client.post(CHECKIN, &at(place, 3)).await);
}

/// Checks in until the cache answers, which is when it has a lease.
async fn is_cached(site: &Site, client: &mut Client) {
    let mut places = 101..;
    testkit::until("the cache answers", async || {
        let before = reads(site);
        check_in(client, places.next().unwrap()).await;
        reads(site) == before
    })
    .await;
}

#[tokio::test]
async fn most_check_ins_read_no_session_from_redis() {
    let site = Site::redis();
    for (cache, places, expected) in [("5s", 1..51, 0..35), ("0", 51..101, 100..101)] {
        let (auth, receiver) = (site.auth(&[]), site.receiver(&["--session-cache", cache]));
        let mut client = receiver.client_like(&auth.logged_in().await);
        if cache != "0" {
            is_cached(&site, &mut client).await;
        }
        let before = reads(&site);
        for place in places {
            check_in(&mut client, place).await;
        }
        let asked = reads(&site) - before;
        assert!(expected.contains(&asked), "Redis was asked {asked} times for 50 check-ins");
    }
}

#[tokio::test]
async fn the_sessions_of_an_account_share_its_standing_until_it_ends_them() {
    let site = Site::redis();
    let cache = ["--session-cache", "2s"];
    let (auth, receiver) = (site.auth(&cache), site.receiver(&cache));
    let (mut kept, other) = (auth.logged_in().await, auth.logged_in().await);
    let [mut with_kept, mut with_other] = [&kept, &other].map(|at| receiver.client_like(at));
    let mut places = 1..;
    // The first session is read before the cache has a lease, and so once more. On a slow machine, what was read for the one
    // may be outdated when the other one checks in.
    testkit::until("the standing is read once for both", async || {
        let before = reads(&site);
        check_in(&mut with_kept, places.next().unwrap()).await;
        check_in(&mut with_other, places.next().unwrap()).await;
        let is_once = reads(&site) - before == 1;
        sleep(Duration::from_millis(2_100)).await;
        is_once
    })
    .await;

    assert_eq!(kept.delete("/sessions").await.status, 200);
    expect_plain(&with_other.post(CHECKIN, &at(100, 1)).await, 401, REFUSED);
    check_in(&mut with_kept, places.next().unwrap()).await;
}

#[tokio::test]
async fn a_logout_leaves_no_receiver_that_takes_the_session() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let receivers = [site.receiver(&[]), site.receiver(&[])];
    for place in 1..21 {
        let mut at_auth = auth.logged_in().await;
        let mut clients = receivers.each_ref().map(|receiver| receiver.client_like(&at_auth));
        for (number, client) in clients.iter_mut().enumerate() {
            check_in(client, 2 * place + number as u64).await;
        }
        expect_plain(&at_auth.get("/logout").await, 200, "OK");
        for client in &mut clients {
            expect_plain(&client.post(CHECKIN, &at(100, 1)).await, 401, REFUSED);
        }
    }
}

#[tokio::test]
async fn a_receiver_that_was_stopped_takes_no_session_that_ended_meanwhile() {
    let site = Site::redis();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    for place in 1..4 {
        let mut at_auth = auth.logged_in().await;
        let mut client = receiver.client_like(&at_auth);
        check_in(&mut client, place).await;
        receiver.program.signal(Signal::SIGSTOP);
        expect_plain(&at_auth.get("/logout").await, 200, "OK");
        // The request is there before the process goes on.
        let request = UnderWay::unread(&client, receiver.port(), CHECKIN, &at(100, 1));
        receiver.program.signal(Signal::SIGCONT);
        let refused = tokio::task::spawn_blocking(|| request.finish()).await.unwrap();
        assert!(refused.contains("HTTP/1.1 401") && refused.ends_with(REFUSED), "{refused}");
    }
}
