//! A session that something else has ended while a request of it is in progress changes nothing any more,
//! whatever has ended it and whatever it asks for.

use std::time::Duration;

use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
#[cfg(feature = "external-tests")]
use testkit::Proxy;
use testkit::{Client, Method, Response};

#[cfg(feature = "external-tests")]
use crate::authenticator::Passkey;
#[cfg(feature = "external-tests")]
use crate::harness::session_id;
use crate::harness::{
    EMAIL, PASSWORD, PATIENCE, Service, Site, USER, at, expect_plain, log_in, until,
};
use crate::second_factors::{App, enrol};
use crate::under_way::UnderWay;

const OTHER: &str = "another long password";

/// Of [`PASSWORD`]. It takes long to compare.
const SLOW: &str = "$2b$12$UHtyI/tJ1cK5EjTCkQi6gegiRlMJG3j2IG8sAg3PKeYS4OL1izMqC";

/// Nobody waits for leases, as no service caches.
const NO_CACHE: [&str; 2] = ["--session-cache", "0"];

/// The requests of a session that change its account; all but the last one with its password.
const CHANGES: [&str; 6] = [
    "POST /password",
    "DELETE /account",
    "POST /second-factor/recovery-codes",
    "POST /second-factor/remove",
    "POST /second-factor/totp",
    "POST /second-factor/totp/confirm",
];

/// What ends a session from outside.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The owner ends all other sessions.
    Others,
    /// The owner ends this session.
    One,
    /// An administrator ends the sessions of the account.
    Account,
    /// An administrator ends the sessions of everybody.
    Everybody,
    /// An administrator disables the account, and enables it again.
    Disabled,
    /// Another request of the session logs it out.
    Logout,
}

impl End {
    const ALL: [End; 6] =
        [End::Others, End::One, End::Account, End::Everybody, End::Disabled, End::Logout];

    async fn happen(self, site: &Site, owner: &mut Client, ending: &Client) {
        let run = |command, arguments: &[&str]| {
            let ended = site.run(command, arguments);
            assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        };
        match self {
            End::Others => assert_eq!(owner.delete("/sessions").await.status, 200),
            End::One => {
                let listed = owner.get("/sessions").await.json();
                let listed = listed["sessions"].as_array().unwrap();
                let other = listed.iter().find(|session| session["current"] == false).unwrap();
                let path = format!("/sessions/{}", other["handle"].as_str().unwrap());
                assert_eq!(owner.delete(&path).await.status, 204);
            }
            End::Account => run("sessions", &["revoke", "--user", EMAIL]),
            End::Everybody => run("sessions", &["revoke", "--all"]),
            End::Disabled => {
                run("users", &["disable", EMAIL]);
                run("users", &["enable", EMAIL]);
            }
            End::Logout => {
                expect_plain(&ending.clone().post("/logout", &Value::Null).await, 200, "OK");
            }
        }
    }
}

/// Logs in to the account with a recovery code.
async fn enter(auth: &Service, app: &mut App) -> Client {
    let mut client = auth.client();
    let pending = log_in(&mut client).await.json()["pendingLogin"].clone();
    let body = json!({"pendingLogin": pending, "code": app.recovery_codes.pop().unwrap()});
    expect_plain(&client.post("/login/second-factor", &body).await, 200, "OK");
    client
}

/// Sends the head of a request, ends its session, and expects that the whole request is refused.
async fn expect_refused(
    (site, service): (&Site, &Service),
    (owner, ending): (&mut Client, &Client),
    (request, body, end): (&'static str, Value, End),
) {
    let (browser, port) = (service.client_like(ending), service.port());
    let begin = move || UnderWay::of(&browser, port, request, &body);
    let under_way = tokio::task::spawn_blocking(begin).await.unwrap();
    end.happen(site, owner, ending).await;
    let answer = tokio::task::spawn_blocking(move || under_way.finish()).await.unwrap();
    let is_refused = answer.trim_start().starts_with("HTTP/1.1 401 ")
        && answer.ends_with("\r\n\r\nAuthentication required.");
    assert!(is_refused, "{request} {end:?}: {answer}");
}

async fn no_session_ends_before_its_request_is_complete(site: Site) {
    let (auth, receiver) = (site.auth(&NO_CACHE), site.receiver(&NO_CACHE));
    for (end, change) in End::ALL.into_iter().zip(CHANGES) {
        let mut owner = auth.logged_in().await;
        for request in ["PUT /settings", "POST /api/checkin"] {
            let ending = auth.logged_in().await;
            let (service, body) = match request {
                "PUT /settings" => (&auth, json!({"audience": "nobody"})),
                _ => (&receiver, at(1, 3)),
            };
            let case = (request, body, end);
            expect_refused((&site, service), (&mut owner, &ending), case).await;
            owner = auth.logged_in().await;
            assert_eq!(owner.get("/settings").await.json(), json!({"audience": "users"}));
        }
        let mut app = enrol(&mut owner, None).await;
        let mut ending = enter(&auth, &mut app).await;
        let body = body_of(change, &mut app, &mut ending).await;
        let case = (change, body, end);
        expect_refused((&site, &auth), (&mut owner, &ending), case).await;
        expect_unchanged(&site, &auth, &mut app).await;
    }
}

/// Returns the body of a request for a change.
async fn body_of(change: &str, app: &mut App, ending: &mut Client) -> Value {
    let code = app.recovery_codes.pop().unwrap();
    match change {
        "POST /password" => {
            json!({"currentPassword": PASSWORD, "newPassword": OTHER, "code": code})
        }
        "POST /second-factor/totp/confirm" => {
            let body = json!({"currentPassword": PASSWORD, "code": code});
            json!({"code": App::begin(ending, &body).await.next()})
        }
        _ => json!({"currentPassword": PASSWORD, "code": code}),
    }
}

/// The account is there, with its password and its second factor, which is removed for the next case.
async fn expect_unchanged(site: &Site, auth: &Service, app: &mut App) {
    let mut owner = enter(auth, app).await;
    let state = owner.get("/second-factor").await.json();
    let left = state["recoveryCodes"].as_u64().unwrap();
    assert!(state["totp"] == true && [7, 8].contains(&left), "{state}");
    let reset = site.run("users", &["second-factor", "remove", EMAIL]);
    assert_eq!(reset.code, 0, "{}", reset.stderr);
}

#[tokio::test]
async fn no_session_ends_before_its_request_is_complete_on_sqlite() {
    no_session_ends_before_its_request_is_complete(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_session_ends_before_its_request_is_complete_on_redis() {
    no_session_ends_before_its_request_is_complete(Site::redis()).await;
}

fn set_password(site: &Site, hash: &str) {
    match site.store.strip_prefix("sqlite:") {
        Some(file) => {
            let store = Connection::open(file).unwrap();
            store.busy_timeout(PATIENCE).unwrap();
            let update = format!("UPDATE accounts SET password = ?1 WHERE id = {USER}");
            assert_eq!(store.execute(&update, [hash]).unwrap(), 1);
        }
        None => {
            let _: i64 = site.redis_cli(&["HSET", &format!("ncc:user:{USER}"), "password", hash]);
        }
    }
}

/// Ends a session while the password of its request is compared, and expects that the request is refused and changes
/// nothing. If the machine is so busy that the session ends too late, the case is repeated with another store.
async fn expect_refused_meanwhile(
    start: fn() -> Site,
    deployment: &mut Option<(Service, Site)>,
    (end, request): (End, &str),
    body: impl AsyncFn(&mut App, &mut Client) -> Value,
) {
    for is_last in [false, false, false, false, true] {
        let (auth, site) = deployment.get_or_insert_with(|| {
            let site = start();
            (site.auth(&NO_CACHE), site)
        });
        let mut owner = auth.logged_in().await;
        let mut app = enrol(&mut owner, None).await;
        let mut ending = enter(auth, &mut app).await;
        let body = body(&mut app, &mut ending).await;
        set_password(site, SLOW);
        let (method, path) = request.split_once(' ').unwrap();
        let same = ending.clone();
        let answer = ending.request(method.parse().unwrap(), path).json(&body).send();
        let end_it = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            end.happen(site, &mut owner, &same).await;
        };
        let (answer, ()) = tokio::join!(answer, end_it);
        if answer.status == 401 || answer.status >= 500 || is_last {
            let case = format!("{request} {body} {end:?}");
            assert_eq!((answer.status, answer.text()), (401, "Authentication required."), "{case}");
            return expect_unchanged(site, auth, &mut app).await;
        }
        *deployment = None;
    }
}

async fn no_session_that_has_ended_changes_anything(start: fn() -> Site) {
    let mut deployment = None;
    for end in [End::Others, End::One] {
        for change in &CHANGES[..5] {
            let body =
                async |app: &mut App, ending: &mut Client| body_of(change, app, ending).await;
            expect_refused_meanwhile(start, &mut deployment, (end, change), body).await;
        }
    }
}

#[tokio::test]
async fn no_session_that_has_ended_changes_anything_on_sqlite() {
    no_session_that_has_ended_changes_anything(Site::sqlite).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_session_that_has_ended_changes_anything_on_redis() {
    no_session_that_has_ended_changes_anything(Site::redis).await;
}

/// Nor does it learn whether what it gave is right.
async fn no_session_that_has_ended_learns_anything(start: fn() -> Site) {
    let new = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    let confirmed = |current: &str, code: &str| json!({"currentPassword": current, "code": code});
    let mut deployment = None;
    for (end, request, body) in [
        (End::One, "POST /password", new("wrong", OTHER)),
        (End::Logout, "POST /password", new(PASSWORD, "short")),
        (End::One, "POST /password", new(PASSWORD, OTHER)),
        (End::Logout, "POST /second-factor/remove", confirmed("wrong", "000000")),
        (End::One, "POST /second-factor/remove", confirmed(PASSWORD, "000000")),
        (End::Logout, "POST /second-factor/remove", json!({"currentPassword": PASSWORD})),
    ] {
        let body = async |_: &mut App, _: &mut Client| body.clone();
        expect_refused_meanwhile(start, &mut deployment, (end, request), body).await;
    }
}

#[tokio::test]
async fn no_session_that_has_ended_learns_anything_on_sqlite() {
    no_session_that_has_ended_learns_anything(Site::sqlite).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_session_that_has_ended_learns_anything_on_redis() {
    no_session_that_has_ended_learns_anything(Site::redis).await;
}

/// Nor how often it has tried, or what it has begun. The session ends when the service has read it, and nothing else.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_session_that_has_ended_learns_how_far_it_came() {
    let site = Site::redis().without_logins();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let url = ["--public-url", "http://localhost:8443"];
    let near = site.auth(&[&NO_CACHE[..], &url].concat());
    let far = site.auth(&[&NO_CACHE[..], &url, &["--store", &store]].concat());
    let mut owner = near.logged_in().await;
    let asked = json!({"currentPassword": PASSWORD});
    let options = owner.post("/second-factor/passkeys", &asked).await.json();
    let answer = Passkey::new(url[1]).create(&options);
    let wrong = json!({"currentPassword": "wrong", "newPassword": OTHER});
    for (path, body, status) in [
        ("/second-factor/totp/confirm", json!({"code": "123456"}), 400),
        ("/second-factor/passkeys/confirm", json!({"name": "phone", "passkey": answer}), 400),
        ("/second-factor/passkeys/none/remove", asked, 404),
        ("/password", wrong, 429),
    ] {
        let mut ending = far.logged_in().await;
        for _ in 0..5 * usize::from(status == 429) {
            assert_eq!(ending.post(path, &body).await.status, 400);
        }
        // On a slow machine, the first wait may be over.
        until(path, async || ending.post(path, &body).await, |before| before.status == status)
            .await;
        // The answer to the first read of the session is held back.
        proxy.freeze_before(b"\"user\":\"");
        let same = near.client_like(&ending);
        let end_it = async {
            testkit::until("the session is read", async || proxy.is_frozen()).await;
            End::Logout.happen(&site, &mut owner, &same).await;
            proxy.thaw();
        };
        let (answer, ()) = tokio::join!(ending.post(path, &body), end_it);
        assert_eq!((answer.status, answer.text()), (401, "Authentication required."), "{path}");
    }
}

/// An Express service may give a session to another account.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn no_session_changes_the_account_that_it_belonged_to() {
    let site = Site::redis().without_logins();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let auth = site.auth(&[&NO_CACHE[..], &["--store", &store]].concat());
    let mut session = auth.logged_in().await;
    proxy.freeze_before(b"\"user\":\"");
    let key = format!("ncc:session:{}", session_id(&session));
    let replace = async {
        testkit::until("the session is read", async || proxy.is_frozen()).await;
        let of_another = site.redis_cli::<String>(&["GET", &key]).replace(EMAIL, "bo@example.com");
        site.redis_cli::<()>(&["SET", &key, &of_another, "KEEPTTL"]);
        proxy.thaw();
    };
    let change = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    let (answer, ()) = tokio::join!(session.post("/password", &change), replace);
    assert_eq!((answer.status, answer.text()), (401, "Authentication required."));
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
}

/// Of a deletion of the account and an end of all other sessions, which come from two sessions at the same time, only the
/// first takes place.
async fn a_deletion_and_an_end_of_the_sessions_are_one_after_the_other(site: Site) {
    let auth = site.auth(&["--session-cache", "0", "--register-rate", "0"]);
    let mut deletions = 0;
    for offset in (0..60).step_by(3) {
        let email = format!("bo{offset}@example.com");
        let account = json!({
            "firstName": "Bo", "lastName": "Berg", "email": email, "password": OTHER,
        });
        assert_eq!(auth.client().post("/register", &account).await.status, 201);
        let login = json!({"email": email, "password": OTHER});
        let (mut owner, mut other) = (auth.client(), auth.client());
        for client in [&mut owner, &mut other] {
            expect_plain(&client.post("/login", &login).await, 200, "OK");
        }
        let end = async {
            tokio::time::sleep(Duration::from_millis(offset)).await;
            owner.delete("/sessions").await
        };
        let (deleted, ended) = tokio::join!(delete(&mut other), end);
        let statuses = (deleted.status, ended.status);
        assert!([(200, 401), (401, 200)].contains(&statuses), "{statuses:?} after {offset} ms");
        deletions += usize::from(deleted.status == 200);
        let status = if deleted.status == 200 { 401 } else { 200 };
        assert_eq!(auth.client().post("/login", &login).await.status, status);
    }
    eprintln!("{deletions} of 20 accounts were deleted");
}

async fn delete(client: &mut Client) -> Response {
    let request = client.request(Method::DELETE, "/account");
    request.json(&json!({"currentPassword": OTHER})).send().await
}

#[tokio::test]
async fn a_deletion_and_an_end_of_the_sessions_are_one_after_the_other_on_sqlite() {
    a_deletion_and_an_end_of_the_sessions_are_one_after_the_other(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_deletion_and_an_end_of_the_sessions_are_one_after_the_other_on_redis() {
    a_deletion_and_an_end_of_the_sessions_are_one_after_the_other(Site::redis()).await;
}
