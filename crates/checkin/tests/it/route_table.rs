//! Every route, and who may use it. A route that has no row here fails the test.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Client, Method, signature};

use crate::harness::{
    COOKIE, EMAIL, PASSWORD, SECRET, Service, Site, at, expect_plain, session_id,
};

/// Whom a route serves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Access {
    /// Everybody; a cookie that is no session is ignored.
    Public,
    /// Everybody who is logged in.
    LoggedIn,
    /// Everybody who is logged in to an account of their own; the demo account, which all visitors of the console
    /// share, gets 403.
    NotShared,
    /// Only the user whose data it is; another user gets 403.
    Owner,
    /// Only an operator; a user gets 403.
    Operator,
}
use Access::{LoggedIn, NotShared, Operator, Owner, Public};

/// The routes of the console, which has those of all services: method, path in the document, path to ask
/// for, who may, and the status for those who may.
const ROUTES: [(&str, &str, &str, Access, u16); 64] = [
    // Without a body, so that nobody deletes an account here.
    ("DELETE", "/account", "/account", LoggedIn, 415),
    ("GET", "/accounts/{id}", "/accounts/80", Operator, 200),
    ("POST", "/accounts/{id}/disable", "/accounts/80/disable", Operator, 204),
    ("POST", "/accounts/{id}/enable", "/accounts/80/enable", Operator, 204),
    ("DELETE", "/accounts/{id}/sessions", "/accounts/80/sessions", Operator, 200),
    ("GET", "/accounts/{id}/sessions", "/accounts/80/sessions", Operator, 200),
    ("DELETE", "/accounts/{id}/sessions/{handle}", "/accounts/80/sessions/none", Operator, 404),
    ("POST", "/api/checkin", "/api/checkin", Owner, 202),
    // A check-in of somebody else is answered as one that does not exist.
    ("DELETE", "/api/checkin/{id}", "/api/checkin/1-1", LoggedIn, 404),
    ("GET", "/api/checkins/latest", "/api/checkins/latest", LoggedIn, 200),
    // The stream itself would not end.
    ("GET", "/api/checkins/stream", "/api/checkins/stream?x=1", LoggedIn, 400),
    ("GET", "/api/checkins/{start}/{end}", "/api/checkins/1/2", LoggedIn, 200),
    ("GET", "/api/location/{id}", "/api/location/1", Public, 200),
    ("GET", "/api/location/{id}/details", "/api/location/1/details", Public, 200),
    ("GET", "/api/location/{id}/hours/{day}", "/api/location/1/hours/0", Public, 200),
    ("GET", "/api/location/{id}/visitors", "/api/location/1/visitors", LoggedIn, 200),
    ("GET", "/api/location/{id}/weather", "/api/location/1/weather", Public, 503),
    ("GET", "/api/locations/bycategory/{category}", "/api/locations/bycategory/cafe", Public, 200),
    ("GET", "/api/locations/bycheckins", "/api/locations/bycheckins", Public, 200),
    ("GET", "/api/locations/search", "/api/locations/search?q=a", Public, 200),
    ("GET", "/api/locations/{lat}/{lng}/{radius}", "/api/locations/37.8/-122.2/9", Public, 200),
    ("GET", "/api/user/email/{email}", "/api/user/email/al.appelhof@example.com", LoggedIn, 200),
    ("GET", "/api/user/{id}", "/api/user/77", LoggedIn, 200),
    ("GET", "/api/user/{id}/checkins", "/api/user/77/checkins", Owner, 200),
    ("GET", "/api/user/{id}/checkins/export", "/api/user/77/checkins/export", Owner, 200),
    ("GET", "/api/user/{id}/fullname", "/api/user/77/fullname", LoggedIn, 200),
    ("GET", "/api/user/{id}/statistics", "/api/user/77/statistics", Owner, 200),
    ("GET", "/api/users/at/{locationId}", "/api/users/at/1", LoggedIn, 200),
    ("GET", "/api/users/bycheckins", "/api/users/bycheckins", LoggedIn, 200),
    ("GET", "/api/users/recent", "/api/users/recent", LoggedIn, 200),
    ("GET", "/healthz", "/healthz", Public, 200),
    // Without a body, so that nobody logs in, registers or changes a password here.
    ("POST", "/login", "/login", Public, 415),
    ("POST", "/login/second-factor", "/login/second-factor", Public, 415),
    // Without passkeys.
    ("POST", "/login/second-factor/challenge", "/login/second-factor/challenge", Public, 404),
    ("GET", "/metrics", "/metrics", Public, 200),
    ("GET", "/operations/dead-letters", "/operations/dead-letters", Operator, 200),
    ("POST", "/operations/dead-letters/replay", "/operations/dead-letters/replay", Operator, 200),
    ("GET", "/operations/doctor", "/operations/doctor", Operator, 200),
    ("GET", "/operations/overview", "/operations/overview", Operator, 200),
    ("GET", "/operations/security-events", "/operations/security-events", Operator, 200),
    ("POST", "/password", "/password", LoggedIn, 415),
    // Without mail.
    ("POST", "/password/forgotten", "/password/forgotten", Public, 404),
    ("POST", "/password/reset", "/password/reset", Public, 404),
    ("POST", "/password/reset/challenge", "/password/reset/challenge", Public, 404),
    ("GET", "/readyz", "/readyz", Public, 200),
    ("POST", "/register", "/register", Public, 415),
    ("POST", "/register/confirm", "/register/confirm", Public, 404),
    ("GET", "/second-factor", "/second-factor", LoggedIn, 200),
    ("POST", "/second-factor/challenge", "/second-factor/challenge", LoggedIn, 404),
    ("POST", "/second-factor/passkeys", "/second-factor/passkeys", LoggedIn, 404),
    ("POST", "/second-factor/passkeys/confirm", "/second-factor/passkeys/confirm", LoggedIn, 404),
    (
        "POST",
        "/second-factor/passkeys/{handle}/remove",
        "/second-factor/passkeys/none/remove",
        LoggedIn,
        415,
    ),
    ("POST", "/second-factor/recovery-codes", "/second-factor/recovery-codes", LoggedIn, 415),
    ("POST", "/second-factor/remove", "/second-factor/remove", LoggedIn, 415),
    ("POST", "/second-factor/totp", "/second-factor/totp", LoggedIn, 415),
    ("POST", "/second-factor/totp/confirm", "/second-factor/totp/confirm", LoggedIn, 415),
    ("GET", "/session", "/session", LoggedIn, 200),
    ("GET", "/sessions", "/sessions", LoggedIn, 200),
    ("GET", "/settings", "/settings", LoggedIn, 200),
    ("PUT", "/settings", "/settings", LoggedIn, 415),
    ("DELETE", "/sessions/{handle}", "/sessions/none", NotShared, 404),
    // These end sessions, so they come last.
    ("DELETE", "/sessions", "/sessions", NotShared, 200),
    ("POST", "/logout", "/logout", Public, 200),
    ("GET", "/logout", "/logout", Public, 200),
];

/// The status of an answer, and whether it set a cookie or told anything of an account.
async fn ask(client: &mut Client, method: &str, path: &str) -> (u16, String) {
    let mut request = client.request(method.parse().unwrap(), path);
    if path == "/api/checkin" {
        request = request.json(&at(2, 5));
    }
    let response = request.send().await;
    (response.status, String::from_utf8_lossy(&response.body).into_owned())
}

/// The browsers of those who have no session that counts.
async fn outsiders(site: &Site, console: &Service) -> Vec<(&'static str, Client)> {
    let with = |value: &str| {
        let mut client = console.client();
        client.jar_mut().set(COOKIE, value);
        client
    };
    // Its session is gone from the store, as after its time to live.
    let expired = console.logged_in().await;
    let key = format!("ncc:session:{}", session_id(&expired));
    assert_eq!(site.redis_cli::<u64>(&["DEL", &key]), 1);
    // Its session was ended by its user from elsewhere.
    let revoked = console.logged_in().await;
    // Not at the console, where visitors share this account.
    let neighbour = site.auth(&[]);
    let mut elsewhere = neighbour.logged_in().await;
    assert_eq!(elsewhere.delete("/sessions").await.status, 200);
    // Its owner logged out, and somebody had kept the cookie.
    let mut gone = console.logged_in().await;
    let kept = gone.clone();
    expect_plain(&gone.post("/logout", &json!({})).await, 200, "OK");
    let forged = signature::sign(&session_id(&elsewhere), "another secret");
    let invented = signature::sign("an-id-that-was-never-given-out-00", SECRET);
    vec![
        ("anonymous", console.client()),
        ("expired", expired),
        ("revoked", revoked),
        ("logged out", kept),
        ("forged", with(&signature::encode(&forged))),
        ("invented", with(&signature::encode(&invented))),
    ]
}

/// The browser of another user of the demo.
async fn other_user(site: &Site, console: &Service, id: &str) -> Client {
    let email: String = site.redis_cli(&["HGET", &format!("ncc:user:{id}"), "email"]);
    let mut client = console.client();
    let login = json!({"email": email, "password": PASSWORD});
    expect_plain(&client.post("/login", &login).await, 200, "OK");
    client
}

#[tokio::test]
async fn every_route_has_its_users() {
    let site = Site::redis();
    let console = site.console(&["--duplicate-window", "0"]);
    let document: Value = console.client().get("/openapi.json").await.json();
    let methods = |(path, methods): (&String, &Value)| -> Vec<(String, String)> {
        let names = methods.as_object().unwrap().keys();
        names.map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    let documented: BTreeSet<_> =
        document["paths"].as_object().unwrap().iter().flat_map(methods).collect();
    let rows = ROUTES.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
    assert_eq!(documented, rows, "the routes and the rows of the table");

    let outsiders = outsiders(&site, &console).await;
    let mut flaws = Vec::new();
    for (who, mut client) in outsiders {
        let before = site.counts();
        for (method, _, path, access, allowed) in ROUTES {
            let (status, text) = ask(&mut client.clone(), method, path).await;
            let expected = if access == Public { allowed } else { 401 };
            let tells = text.contains(EMAIL) || text.contains("$argon2");
            if status != expected || tells {
                flaws.push(format!("{who}: {method} {path}: {status} {text:.200}"));
            }
        }
        assert_eq!(site.counts(), before, "{who} changed something");
        assert_eq!(client.get("/session").await.status, 401, "{who}");
    }
    assert_eq!(site.run("users", &["role", "79", "operator"]).code, 0);
    let mut insiders = [
        ("the user", console.logged_in().await),
        ("another", other_user(&site, &console, "78").await),
        ("an operator", other_user(&site, &console, "79").await),
    ];
    for (who, client) in &mut insiders {
        for (method, _, path, access, allowed) in ROUTES {
            let is_own = *who == "the user";
            let is_allowed = match access {
                Public | LoggedIn => true,
                NotShared => !is_own,
                Owner => is_own,
                Operator => *who == "an operator",
            };
            let expected = if is_allowed { allowed } else { 403 };
            let (status, text) = ask(client, method, path).await;
            // Only its owner sees an address, and nobody a hash.
            let tells = !is_own && text.contains(EMAIL) || text.contains("$argon2");
            if status != expected || tells {
                flaws.push(format!("{who}: {method} {path}: {status} {text:.200}"));
            }
        }
        let after = client.request(Method::GET, "/session").send().await;
        assert_eq!(after.status, 401, "{who} has logged out");
    }
    assert_eq!(flaws, [""; 0]);
}
