//! Logins to accounts with a second factor, and its changes.

use std::time::{SystemTime, UNIX_EPOCH};

use checkin::storage::Budget;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Response};
use totp_rs::{Builder, Secret, Totp};

use crate::guesses::{guess_until_refused, wait_for_long};
use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, PATIENCE, Service, Site, USER, at, expect_plain,
    expect_problem, log_in,
};
use crate::operators::run_with_input;

const OTHER: &str = "another long password";

/// Nobody waits for leases, as no service caches.
const NO_CACHE: [&str; 2] = ["--session-cache", "0"];

/// An authenticator app, and the recovery codes of its owner.
pub(crate) struct App {
    totp: Totp,
    /// The code with which it was turned on.
    first: String,
    pub(crate) recovery_codes: Vec<String>,
}

impl App {
    /// Begins to set up an app after this step-up.
    pub(crate) async fn begin(owner: &mut Client, confirmation: &Value) -> App {
        let begun = owner.post("/second-factor/totp", confirmation).await;
        assert_eq!(begun.status, 200, "{}", begun.text());
        let (secret, uri) = (begun.json()["secret"].clone(), begun.json()["uri"].clone());
        let secret = secret.as_str().unwrap();
        let uri = uri.as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/checkin:al.appelhof%40example.com?"));
        assert!(uri.contains(secret));
        let secret = Secret::try_from_base32(secret).unwrap();
        let totp = Builder::new().with_secret(secret).build().unwrap();
        App { totp, first: String::new(), recovery_codes: Vec::new() }
    }

    fn code(&self, steps: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.totp.generate(now.saturating_add_signed(30 * steps)).to_string()
    }

    /// The code of the next step, which is right now and stays so for a step.
    pub(crate) fn next(&self) -> String {
        self.code(1)
    }
}

fn confirmation(code: Option<&str>) -> Value {
    json!({"currentPassword": PASSWORD, "code": code})
}

/// Turns an authenticator app on, in place of one that is on already.
pub(crate) async fn enrol(owner: &mut Client, code: Option<&str>) -> App {
    enrol_after(owner, &confirmation(code)).await
}

/// Turns an authenticator app on after this step-up.
pub(crate) async fn enrol_after(owner: &mut Client, confirmation: &Value) -> App {
    let mut app = App::begin(owner, confirmation).await;
    app.first = app.code(0);
    let confirmed = owner.post("/second-factor/totp/confirm", &json!({"code": app.first})).await;
    app.recovery_codes = codes(&confirmed);
    app
}

#[track_caller]
pub(crate) fn codes(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{}", response.text());
    let codes = response.json()["recoveryCodes"].as_array().unwrap().clone();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// Gives the password, and returns the token of the pending login.
async fn pending(client: &mut Client) -> String {
    pending_after(&log_in(client).await)
}

/// Returns the token of the pending login of this response.
#[track_caller]
fn pending_after(response: &Response) -> String {
    expect_problem(response, 401, &[]);
    let problem = response.json();
    assert_eq!(problem["type"], "second-factor-required");
    assert_eq!(problem["methods"], json!(["totp", "recovery"]));
    assert_eq!(response.set_cookies(), [""; 0]);
    assert_eq!(response.header("www-authenticate"), Some("Cookie realm=\"checkin\""));
    problem["pendingLogin"].as_str().unwrap().to_owned()
}

async fn give(client: &mut Client, token: &str, code: &str) -> Response {
    client.post("/login/second-factor", &json!({"pendingLogin": token, "code": code})).await
}

async fn log_in_with(client: &mut Client, code: &str) -> Response {
    let token = pending(client).await;
    give(client, &token, code).await
}

/// The sessions of the store that have a user.
fn logged_in_sessions(site: &Site) -> usize {
    let has_user = |session: &String| session.contains("\"user\"");
    match site.store.strip_prefix("sqlite:") {
        Some(file) => {
            let store = Connection::open(file).unwrap();
            store.busy_timeout(PATIENCE).unwrap();
            let mut rows = store.prepare("SELECT CAST(value AS TEXT) FROM sessions").unwrap();
            let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(Result::unwrap).filter(has_user).count()
        }
        None => {
            let keys = site.keys("ncc:session:*");
            let sessions = keys.iter().map(|key| site.redis_cli::<String>(&["GET", key]));
            sessions.filter(has_user).count()
        }
    }
}

/// Forgets which code was used last, as if time had passed.
fn forget_last_step(site: &Site) {
    let earlier = |stored: &str| -> String {
        let mut factor: Value = serde_json::from_str(stored).unwrap();
        factor["totp"]["lastStep"] = 0.into();
        factor.to_string()
    };
    match site.store.strip_prefix("sqlite:") {
        Some(file) => {
            let store = Connection::open(file).unwrap();
            store.busy_timeout(PATIENCE).unwrap();
            let select = "SELECT factor FROM second_factors";
            let stored: String = store.query_row(select, [], |row| row.get(0)).unwrap();
            let update = "UPDATE second_factors SET factor = ?1";
            assert_eq!(store.execute(update, [earlier(&stored)]).unwrap(), 1);
        }
        None => {
            let key = format!("{{ncc:user:{USER}}}:second-factor");
            let stored: String = site.redis_cli(&["GET", &key]);
            site.redis_cli::<()>(&["SET", &key, &earlier(&stored)]);
        }
    }
}

async fn no_session_is_logged_in_before_the_second_factor(site: &Site) {
    let (auth, receiver) = (site.auth(&NO_CACHE), site.receiver(&NO_CACHE));
    let (mut owner, mut other) = (auth.logged_in().await, auth.logged_in().await);
    let state = owner.get("/second-factor").await.json();
    assert_eq!(state, json!({"totp": false, "passkeys": [], "recoveryCodes": 0}));
    let app = enrol(&mut owner, None).await;
    assert_eq!(app.recovery_codes.len(), 10);
    let state = owner.get("/second-factor").await.json();
    assert_eq!(state, json!({"totp": true, "passkeys": [], "recoveryCodes": 10}));
    // The other session has ended, this one goes on.
    expect_plain(&other.get("/session").await, 401, "Authentication required.");
    expect_plain(&owner.post("/logout", &Value::Null).await, 200, "OK");
    assert_eq!(logged_in_sessions(site), 0);

    let mut client = auth.client();
    let wrong = json!({"email": EMAIL, "password": "wrong"});
    expect_plain(&client.post("/login", &wrong).await, 401, "Invalid login.");
    let token = pending(&mut client).await;
    assert_eq!(logged_in_sessions(site), 0);
    for mut client in [client.clone(), other.clone(), owner.clone()] {
        let response = receiver.client_like(&client).post(CHECKIN, &at(3, 1)).await;
        expect_plain(&response, 401, "Authentication required.");
        expect_plain(&client.get("/session").await, 401, "Authentication required.");
    }
    // Also a session that was there before.
    let mut before = other.clone();
    let before_token = pending(&mut before).await;
    let response = receiver.client_like(&before).post(CHECKIN, &at(3, 1)).await;
    expect_plain(&response, 401, "Authentication required.");
    assert_eq!(logged_in_sessions(site), 0);
    let nobody = give(&mut client, "a-token-that-was-never-given-out", &app.next()).await;
    expect_plain(&nobody, 401, "Invalid login.");
    for code in ["000000", "aaaa-bbbb-cccc-dddd-eeee-ffff"] {
        expect_plain(&give(&mut client, &token, code).await, 401, "Invalid login.");
    }
    expect_problem(&give(&mut client, &token, "12").await, 400, &["code"]);
    assert_eq!(logged_in_sessions(site), 0);

    // The code of the enrolment was used; another one is right once.
    expect_plain(&give(&mut client, &token, &app.first).await, 401, "Invalid login.");
    let code = app.next();
    let response = give(&mut client, &token, &code).await;
    expect_plain(&response, 200, "OK");
    assert!(response.set_cookies()[0].starts_with(&format!("{COOKIE}=")));
    assert!(response.set_cookies()[1].starts_with("checkin_device="));
    assert_eq!(receiver.client_like(&client).post(CHECKIN, &at(3, 1)).await.status, 202);
    assert_eq!(logged_in_sessions(site), 1);
    // Neither the pending login nor the code is of use again.
    for token in [token, before_token] {
        expect_plain(&give(&mut before, &token, &code).await, 401, "Invalid login.");
    }
    let recovery = &app.recovery_codes[0];
    expect_plain(&log_in_with(&mut auth.client(), recovery).await, 200, "OK");
    expect_plain(&log_in_with(&mut auth.client(), recovery).await, 401, "Invalid login.");
    let state = client.get("/second-factor").await.json();
    assert_eq!(state, json!({"totp": true, "passkeys": [], "recoveryCodes": 9}));
}

#[tokio::test]
async fn no_session_is_logged_in_before_the_second_factor_on_sqlite() {
    no_session_is_logged_in_before_the_second_factor(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_session_is_logged_in_before_the_second_factor_on_redis() {
    no_session_is_logged_in_before_the_second_factor(&Site::redis()).await;
}

async fn of_parallel_logins_with_one_code_one_succeeds(site: &Site) {
    let (one, two) = (site.auth(&NO_CACHE), site.auth(&NO_CACHE));
    let app = enrol(&mut one.logged_in().await, None).await;
    for code in [app.next(), app.recovery_codes[0].clone()] {
        let mut clients = Vec::new();
        for service in [&one, &two, &one, &two] {
            let mut client = service.client();
            let token = pending(&mut client).await;
            clients.push((client, token));
        }
        let given = clients.iter_mut().map(|(client, token)| give(client, token, &code));
        let mut statuses: Vec<_> =
            join_all(given).await.iter().map(|response| response.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401, 401, 401]);
    }
    // Nor is one pending login of use twice.
    let token = pending(&mut one.client()).await;
    let codes = &app.recovery_codes[1..4];
    let given = codes.iter().zip([&one, &two, &one]).map(|(code, service)| {
        let (mut client, token) = (service.client(), token.clone());
        async move { give(&mut client, &token, code).await.status }
    });
    let statuses = join_all(given).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn of_parallel_logins_with_one_code_one_succeeds_on_sqlite() {
    of_parallel_logins_with_one_code_one_succeeds(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn of_parallel_logins_with_one_code_one_succeeds_on_redis() {
    of_parallel_logins_with_one_code_one_succeeds(&Site::redis()).await;
}

async fn codes_are_not_guessed(site: &Site) {
    let auth = site.auth(&NO_CACHE);
    let app = enrol(&mut auth.logged_in().await, None).await;
    // Five attempts for a pending login, whoever gives them.
    let mut client = auth.client();
    let token = pending(&mut client).await;
    for _ in 0..5 {
        let wrong = give(&mut auth.client(), &token, "aaaa-bbbb-cccc-dddd-eeee-ffff").await;
        expect_plain(&wrong, 401, "Invalid login.");
    }
    let right = give(&mut client, &token, &app.recovery_codes[0]).await;
    expect_plain(&right, 401, "Invalid login.");
    // Other pending logins have the same budget for codes of six digits.
    let token = pending(&mut client).await;
    let guesses = (0..5).map(|_| {
        let (mut client, token) = (auth.client(), token.clone());
        async move { give(&mut client, &token, "000000").await.status }
    });
    assert_eq!(join_all(guesses).await, [401; 5]);
    let guess = async || {
        let token = pending(&mut client).await;
        give(&mut client, &token, "000000").await
    };
    expect_problem(&guess_until_refused(guess).await, 429, &[]);
    wait_for_long(site, &Budget::of_second_factor(&EMAIL.parse().unwrap()));
    let token = pending(&mut client).await;
    let refused = give(&mut client, &token, &app.next()).await;
    expect_problem(&refused, 429, &[]);
    assert!(refused.header("retry-after").is_some());
    // A recovery code cannot be guessed, so it does not wait, and resets the budget.
    expect_plain(&give(&mut client, &token, &app.recovery_codes[0]).await, 200, "OK");
    expect_plain(&log_in_with(&mut client, &app.next()).await, 200, "OK");
}

#[tokio::test]
async fn codes_are_not_guessed_on_sqlite() {
    codes_are_not_guessed(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn codes_are_not_guessed_on_redis() {
    codes_are_not_guessed(&Site::redis()).await;
}

#[track_caller]
fn expect_needed(response: &Response) {
    expect_problem(response, 403, &[]);
    assert_eq!(response.json()["type"], "second-factor-required");
    assert_eq!(response.json()["methods"], json!(["totp", "recovery"]));
    assert_eq!(response.json().get("pendingLogin"), None);
}

async fn changes_need_the_second_factor(site: &Site) {
    let auth = site.auth(&NO_CACHE);
    let mut owner = auth.logged_in().await;
    for path in ["totp", "remove", "recovery-codes"].map(|path| format!("/second-factor/{path}")) {
        let wrong = json!({"currentPassword": "wrong"});
        expect_problem(&owner.post(&path, &wrong).await, 400, &["currentPassword"]);
    }
    let confirm = json!({"code": "123456"});
    let response = owner.post("/second-factor/totp/confirm", &confirm).await;
    expect_problem(&response, 400, &["code"]);
    for path in ["/second-factor/remove", "/second-factor/recovery-codes"] {
        let missing = owner.post(path, &confirmation(None)).await;
        expect_problem(&missing, 400, &[]);
        assert_eq!(missing.json()["detail"], "the account must have a second factor");
    }
    let app = enrol(&mut owner, None).await;
    let change = |code: Option<&str>| json!({"currentPassword": PASSWORD, "newPassword": OTHER, "code": code});
    for (path, body) in [
        ("/password", change(None)),
        ("/second-factor/totp", confirmation(None)),
        ("/second-factor/remove", confirmation(None)),
        ("/second-factor/recovery-codes", confirmation(None)),
    ] {
        expect_needed(&owner.post(path, &body).await);
        let mut wrong = body.clone();
        wrong["code"] = "aaaa-bbbb-cccc-dddd-eeee-ffff".into();
        expect_problem(&owner.post(path, &wrong).await, 400, &["code"]);
    }
    // New recovery codes replace the others.
    let old = &app.recovery_codes;
    let response = owner.post("/second-factor/recovery-codes", &confirmation(Some(&old[0]))).await;
    let new = codes(&response);
    assert_eq!(new.len(), 10);
    let response = owner.post("/second-factor/remove", &confirmation(Some(&old[1]))).await;
    expect_problem(&response, 400, &["code"]);
    // Another app replaces the one before, and the recovery codes stay.
    let other_app = enrol(&mut owner, Some(&new[0])).await;
    assert_eq!(other_app.recovery_codes, [""; 0]);
    expect_plain(&log_in_with(&mut auth.client(), &app.next()).await, 401, "Invalid login.");

    // A pending login ends with the password, and a new password needs a code.
    let token = pending(&mut auth.client()).await;
    let code = other_app.next();
    expect_plain(&owner.post("/password", &change(Some(&code))).await, 200, "OK");
    let late = give(&mut auth.client(), &token, &new[1]).await;
    expect_plain(&late, 401, "Invalid login.");
    let back = json!({"currentPassword": OTHER, "newPassword": PASSWORD, "code": new[1]});
    expect_plain(&owner.post("/password", &back).await, 200, "OK");

    // Without the second factor, logins are as before.
    forget_last_step(site);
    let response =
        owner.post("/second-factor/remove", &confirmation(Some(&other_app.code(0)))).await;
    expect_plain(&response, 200, "OK");
    assert_eq!(owner.get("/session").await.status, 200);
    auth.logged_in().await;
}

#[tokio::test]
async fn changes_need_the_second_factor_on_sqlite() {
    changes_need_the_second_factor(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn changes_need_the_second_factor_on_redis() {
    changes_need_the_second_factor(&Site::redis()).await;
}

/// Whatever ends the sessions of an account ends its pending login, too.
async fn a_pending_login_ends_with_the_sessions(site: &Site) {
    let auth = site.auth(&NO_CACHE);
    let app = enrol(&mut auth.logged_in().await, None).await;
    let mut recovery = app.recovery_codes.iter();
    for commands in [
        &[("sessions", &["revoke", "--all"][..])][..],
        &[("sessions", &["revoke", "--user", EMAIL])],
        &[("users", &["role", EMAIL, "operator"])],
        &[("users", &["disable", EMAIL]), ("users", &["enable", EMAIL])],
    ] {
        let token = pending(&mut auth.client()).await;
        for (command, arguments) in commands {
            let ended = site.run(command, arguments);
            assert_eq!(ended.code, 0, "{arguments:?} {}", ended.stderr);
        }
        let late = give(&mut auth.client(), &token, recovery.next().unwrap()).await;
        expect_plain(&late, 401, "Invalid login.");
        assert_eq!(logged_in_sessions(site), 0, "{commands:?}");
    }
    // The codes were not used up, and later logins are as before.
    expect_plain(&log_in_with(&mut auth.client(), &app.recovery_codes[0]).await, 200, "OK");

    let token = pending(&mut auth.client()).await;
    let ended = run_with_input(site, &["users", "passwd", EMAIL], OTHER);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let code = recovery.next().unwrap();
    let late = give(&mut auth.client(), &token, code).await;
    expect_plain(&late, 401, "Invalid login.");
    let login = json!({"email": EMAIL, "password": OTHER});
    let token = pending_after(&auth.client().post("/login", &login).await);
    let ended = site.run("users", &["delete", EMAIL]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let late = give(&mut auth.client(), &token, code).await;
    expect_plain(&late, 401, "Invalid login.");
    assert_eq!(logged_in_sessions(site), 0);
}

#[tokio::test]
async fn a_pending_login_ends_with_the_sessions_on_sqlite() {
    a_pending_login_ends_with_the_sessions(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_pending_login_ends_with_the_sessions_on_redis() {
    a_pending_login_ends_with_the_sessions(&Site::redis()).await;
}

async fn an_operator_removes_a_second_factor(site: &Site) {
    let auth = site.auth(&NO_CACHE);
    let run = |arguments: &[&str]| site.run("users", &[&["second-factor"], arguments].concat());
    let shown = || run(&["show", EMAIL]).stdout;
    assert_eq!(shown(), "user 77: no second factor\n");
    assert_ne!(run(&["remove", EMAIL]).code, 0);
    let mut owner = auth.logged_in().await;
    let app = enrol(&mut owner, None).await;
    assert_eq!(shown(), "user 77: authenticator app, 10 recovery codes\n");
    expect_plain(&log_in_with(&mut auth.client(), "000000").await, 401, "Invalid login.");
    let recovery = &app.recovery_codes[0];
    expect_plain(&log_in_with(&mut auth.client(), recovery).await, 200, "OK");
    let removed = run(&["remove", "77"]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    assert_eq!(removed.stdout, "second factor of user 77 removed, 2 sessions ended\n");
    expect_plain(&owner.get("/session").await, 401, "Authentication required.");
    auth.logged_in().await;

    let events = site.run("security-events", &["list", "--json"]).stdout;
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<_> = events
        .map(|event| {
            assert_eq!(event["account"], USER);
            let text = |name| event[name].as_str().unwrap_or_default().to_owned();
            [text("kind"), text("source"), text("detail")].join(" ").trim().to_owned()
        })
        .collect();
    let expected = [
        "login auth",
        "second-factor-added auth totp",
        "failed-second-factor auth",
        "recovery-code-used auth",
        "login auth",
        "second-factor-removed users second-factor remove all",
        "login auth",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_operator_removes_a_second_factor_on_sqlite() {
    an_operator_removes_a_second_factor(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_operator_removes_a_second_factor_on_redis() {
    an_operator_removes_a_second_factor(&Site::redis()).await;
}

/// One after the other, because a cluster takes seconds to start.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn second_factors_on_a_cluster() {
    let site = Site::redis_cluster_of_three();
    no_session_is_logged_in_before_the_second_factor(&site).await;
    assert_eq!(site.run("users", &["second-factor", "remove", EMAIL]).code, 0);
    of_parallel_logins_with_one_code_one_succeeds(&site).await;
    assert_eq!(site.run("users", &["second-factor", "remove", EMAIL]).code, 0);
    changes_need_the_second_factor(&site).await;
    a_pending_login_ends_with_the_sessions(&site).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_operator_removes_a_second_factor_on_a_cluster() {
    an_operator_removes_a_second_factor(&Site::redis_cluster_of_three()).await;
}

/// What an operator has to know: an Express service asks for the password only.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_express_service_sees_no_login_and_asks_for_no_second_factor() {
    let site = Site::redis();
    let auth: Service = site.auth(&NO_CACHE);
    enrol(&mut auth.logged_in().await, None).await;
    let express = site.express(crate::harness::SECRET);
    let mut at_express = Client::new(express.url());
    let mut client = auth.client();
    pending(&mut client).await;
    *at_express.jar_mut() = client.jar().clone();
    assert_eq!(at_express.post("/api/checkin", &at(3, 1)).await.status, 401);
    let mut at_express = Client::new(express.url());
    assert_eq!(log_in(&mut at_express).await.status, 200);
    assert_eq!(auth.client_like(&at_express).get("/session").await.status, 200);
}
