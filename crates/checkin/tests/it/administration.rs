//! Accounts are disabled, enabled and deleted, and operators do so for others.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, Response, until};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, Service, Site, accepted, at, expect_plain, expect_problem,
    log_in,
};

#[track_caller]
fn expect_over(response: &Response) {
    expect_plain(response, 401, "Authentication required.");
}

#[track_caller]
fn command(site: &Site, command: &str, arguments: &[&str]) -> String {
    let ended = site.run(command, arguments);
    assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

/// Returns a browser of another account of the demo data.
async fn browser_of(site: &Site, auth: &Service, id: u64) -> Client {
    let listed = command(site, "users", &["list", "--json"]);
    let mut accounts = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let account = accounts.find(|account| account["id"] == id).unwrap();
    let mut client = auth.client();
    let login = json!({"email": account["email"], "password": PASSWORD});
    expect_plain(&client.post("/login", &login).await, 200, "OK");
    client
}

async fn a_disabled_account_is_refused_everywhere(site: &Site, mut at_express: Option<Client>) {
    let (auth, receiver, api) = (site.auth(&[]), site.receiver(&[]), site.api(&[]));
    let mut client = auth.logged_in().await;
    let (mut at_receiver, mut at_api) = (receiver.client_like(&client), api.client_like(&client));
    accepted(&at_receiver.post(CHECKIN, &at(1, 3)).await);
    assert_eq!(at_api.get("/api/user/77").await.status, 200);

    let said = command(site, "users", &["disable", EMAIL]);
    assert!(said.starts_with("user 77 is disabled now, "), "{said}");
    assert_eq!(command(site, "users", &["disable", "77"]), "user 77 is disabled already\n");
    expect_over(&at_receiver.post(CHECKIN, &at(2, 3)).await);
    expect_over(&at_api.get("/api/user/77").await);
    expect_over(&client.get("/session").await);
    let change = json!({"currentPassword": PASSWORD, "newPassword": "a new and long password"});
    expect_over(&client.post("/password", &change).await);
    expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
    if let Some(express) = &mut at_express {
        // Express knows nothing of it: its new session has no epoch, and is refused here.
        assert_eq!(log_in(express).await.status, 200);
        expect_over(&receiver.client_like(express).post(CHECKIN, &at(2, 3)).await);
        assert_eq!(log_in(express).await.status, 200);
        expect_over(&auth.client_like(express).get("/session").await);
        assert_eq!(log_in(express).await.status, 200);
    }

    let said = command(site, "users", &["enable", "77"]);
    assert!(said.starts_with("user 77 is active now, "), "{said}");
    expect_over(&client.get("/session").await);
    if let Some(express) = &at_express {
        expect_over(&auth.client_like(express).get("/session").await);
    }
    assert_eq!(auth.logged_in().await.get("/session").await.status, 200);
}

#[tokio::test]
async fn a_disabled_account_is_refused_everywhere_on_sqlite() {
    a_disabled_account_is_refused_everywhere(&Site::sqlite(), None).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_disabled_account_is_refused_everywhere_on_redis() {
    let site = Site::redis();
    let express = site.express(crate::harness::SECRET);
    let at_express = Client::new(express.url());
    a_disabled_account_is_refused_everywhere(&site, Some(at_express)).await;
}

async fn people_delete_their_accounts(site: Site) {
    let (auth, receiver, api) = (site.auth(&[]), site.receiver(&[]), site.api(&[]));
    let mut client = auth.logged_in().await;
    let (other, kept) = (auth.logged_in().await, client.clone());
    accepted(&receiver.client_like(&client).post(CHECKIN, &at(1, 3)).await);
    let delete = async |client: &mut Client, password: &str| {
        let request = client.request(testkit::Method::DELETE, "/account");
        request.json(&json!({"currentPassword": password})).send().await
    };
    expect_over(&delete(&mut auth.client(), PASSWORD).await);
    expect_problem(&delete(&mut client, "wrong").await, 400, &["currentPassword"]);
    expect_plain(&delete(&mut client, PASSWORD).await, 200, "OK");
    assert_eq!(client.jar().get(COOKIE), None, "the cookie is cleared");
    for mut over in [client, kept.clone(), other.clone()] {
        expect_over(&over.get("/session").await);
        expect_over(&receiver.client_like(&over).post(CHECKIN, &at(2, 3)).await);
    }
    expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");

    // Somebody else may have the address when the sessions have been searched for.
    let new = json!({
        "firstName": "Al", "lastName": "Again", "email": EMAIL, "password": "another long password",
    });
    until("the address is free", async || {
        auth.client().post("/register", &new).await.status == 201
    })
    .await;
    for over in [&kept, &other] {
        expect_over(&auth.client_like(over).get("/session").await);
    }
    expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
    let mut reader = auth.client();
    let login = json!({"email": EMAIL, "password": "another long password"});
    expect_plain(&reader.post("/login", &login).await, 200, "OK");
    let shown = api.client_like(&reader).get("/api/user/77").await.json();
    assert_eq!((&shown["firstName"], &shown["lastName"]), (&json!("Deleted"), &json!("user")));
    site.count_all();
    let verified = site.run("doctor", &["--verify"]).stdout;
    assert!(verified.contains("users and locations are the sums over the log"), "{verified}");
    assert!(!verified.contains("a password hash that no login verifies"), "{verified}");
    let listed = command(&site, "users", &["list", "--json"]);
    let deleted: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|account: &Value| account["status"] == "deleted")
        .collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0]["email"], "deleted-77@deleted.invalid");
    for arguments in [&["enable", "77"][..], &["second-factor", "show", "77"]] {
        let ended = site.run("users", arguments);
        assert!(ended.code == 1 && ended.stderr.contains("user 77 is deleted"), "{}", ended.stderr);
    }
    let again = command(&site, "users", &["delete", "77"]);
    assert_eq!(again, "user 77 is deleted already, 0 sessions ended\n");
    // Nobody can give the address that it shows.
    let shown = "deleted-77@deleted.invalid";
    for arguments in [
        &["disable", shown][..],
        &["add", shown, "--first-name", "E", "--last-name", "E", "--password-stdin"],
    ] {
        let ended = site.run("users", arguments);
        assert!(ended.code == 2 && ended.stderr.contains("@deleted.invalid"), "{}", ended.stderr);
    }
    let new = json!({
        "firstName": "E", "lastName": "E", "email": shown, "password": "another long password",
    });
    expect_problem(&auth.client().post("/register", &new).await, 400, &["email"]);
}

#[tokio::test]
async fn people_delete_their_accounts_on_sqlite() {
    people_delete_their_accounts(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn people_delete_their_accounts_on_redis() {
    people_delete_their_accounts(Site::redis()).await;
}

/// Whichever change of a session comes first ends the session. For each later one, the session has ended: its
/// password was right.
async fn of_parallel_changes_the_later_ones_have_no_session(site: Site) {
    // Nobody waits for leases, as no service caches.
    let auth = site.auth(&["--session-cache", "0"]);
    let client = auth.logged_in().await;
    let delete = async || {
        let mut client = client.clone();
        let request = client.request(testkit::Method::DELETE, "/account");
        request.json(&json!({"currentPassword": PASSWORD})).send().await
    };
    let answers = join_all([delete(), delete(), delete(), delete()]).await;
    let (done, over): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 1);
    over.into_iter().for_each(expect_over);

    let client = browser_of(&site, &auth, 80).await;
    let replace = async |new: &str| {
        let change = json!({"currentPassword": PASSWORD, "newPassword": new});
        client.clone().post("/password", &change).await
    };
    let (first, second) = ("the first of two passwords", "the second of two passwords");
    let answers = join_all([replace(first), replace(second)]).await;
    let (done, over): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 1);
    over.into_iter().for_each(expect_over);

    // Beside a deletion by another session, and an end of all sessions by a command.
    let (client, other) = (browser_of(&site, &auth, 81).await, browser_of(&site, &auth, 81).await);
    let replace = async || {
        let change = json!({"currentPassword": PASSWORD, "newPassword": "a new and long password"});
        client.clone().post("/password", &change).await
    };
    let delete = async || {
        let mut other = other.clone();
        let request = other.request(testkit::Method::DELETE, "/account");
        request.json(&json!({"currentPassword": PASSWORD})).send().await
    };
    let (replaced, deleted) = tokio::join!(replace(), delete());
    for answer in [&replaced, &deleted].into_iter().filter(|answer| answer.status != 200) {
        expect_over(answer);
    }
    assert!(replaced.status == 200 || deleted.status == 200);
}

#[tokio::test]
async fn of_parallel_changes_the_later_ones_have_no_session_on_sqlite() {
    of_parallel_changes_the_later_ones_have_no_session(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn of_parallel_changes_the_later_ones_have_no_session_on_redis() {
    of_parallel_changes_the_later_ones_have_no_session(Site::redis()).await;
}

async fn operators_administer_accounts(site: Site) {
    let auth = site.auth(&[]);
    let mut user = browser_of(&site, &auth, 78).await;
    assert_eq!(user.get("/accounts/77/sessions").await.status, 403);
    let said = command(&site, "users", &["role", "78", "operator"]);
    assert_eq!(said, "user 78 has the role operator now, 1 sessions ended\n");
    // A session from before has not the rights of the role.
    expect_over(&user.get("/accounts/77/sessions").await);
    let mut operator = browser_of(&site, &auth, 78).await;

    let mut al = auth.logged_in().await;
    let listed = operator.get("/accounts/77/sessions").await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(listed["sessions"][0]["current"], false);
    assert_eq!(operator.delete("/accounts/77/sessions").await.json(), json!({"ended": 1}));
    expect_over(&al.get("/session").await);

    let mut al = auth.logged_in().await;
    let post = async |client: &mut Client, path: &str| {
        client.request(testkit::Method::POST, path).send().await
    };
    for _ in 0..2 {
        assert_eq!(post(&mut operator, "/accounts/77/disable").await.status, 204);
        expect_over(&al.get("/session").await);
        expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
    }
    assert_eq!(post(&mut operator, "/accounts/77/enable").await.status, 204);
    assert_eq!(auth.logged_in().await.get("/session").await.status, 200);
    expect_problem(&post(&mut operator, "/accounts/78/disable").await, 409, &["id"]);
    assert_eq!(post(&mut operator, "/accounts/99999/disable").await.status, 404);
    command(&site, "users", &["delete", "79"]);
    for path in ["/accounts/79/disable", "/accounts/79/enable"] {
        assert_eq!(post(&mut operator, path).await.status, 404, "{path}");
    }

    command(&site, "users", &["role", "78", "user"]);
    expect_over(&operator.get("/accounts/77/sessions").await);
    let events = command(&site, "security-events", &["list", "--json"]);
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<String> = events
        .filter(|event| !["login", "failed-login"].contains(&event["kind"].as_str().unwrap()))
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} {}", text("kind"), event["account"], text("source"), text("detail"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "role-changed 78 users role operator",
            "sessions-revoked 77 auth 1 sessions, by user 78",
            "account-disabled 77 auth by user 78",
            "account-enabled 77 auth by user 78",
            "account-deleted 79 users delete ",
            "role-changed 78 users role user",
        ]
    );
}

#[tokio::test]
async fn operators_administer_accounts_on_sqlite() {
    operators_administer_accounts(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn operators_administer_accounts_on_redis() {
    operators_administer_accounts(Site::redis()).await;
}
