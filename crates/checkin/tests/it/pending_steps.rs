//! The tokens of messages end with the sessions of the account, and what is answered about an address does not
//! depend on the account.

use serde_json::{Value, json};

use crate::harness::{EMAIL, Ended, Site, expect_plain, expect_problem};
use crate::mail::{Post, forget, reset, token};
use crate::operators::run_with_input;

const OTHER: &str = "another long password";

/// Ends the sessions of the account with this address.
type Ending<'a> = &'a dyn Fn(&str) -> Vec<Ended>;

/// Returns addresses of accounts of the demo data.
fn emails(site: &Site) -> Vec<String> {
    let users = site.run("users", &["list", "--json"]).stdout;
    let users = users.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    users.map(|user| user["email"].as_str().unwrap().to_owned()).collect()
}

/// Whatever ends the sessions of an account ends the token with which its password could be reset.
async fn a_reset_ends_with_the_sessions(site: Site) {
    let post = Post::new();
    let auth = post.auth(&site);
    let endings: [(&str, Ending<'_>); 6] = [
        ("passwd", &|email| vec![run_with_input(&site, &["users", "passwd", email], OTHER)]),
        ("delete", &|email| vec![site.run("users", &["delete", email])]),
        ("disable", &|email| {
            vec![site.run("users", &["disable", email]), site.run("users", &["enable", email])]
        }),
        ("role", &|email| vec![site.run("users", &["role", email, "operator"])]),
        ("revoke --user", &|email| vec![site.run("sessions", &["revoke", "--user", email])]),
        ("revoke --all", &|_| vec![site.run("sessions", &["revoke", "--all"])]),
    ];
    for ((name, end), email) in endings.iter().zip(emails(&site)) {
        expect_plain(&forget(&auth, &email).await, 202, "OK");
        let token = token(&post.wait_for(&email, 1)[0]);
        for ended in end(&email) {
            assert_eq!(ended.code, 0, "{name}: {}", ended.stderr);
        }
        let late = reset(&auth, &token, "a password of somebody else").await;
        expect_problem(&late, 400, &["token"]);
        let login = json!({"email": email, "password": "a password of somebody else"});
        expect_plain(&auth.client().post("/login", &login).await, 401, "Invalid login.");
    }
}

#[tokio::test]
async fn a_reset_ends_with_the_sessions_on_sqlite() {
    a_reset_ends_with_the_sessions(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_reset_ends_with_the_sessions_on_redis() {
    a_reset_ends_with_the_sessions(Site::redis()).await;
}

/// The store does not respond, so whatever is answered was found out without it: the work before the answer
/// cannot depend on whether the address has an account.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn what_is_answered_about_an_address_needs_no_store() {
    use crate::harness::PASSWORD;
    use crate::mail::seen;

    let (site, post) = (Site::redis(), Post::new());
    let auth = post.auth(&site);
    let disabled = emails(&site).into_iter().find(|email| email != EMAIL).unwrap();
    assert_eq!(site.run("users", &["disable", &disabled]).code, 0);
    let register = async |email: &str, password: &str| {
        let new = json!({"firstName": "E", "lastName": "E", "email": email, "password": password});
        auth.client().post("/register", &new).await
    };
    site.server().pause();
    for (email, other) in [(EMAIL, "nobody@example.com"), (&*disabled, "eve@new.example")] {
        let known = forget(&auth, email).await;
        expect_plain(&known, 202, "OK");
        assert_eq!(seen(&known), seen(&forget(&auth, other).await));
        let known = register(email, OTHER).await;
        expect_plain(&known, 202, "OK");
        assert_eq!(seen(&known), seen(&register(other, OTHER).await));
        let known = register(email, "short").await;
        expect_problem(&known, 400, &["password"]);
        assert_eq!(seen(&known), seen(&register(other, "short").await));
    }
    // A login does need it.
    let login = json!({"email": EMAIL, "password": PASSWORD});
    assert_eq!(auth.client().post("/login", &login).await.status, 503);
    site.server().resume();
}
