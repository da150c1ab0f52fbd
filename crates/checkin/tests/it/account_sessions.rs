//! An account's sessions: listed, and ended one by one or all at once.

#[cfg(feature = "external-tests")]
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, Method, until};

use crate::harness::{
    COOKIE, EMAIL, PASSWORD, SECRET, Service, Site, expect_plain, expect_problem, log_in,
    session_id,
};

/// Al's browser on this device and at this address; the service trusts its proxy.
async fn logged_in_with(auth: &Service, device: &str, address: &str) -> Client {
    let mut client = auth.client();
    let login = json!({"email": EMAIL.to_uppercase(), "password": PASSWORD});
    let request = client.request(Method::POST, "/login").json(&login);
    let request = request.header("user-agent", device).header("x-forwarded-for", address);
    expect_plain(&request.send().await, 200, "OK");
    client
}

async fn listed(client: &mut Client) -> Vec<Value> {
    let response = client.get("/sessions").await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["sessions"].as_array().unwrap().clone()
}

fn handle(session: &Value) -> &str {
    session["handle"].as_str().unwrap()
}

async fn end(client: &mut Client, session: &Value) -> u16 {
    client.delete(&format!("/sessions/{}", handle(session))).await.status
}

/// The handle of this browser's own session.
async fn own(client: &mut Client) -> Value {
    let mut sessions = listed(client).await;
    sessions.retain(|session| session["current"] == true);
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

#[track_caller]
fn expect_over(response: &testkit::Response) {
    expect_plain(response, 401, "Authentication required.");
}

async fn lists_and_ends(site: Site) {
    let auth = site.auth(&["--trust-proxy"]);
    let mut phone = logged_in_with(&auth, "a phone", "192.0.2.1").await;
    let mut tablet = logged_in_with(&auth, "a tablet", "2001:db8::1:2:3:4").await;
    let mut desk = logged_in_with(&auth, &"x".repeat(300), "192.0.2.1").await;

    let sessions = listed(&mut tablet).await;
    let shown =
        |name: &str| -> Value { sessions.iter().map(|session| session[name].clone()).collect() };
    let devices = json!(["x".repeat(256), "a tablet", "a phone"]);
    assert_eq!(shown("device"), devices, "the newest first");
    let addresses = json!(["192.0.2.1", "2001:db8::", "192.0.2.1"]);
    assert_eq!(shown("address"), addresses);
    assert_eq!(shown("current"), json!([false, true, false]));
    let is_moment = |name: &str| sessions[0][name].as_u64().unwrap() > 1_700_000_000_000;
    assert!(is_moment("since") && is_moment("lastSeen"), "{sessions:?}");

    // Another one, an unknown one, one's own.
    assert_eq!(end(&mut tablet, &sessions[2]).await, 204);
    expect_over(&phone.get("/session").await);
    expect_problem(&tablet.delete(&format!("/sessions/{}", handle(&sessions[2]))).await, 404, &[]);
    assert_eq!(listed(&mut tablet).await.len(), 2);
    assert_eq!(end(&mut tablet, &sessions[1]).await, 204);
    assert_eq!(tablet.jar().get(COOKIE), None, "the cookie is cleared");
    assert_eq!(listed(&mut desk).await.len(), 1);

    // All others.
    let mut other = auth.logged_in().await;
    assert_eq!(other.delete("/sessions").await.json(), json!({"ended": 1}));
    expect_over(&desk.get("/session").await);
    assert_eq!(listed(&mut other).await.len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_on_sqlite() {
    lists_and_ends(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_are_listed_and_ended_on_redis() {
    lists_and_ends(Site::redis()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_account_has_one_index_and_nothing_in_its_sessions() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let client = logged_in_with(&auth, "a phone", "192.0.2.1").await;
    auth.logged_in().await;
    let indexes: Vec<String> = site.redis_cli(&["KEYS", "ncc:account-sessions:*"]);
    assert_eq!(indexes, [format!("ncc:account-sessions:{EMAIL}")]);
    let life: i64 = site.redis_cli(&["TTL", &indexes[0]]);
    assert!((86_000..=2 * 86_400).contains(&life), "{life}");
    let stored = site.session_value(&client).unwrap();
    assert!(!stored.contains("phone"), "{stored}");

    // Without it everything works, too.
    site.redis_cli::<()>(&["DEL", &indexes[0]]);
    let mut client = auth.client_like(&client);
    assert_eq!(listed(&mut client).await.len(), 2);
    assert_eq!(client.delete("/sessions").await.json(), json!({"ended": 1}));
}

/// How often Redis was asked for a part of all keys.
#[cfg(feature = "external-tests")]
fn scans(site: &Site) -> u64 {
    let info: String = site.redis_cli(&["INFO", "commandstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_scan:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// A search reads the sessions of everybody, so nobody has many of them made.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn requests_for_a_list_search_once() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let mut client = auth.logged_in().await;
    let index = format!("ncc:account-sessions:{EMAIL}");
    site.redis_cli::<()>(&["DEL", &index]);
    let before = scans(&site);
    assert_eq!(listed(&mut client).await.len(), 1);
    let one = scans(&site) - before;
    assert!(one > 0, "the session is not in the index");
    site.redis_cli::<()>(&["DEL", &index]);
    let before = scans(&site);
    let requests = (0..20).map(|_| {
        let mut client = auth.client_like(&client);
        async move { listed(&mut client).await.len() }
    });
    assert_eq!(join_all(requests).await, [1; 20]);
    // Redis may have grown its table of keys meanwhile, which takes twice as many steps.
    let all = scans(&site) - before;
    assert!(all <= 2 * one, "{all} instead of {one}");

    // A session that newer ones have displaced from the index.
    let value = site.session_value(&client).unwrap();
    site.redis_cli::<()>(&["DEL", &index]);
    for number in 0..100 {
        site.redis_cli::<()>(&["SET", &format!("ncc:session:{number}"), &value, "EX", "600"]);
        site.redis_cli::<()>(&["HSET", &index, &format!("c:{number}"), "1700000000000"]);
    }
    let before = scans(&site);
    for _ in 0..5 {
        assert_eq!(listed(&mut client).await.len(), 101);
        own(&mut client).await;
        site.redis_cli::<()>(&["HDEL", &index, &format!("c:{}", session_id(&client))]);
    }
    assert_eq!(scans(&site), before);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn nobody_sees_or_ends_the_sessions_of_others() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let (mut al, mut eve) = (auth.logged_in().await, auth.client());
    let email: String = site.redis_cli(&["HGET", "ncc:user:78", "email"]);
    let login = json!({"email": email, "password": PASSWORD});
    expect_plain(&eve.post("/login", &login).await, 200, "OK");

    let als = own(&mut al).await;
    assert_eq!(listed(&mut eve).await.len(), 1);
    assert_eq!(end(&mut eve, &als).await, 404);
    assert_eq!(eve.delete("/sessions").await.json(), json!({"ended": 0}));
    assert_eq!(al.get("/session").await.status, 200);
    let id = session_id(&al);
    assert!(!al.get("/sessions").await.text().contains(&id));
    assert_eq!(eve.delete(&format!("/sessions/{id}")).await.status, 404);
}

async fn has_two_at_most(site: Site) {
    let auth = site.auth(&["--max-sessions", "2"]);
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(auth.logged_in().await);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let status = if number < 2 { 401 } else { 200 };
        assert_eq!(client.get("/session").await.status, status, "login number {number}");
    }
    assert_eq!(listed(&mut clients[3]).await.len(), 2);
    // Who logs in again in the same browser gives up no other one.
    expect_plain(&log_in(&mut clients[3]).await, 200, "OK");
    assert_eq!(clients[2].get("/session").await.status, 200);
    // Neither does who ended one.
    expect_plain(&clients[3].get("/logout").await, 200, "OK");
    clients.push(auth.logged_in().await);
    assert_eq!(clients[2].get("/session").await.status, 200);
}

#[tokio::test]
async fn an_account_has_as_many_sessions_as_it_may_on_sqlite() {
    has_two_at_most(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_account_has_as_many_sessions_as_it_may_on_redis() {
    has_two_at_most(Site::redis()).await;
}

/// Sessions that an Express service made, on this site.
async fn takes_those_of_express(site: Site, auth: Service) {
    let express = site.express(SECRET);
    let mut at_express = [Client::new(express.url()), Client::new(express.url())];
    for client in &mut at_express {
        assert_eq!(log_in(client).await.status, 200);
    }
    let mut ours = auth.logged_in().await;
    assert_eq!(listed(&mut ours).await.len(), 1, "nobody has looked for them");

    // From a session that Express made all are seen, and each can be ended.
    let mut first = auth.client_like(&at_express[0]);
    assert_eq!(listed(&mut first).await.len(), 3);
    let second = own(&mut auth.client_like(&at_express[1])).await;
    assert_eq!(end(&mut first, &second).await, 204);
    assert_eq!(at_express[1].get("/session").await.status, 401);
    let own = own(&mut first).await;
    assert_eq!(end(&mut first, &own).await, 204);
    assert_eq!(first.jar().get(COOKIE), None, "the cookie is cleared");
    assert_eq!(at_express[0].get("/session").await.status, 401);
    assert_eq!(listed(&mut ours).await.len(), 1);

    // What ends them all finds those that nobody has noted.
    for client in &mut at_express {
        assert_eq!(log_in(client).await.status, 200);
    }
    assert_eq!(ours.delete("/sessions").await.json(), json!({"ended": 0}));
    for client in &mut at_express {
        until("the search ends it", async || client.get("/session").await.status == 401).await;
    }
    assert_eq!(log_in(&mut at_express[0]).await.status, 200);
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another password"});
    expect_plain(&ours.post("/password", &change).await, 200, "OK");
    let first = &mut at_express[0];
    until("the search ends it", async || first.get("/session").await.status == 401).await;
    assert_eq!(listed(&mut ours).await.len(), 1);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_that_express_made_are_found() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    takes_those_of_express(site, auth).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_that_express_made_are_found_on_a_cluster() {
    let site = Site::redis_cluster();
    let auth = site.auth(&[]);
    let account =
        json!({"firstName": "Al", "lastName": "Appelhof", "email": EMAIL, "password": PASSWORD});
    assert_eq!(auth.client().post("/register", &account).await.status, 201);
    takes_those_of_express(site, auth).await;
}
