//! The console: every service's routes on one origin.

use serde_json::json;
use testkit::Client;

use crate::guesses::guess_until_refused;
use crate::harness::{
    CHECKIN, EMAIL, Site, USER, accepted, at, expect_plain, expect_problem, log_in,
};

async fn one_origin_serves_every_route(client: &mut Client) {
    expect_plain(&client.post(CHECKIN, &at(2, 5)).await, 401, "Authentication required.");
    expect_plain(&log_in(client).await, 200, "OK");
    accepted(&client.post(CHECKIN, &at(2, 5)).await);
    let user = client.get(&format!("/api/user/{USER}")).await;
    assert_eq!((user.status, &user.json()["email"]), (200, &json!(EMAIL)));
    let home = client.get("/").await;
    assert!(home.text().starts_with("<!doctype html>"), "{}", home.text());
    assert_eq!(client.get("/docs/").await.status, 200);
    assert_eq!(client.get("/openapi.json").await.status, 200);
    expect_plain(&client.get("/readyz").await, 200, "OK");
    expect_plain(&client.get("/healthz").await, 200, "OK");
    let metrics = client.get("/metrics").await;
    for route in ["/login", CHECKIN, "/api/user/{id}"] {
        let counted = format!("service=\"console\",method=\"GET\",route=\"{route}\"");
        let counted = counted.replace("GET", if route.contains('{') { "GET" } else { "POST" });
        assert!(metrics.text().contains(&counted), "{counted}: {}", metrics.text());
    }
    let headers = client.get("/session").await.headers;
    for once in ["x-request-id", "cache-control", "x-content-type-options"] {
        assert_eq!(headers.get_all(once).iter().count(), 1, "{once}");
    }
    expect_plain(&client.post("/logout", &json!({})).await, 200, "OK");
    expect_problem(&client.get("/nothing").await, 404, &[]);
}

#[tokio::test]
async fn one_origin_on_sqlite() {
    let site = Site::sqlite();
    one_origin_serves_every_route(&mut site.console(&[]).client()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn one_origin_on_redis() {
    let site = Site::redis();
    one_origin_serves_every_route(&mut site.console(&[]).client()).await;
}

/// The port is another way to the same service: a guess there counts here.
#[tokio::test]
async fn guesses_at_the_console_and_at_the_authentication_service_count_together() {
    let site = Site::sqlite();
    let (_up, [(_, auth), _, _, (_, console)]) = site.up_everywhere(&[]);
    let (mut auth, mut console) = (Client::new(auth), Client::new(console));
    let wrong = json!({"email": EMAIL, "password": "not the one"});
    for _ in 0..5 {
        expect_plain(&console.post("/login", &wrong).await, 401, "Invalid login.");
    }
    expect_problem(
        &guess_until_refused(async || auth.post("/login", &wrong).await).await,
        429,
        &[],
    );
}
