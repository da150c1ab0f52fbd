//! The walk-through that every reader of the documentation tries first, each service a process of
//! its own.

use redis::Value as Reply;
use testkit::{Method, Stream};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PATIENCE, Service, Site, accepted, at, expect_plain, log_in, session_id,
};

const NO_SESSION: &str = "Rejecting checkin - no valid user session found.";

#[tokio::test]
async fn on_sqlite() {
    let site = Site::sqlite();
    walk(&site, |_, _| {}).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn on_redis() {
    let site = Site::redis();
    walk(&site, |client, checkin| {
        let expected = format!(
            r#"{{"cookie":{{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}},"user":"{EMAIL}"}}"#
        );
        assert_eq!(site.session_value(client), Some(expected));
        let ttl: i64 = site.redis_cli(&["TTL", &format!("ncc:session:{}", session_id(client))]);
        assert!((1..=86_400).contains(&ttl), "{ttl}");
        let entries: Vec<(String, Vec<String>)> =
            site.redis_cli(&["XRANGE", "ncc:checkins", checkin, checkin]);
        let fields = ["userId", "77", "locationId", "2", "starRating", "5"];
        assert_eq!(entries, [(checkin.to_owned(), fields.map(str::to_owned).to_vec())]);
    })
    .await;
    let left: Vec<String> = site.redis_cli(&["KEYS", "ncc:session:*"]);
    assert_eq!(left, Vec::<String>::new());
}

/// `look` is called when somebody is logged in and has checked in.
async fn walk(site: &Site, look: impl Fn(&testkit::Client, &str)) {
    let auth = site.auth(&[]);
    let receiver = site.receiver(&["auth", "--log-level", "debug"]);
    enabled(&receiver);

    let refused = receiver.client().post(CHECKIN, &at(2, 5)).await;
    expect_plain(&refused, 401, "Authentication required.");
    assert_eq!(refused.set_cookies(), Vec::<String>::new());
    receiver.program.wait_for_line(NO_SESSION, PATIENCE);

    let mut at_auth = auth.client();
    let login = log_in(&mut at_auth).await;
    expect_plain(&login, 200, "OK");
    let cookies = login.set_cookies();
    let [cookie, device] = cookies.as_slice() else { panic!("{cookies:?}") };
    assert!(device.starts_with("checkin_device="), "{device}");
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert!(value.starts_with("checkinapp=s%3A"), "{cookie}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");

    let mut at_receiver = receiver.client_like(&at_auth);
    let checkin = accepted(&at_receiver.post(CHECKIN, &at(2, 5)).await);
    look(&at_auth, &checkin);

    let account = at_auth.get("/session").await;
    assert_eq!(account.status, 200);
    let account = account.json();
    assert_eq!(account["user"]["id"], 77);
    assert_eq!(account["user"]["firstName"], "Al");
    assert_eq!(account["user"]["lastName"], "Appelhof");
    assert_eq!(account["user"]["email"], EMAIL);
    assert!(!account.to_string().contains("password"), "{account}");

    let logout = at_auth.post("/logout", &serde_json::Value::Null).await;
    expect_plain(&logout, 200, "OK");
    assert!(logout.set_cookies()[0].starts_with("checkinapp=;"), "{:?}", logout.set_cookies());
    assert_eq!(at_auth.jar().get(COOKIE), None, "the cookie is cleared");
    let again = at_receiver.post(CHECKIN, &at(2, 4)).await;
    expect_plain(&again, 401, "Authentication required.");
}

fn enabled(receiver: &Service) {
    let line = "Authentication enabled, checkins require a valid user session.";
    receiver.program.wait_for_line(line, PATIENCE);
    assert!(receiver.program.text(Stream::Stderr).is_empty(), "log lines go to stdout");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn logout_by_get_clears_the_session_too() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let mut client = auth.logged_in().await;
    let id = session_id(&client);
    expect_plain(&client.get("/logout").await, 200, "OK");
    assert_eq!(client.jar().get(COOKIE), None);
    assert_eq!(site.redis_cli::<Reply>(&["GET", &format!("ncc:session:{id}")]), Reply::Nil);
    // Nobody is logged in: there is nothing to end, and that is no error.
    expect_plain(&client.get("/logout").await, 200, "OK");
    expect_plain(&client.request(Method::POST, "/logout").send().await, 200, "OK");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn without_authentication_check_ins_need_no_session() {
    let site = Site::redis();
    let receiver = site.receiver(&["--no-auth"]);
    let line = "Authentication disabled, checkins do not require a valid user session.";
    receiver.program.wait_for_line(line, PATIENCE);
    let response = receiver.client().post(CHECKIN, &at(2, 5)).await;
    accepted(&response);
    assert_eq!(response.set_cookies(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rejected_check_in_is_logged_at_debug_level_only() {
    let site = Site::sqlite();
    let mut receiver = site.receiver(&[]);
    expect_plain(
        &receiver.client().post(CHECKIN, &at(2, 5)).await,
        401,
        "Authentication required.",
    );
    receiver.program.stop();
    assert!(!receiver.program.text(Stream::Stdout).contains(NO_SESSION));
}
