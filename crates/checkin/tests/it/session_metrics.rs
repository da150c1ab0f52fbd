//! What happens to sessions, counted for Prometheus.

use serde_json::json;
use testkit::{Client, signature};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, SECRET, Service, Site, accepted, at, expect_plain, session_id, until,
};
use crate::under_way::UnderWay;

/// How often this happened at a service, as `/metrics` says.
async fn count(service: &Service, event: &str) -> u64 {
    let metrics = service.client().get("/metrics").await;
    let label = format!("event=\"{event}\"");
    let mut lines = metrics.text().lines().filter(|line| line.contains(&label));
    let line = lines.find(|line| line.starts_with("checkin_session_events_total{")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// It happened once, or is about to: not every response waits for it.
async fn happened_once(service: &Service, event: &str) {
    let label = format!("event=\"{event}\"}} 1\n");
    let mut client = service.client();
    let ask = async || client.get("/metrics").await;
    until(event, ask, |metrics| metrics.text().contains(&label)).await;
}

/// Leaves the client's session less than a tenth of its time, so that its next use touches it.
fn grows_old(site: &Site, client: &Client) {
    let key = format!("ncc:session:{}", session_id(client));
    site.redis_cli::<()>(&["EXPIRE", &key, "1000"]);
}

#[tokio::test]
async fn what_happens_to_sessions_is_counted() {
    let site = Site::redis();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    for event in ["loaded", "unknown", "corrupt", "updated", "gone", "failed"] {
        assert_eq!(count(&auth, event).await, 0, "{event}");
    }
    let mut al = auth.logged_in().await;
    assert_eq!(count(&auth, "created").await, 1);
    assert_eq!(al.get("/session").await.status, 200);
    assert_eq!((count(&auth, "loaded").await, count(&auth, "touched").await), (1, 0));

    grows_old(&site, &al);
    assert_eq!(al.get("/session").await.status, 200);
    happened_once(&auth, "touched").await;

    let mut stranger = auth.client();
    stranger.jar_mut().set(COOKIE, &signature::encode(&signature::sign("unknown", SECRET)));
    assert_eq!(stranger.get("/session").await.status, 401);
    assert_eq!(count(&auth, "unknown").await, 1);
    site.redis_cli::<()>(&["SET", "ncc:session:unknown", "not JSON"]);
    assert_eq!(stranger.get("/session").await.status, 401);
    assert_eq!(count(&auth, "corrupt").await, 1);

    accepted(&receiver.client_like(&al).post(CHECKIN, &at(3, 1)).await);
    assert_eq!(count(&receiver, "loaded").await, 1, "each service counts its own");

    expect_plain(&al.get("/logout").await, 200, "OK");
    assert_eq!(count(&auth, "destroyed").await, 1);
    let merges = auth.client().get("/metrics").await;
    assert!(merges.text().contains("checkin_session_merges_total{service=\"auth\"} 0\n"));
}

#[tokio::test]
async fn sessions_that_end_under_a_request_are_counted() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let al = auth.logged_in().await;
    grows_old(&site, &al);
    let session = format!("ncc:session:{}", session_id(&al));
    let login = json!({"email": EMAIL, "password": "wrong"});
    let port = auth.port();
    let begin = move || UnderWay::post(&al, port, "/login", &login);
    let request = tokio::task::spawn_blocking(begin).await.unwrap();
    happened_once(&auth, "loaded").await;
    assert_eq!(site.redis_cli::<i64>(&["DEL", &session]), 1);
    let answer = tokio::task::spawn_blocking(|| request.finish()).await.unwrap();
    assert!(answer.contains("HTTP/1.1 401 "), "{answer}");
    happened_once(&auth, "gone").await;
}

#[tokio::test]
async fn failures_of_the_session_store_are_counted() {
    let site = Site::redis();
    let auth = site.auth(&["--store-timeout", "250ms"]);
    let mut al = site.auth(&[]).logged_in().await;
    al = auth.client_like(&al);
    site.server().pause();
    assert_eq!(al.get("/session").await.status, 503);
    site.server().resume();
    assert_eq!(count(&auth, "failed").await, 1);
}
