//! One visit is one check-in, however often it is sent.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::Value;
use testkit::{Client, Method, Response};

use crate::harness::{CHECKIN, Service, Site, accepted, at, expect_plain, expect_problem};

const IDENTICAL: &str = "Multiple identical checkins are not permitted.";

async fn with_key(client: &mut Client, key: &str, body: &Value) -> Response {
    client.request(Method::POST, CHECKIN).header("idempotency-key", key).json(body).send().await
}

async fn at_receiver(site: &Site, args: &[&str]) -> (Service, Client) {
    let client = site.auth(&[]).logged_in().await;
    let receiver = site.receiver(args);
    let client = receiver.client_like(&client);
    (receiver, client)
}

#[tokio::test]
async fn retries_on_sqlite() {
    retries(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn retries_on_redis() {
    let site = Site::redis();
    let (before, _) = site.counts();
    retries(&site).await;
    assert_eq!(site.counts().0, before + 3);
}

/// Leaves three check-ins.
async fn retries(site: &Site) {
    let (_receiver, mut client) = at_receiver(site, &[]).await;
    let first = with_key(&mut client, "a visit", &at(5, 1)).await;
    let again = with_key(&mut client, "a visit", &at(5, 1)).await;
    assert_eq!(accepted(&again), accepted(&first));
    assert_eq!(again.body, first.body);
    for other in [at(5, 2), at(6, 1)] {
        let reused = with_key(&mut client, "a visit", &other).await;
        expect_problem(&reused, 422, &["Idempotency-Key"]);
    }
    // The same check-in under another key, or under none, is a second one.
    expect_plain(&with_key(&mut client, "another visit", &at(5, 1)).await, 422, IDENTICAL);
    expect_plain(&client.post(CHECKIN, &at(5, 1)).await, 422, IDENTICAL);
    assert_eq!(
        accepted(&with_key(&mut client, "a visit", &at(5, 1)).await),
        accepted(&first),
        "a refused duplicate changes nothing"
    );
    // A key may be as long as this, and a refused duplicate did not use its key up.
    accepted(&with_key(&mut client, &"k".repeat(255), &at(6, 1)).await);
    accepted(&with_key(&mut client, "another visit", &at(7, 1)).await);
}

#[tokio::test]
async fn retries_side_by_side_on_sqlite() {
    side_by_side(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn retries_side_by_side_on_redis() {
    let site = Site::redis();
    let (before, _) = site.counts();
    side_by_side(&site).await;
    assert_eq!(site.counts().0, before + 2);
}

/// Leaves two check-ins.
async fn side_by_side(site: &Site) {
    let (_first, client) = at_receiver(site, &[]).await;
    let second = site.receiver(&[]);
    let clients = [client.clone(), second.client_like(&client)];
    let sends = clients.iter().cycle().take(20).map(|client| {
        let mut client = client.clone();
        async move { with_key(&mut client, "one visit", &at(8, 3)).await }
    });
    let ids: HashSet<String> = join_all(sends).await.iter().map(accepted).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");

    let sends = clients.iter().cycle().take(20).map(|client| {
        let mut client = client.clone();
        async move { client.post(CHECKIN, &at(9, 3)).await }
    });
    let mut statuses: Vec<u16> = join_all(sends).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 202);
    assert_eq!(statuses[1..], [422; 19]);
}

#[tokio::test]
async fn identical_check_ins_on_sqlite() {
    identical(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn identical_check_ins_on_redis() {
    identical(&Site::redis()).await;
}

async fn identical(site: &Site) {
    let (_receiver, mut client) = at_receiver(site, &[]).await;
    let first = accepted(&client.post(CHECKIN, &at(5, 1)).await);
    expect_plain(&client.post(CHECKIN, &at(5, 1)).await, 422, IDENTICAL);
    let other_rating = accepted(&client.post(CHECKIN, &at(5, 2)).await);
    let other_place = accepted(&client.post(CHECKIN, &at(6, 1)).await);
    assert_eq!(HashSet::from([first, other_rating, other_place]).len(), 3);
    expect_plain(&client.post(CHECKIN, &at(5, 2)).await, 422, IDENTICAL);

    let anything_goes = site.receiver(&["--duplicate-window", "0"]);
    let mut client = anything_goes.client_like(&client);
    let once = accepted(&client.post(CHECKIN, &at(5, 1)).await);
    let twice = accepted(&client.post(CHECKIN, &at(5, 1)).await);
    assert_ne!(once, twice);
}
