//! Passkeys as a second factor.

#[cfg(feature = "external-tests")]
use std::process::Command;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Response};

use crate::authenticator::Passkey;
#[cfg(feature = "external-tests")]
use crate::document::{openapi_directory, run};
use crate::harness::{
    COOKIE, EMAIL, PASSWORD, PATIENCE, Service, Site, expect_plain, expect_problem, log_in,
};
use crate::second_factors::{App, codes, enrol_after};

const ORIGIN: &str = "http://localhost:8443";

/// Nobody waits for leases, as no service caches.
const ON: [&str; 4] = ["--session-cache", "0", "--public-url", "http://localhost:8443/app"];

const LOGIN: &str = "/login/second-factor";
const NEW: &str = "/second-factor/passkeys";

fn confirmation(proof: Option<(&str, Value)>) -> Value {
    let mut body = json!({"currentPassword": PASSWORD});
    if let Some((kind, proof)) = proof {
        body[kind] = proof;
    }
    body
}

/// The options of a challenge, or of a new passkey.
async fn options(client: &mut Client, path: &str, body: &Value) -> Value {
    let response = client.post(path, body).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

async fn begin(owner: &mut Client, proof: Option<(&str, Value)>) -> Value {
    options(owner, NEW, &confirmation(proof)).await
}

async fn confirm(owner: &mut Client, name: &str, credential: &Value) -> Response {
    let body = json!({"name": name, "passkey": credential});
    owner.post("/second-factor/passkeys/confirm", &body).await
}

/// Adds the first passkey of an account, of a page of this origin.
pub(crate) async fn add_passkey(owner: &mut Client, origin: &str) -> Passkey {
    let passkey = Passkey::new(origin);
    let created = passkey.create(&begin(owner, None).await);
    assert_eq!(codes(&confirm(owner, "phone", &created).await).len(), 10);
    passkey
}

/// Adds a passkey. Returns it with the recovery codes that came with it.
async fn add(owner: &mut Client, proof: Option<(&str, Value)>) -> (Passkey, Vec<String>) {
    let options = begin(owner, proof).await;
    let passkey = Passkey::new(ORIGIN);
    let confirmed = confirm(owner, "phone", &passkey.create(&options)).await;
    (passkey, codes(&confirmed))
}

/// A challenge for a change by a logged-in session.
async fn challenge(owner: &mut Client) -> Value {
    options(owner, "/second-factor/challenge", &Value::Null).await
}

/// Gives the password, and returns the token of the pending login.
async fn pending(client: &mut Client, methods: &[&str]) -> String {
    let response = log_in(client).await;
    expect_problem(&response, 401, &[]);
    assert_eq!(response.json()["methods"], json!(methods));
    response.json()["pendingLogin"].as_str().unwrap().to_owned()
}

async fn challenge_of(client: &mut Client, token: &str) -> Value {
    options(client, "/login/second-factor/challenge", &json!({"pendingLogin": token})).await
}

async fn answer(client: &mut Client, token: &str, passkey: &Value) -> Response {
    client.post(LOGIN, &json!({"pendingLogin": token, "passkey": passkey})).await
}

async fn log_in_with(client: &mut Client, passkey: &mut Passkey) -> Response {
    let token = pending(client, &["passkey", "recovery"]).await;
    let options = challenge_of(client, &token).await;
    answer(client, &token, &passkey.get(&options)).await
}

async fn passkeys(owner: &mut Client) -> Vec<Value> {
    owner.get("/second-factor").await.json()["passkeys"].as_array().unwrap().clone()
}

async fn a_passkey_is_a_second_factor(site: Site) {
    let auth = site.auth(&ON);
    let (mut owner, mut other) = (auth.logged_in().await, auth.logged_in().await);
    expect_problem(&owner.post("/second-factor/challenge", &Value::Null).await, 404, &[]);
    let (mut passkey, recovery_codes) = add(&mut owner, None).await;
    assert_eq!(recovery_codes.len(), 10);
    expect_plain(&other.get("/session").await, 401, "Authentication required.");
    let listed = passkeys(&mut owner).await;
    assert_eq!((&listed[0]["name"], &listed[0]["lastUsed"]), (&json!("phone"), &Value::Null));

    // Nobody is logged in before the answer.
    let mut client = auth.client();
    let token = pending(&mut client, &["passkey", "recovery"]).await;
    let asked = challenge_of(&mut client, &token).await;
    assert_eq!(asked["publicKey"]["rpId"], "localhost");
    assert_eq!(asked["publicKey"]["userVerification"], "preferred");
    expect_plain(&client.get("/session").await, 401, "Authentication required.");
    let given = passkey.get(&asked);
    let response = answer(&mut client, &token, &given).await;
    expect_plain(&response, 200, "OK");
    assert!(response.set_cookies()[0].starts_with(&format!("{COOKIE}=")));
    assert!(response.set_cookies()[1].starts_with("checkin_device="));
    expect_plain(&answer(&mut client, &token, &given).await, 401, "Invalid login.");
    let listed = passkeys(&mut client).await;
    assert!(listed[0]["lastUsed"].as_u64() >= listed[0]["since"].as_u64(), "{listed:?}");
    expect_plain(&log_in_with(&mut auth.client(), &mut passkey).await, 200, "OK");

    // A change needs it, and each kind of proof serves for each change.
    let without = owner.post("/second-factor/totp", &confirmation(None)).await;
    expect_problem(&without, 403, &[]);
    assert_eq!(without.json()["methods"], json!(["passkey", "recovery"]));
    let proof = passkey.get(&challenge(&mut owner).await);
    let both = json!({"currentPassword": PASSWORD, "code": "123456", "passkey": proof});
    expect_problem(&owner.post("/second-factor/totp", &both).await, 400, &["passkey"]);
    let app = enrol_after(&mut owner, &confirmation(Some(("passkey", proof)))).await;
    pending(&mut auth.client(), &["totp", "passkey", "recovery"]).await;
    let (mut second, none) = add(&mut owner, Some(("code", app.next().into()))).await;
    assert_eq!(none, [""; 0]);
    let listed = passkeys(&mut owner).await;
    assert_eq!(listed.len(), 2);
    let shown = site.run("users", &["second-factor", "show", EMAIL]).stdout;
    assert_eq!(shown, "user 77: authenticator app, 2 passkeys, 10 recovery codes\n");
    let proof = second.get(&challenge(&mut owner).await);
    let new = json!({"currentPassword": PASSWORD, "newPassword": PASSWORD, "passkey": proof});
    expect_plain(&owner.post("/password", &new).await, 200, "OK");

    // The one that is left opens the account.
    let remove = |handle: &Value| format!("{NEW}/{}/remove", handle.as_str().unwrap());
    let handle = remove(&listed[0]["handle"]);
    expect_problem(&owner.post(&handle, &confirmation(None)).await, 403, &[]);
    let proof = second.get(&challenge(&mut owner).await);
    let confirmed = confirmation(Some(("passkey", proof)));
    expect_plain(&owner.post(&handle, &confirmed).await, 200, "OK");
    expect_problem(&owner.post(&handle, &confirmed).await, 404, &[]);
    let mut client = auth.client();
    let token = pending(&mut client, &["totp", "passkey", "recovery"]).await;
    let asked = challenge_of(&mut client, &token).await;
    expect_plain(&answer(&mut client, &token, &passkey.get(&asked)).await, 401, "Invalid login.");
    let asked = challenge_of(&mut client, &token).await;
    expect_plain(&answer(&mut client, &token, &second.get(&asked)).await, 200, "OK");

    // Without them, logins are as before.
    assert_eq!(site.run("users", &["second-factor", "remove", EMAIL]).code, 0);
    auth.logged_in().await;
}

#[tokio::test]
async fn a_passkey_is_a_second_factor_on_sqlite() {
    a_passkey_is_a_second_factor(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_passkey_is_a_second_factor_on_redis() {
    a_passkey_is_a_second_factor(Site::redis()).await;
}

#[tokio::test]
async fn the_last_passkey_takes_the_second_factor_with_it() {
    let site = Site::sqlite();
    let auth = site.auth(&ON);
    let mut owner = auth.logged_in().await;
    let (mut passkey, _) = add(&mut owner, None).await;
    // A login that waits for it ends with it.
    let mut waiting = auth.client();
    let token = pending(&mut waiting, &["passkey", "recovery"]).await;
    let asked = challenge_of(&mut waiting, &token).await;
    let proof = passkey.get(&challenge(&mut owner).await);
    let handle = passkeys(&mut owner).await[0]["handle"].clone();
    let path = format!("{NEW}/{}/remove", handle.as_str().unwrap());
    let removed = owner.post(&path, &confirmation(Some(("passkey", proof)))).await;
    expect_plain(&removed, 200, "OK");
    let late = answer(&mut waiting, &token, &passkey.get(&asked)).await;
    expect_plain(&late, 401, "Invalid login.");
    let state = owner.get("/second-factor").await.json();
    assert_eq!(state, json!({"totp": false, "passkeys": [], "recoveryCodes": 0}));
    auth.logged_in().await;
}

async fn an_answer_serves_once_and_for_what_it_was_asked_for(site: Site) {
    let (one, two) = (site.auth(&ON), site.auth(&ON));
    let mut owner = one.logged_in().await;
    let (mut passkey, _) = add(&mut owner, None).await;
    let token = async |service: &Service| {
        let mut client = service.client();
        let token = pending(&mut client, &["passkey", "recovery"]).await;
        (client, token)
    };

    // Of many answers to one challenge, in two processes, one is accepted.
    let (mut client, first) = token(&one).await;
    let asked = challenge_of(&mut client, &first).await;
    let given: Vec<_> = (0..4).map(|_| passkey.get(&asked)).collect();
    let sent = given.iter().zip([&one, &two, &one, &two]).map(|(given, service)| {
        let (mut client, first) = (service.client(), first.clone());
        async move { answer(&mut client, &first, given).await.status }
    });
    let statuses = join_all(sent).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");

    // An answer for a login changes nothing, one for a change logs nobody in, and none serves another login.
    passkey.counter += 10;
    let (mut client, first) = token(&one).await;
    let (mut other, second) = token(&two).await;
    let for_first = passkey.get(&challenge_of(&mut client, &first).await);
    let for_second = challenge_of(&mut other, &second).await;
    let for_change = challenge(&mut owner).await;
    let change = confirmation(Some(("passkey", for_first.clone())));
    expect_problem(&owner.post("/second-factor/totp", &change).await, 400, &["passkey"]);
    let given = passkey.get(&for_change);
    expect_plain(&answer(&mut other, &second, &given).await, 401, "Invalid login.");
    let late = confirmation(Some(("passkey", given)));
    expect_problem(&owner.post("/second-factor/totp", &late).await, 400, &["passkey"]);
    expect_plain(&answer(&mut other, &second, &for_first).await, 401, "Invalid login.");
    let given = passkey.get(&for_second);
    expect_plain(&answer(&mut other, &second, &given).await, 401, "Invalid login.");
    // The answer was for this login, and nothing has used its challenge up.
    expect_plain(&answer(&mut client, &first, &for_first).await, 200, "OK");

    // A counter goes up only, also if both challenges were made before the first answer.
    let (mut client, first) = token(&one).await;
    let (mut other, second) = token(&two).await;
    let asked = [challenge_of(&mut client, &first).await, challenge_of(&mut other, &second).await];
    passkey.counter = 99;
    expect_plain(&answer(&mut client, &first, &passkey.get(&asked[0])).await, 200, "OK");
    passkey.counter = 99;
    let back = answer(&mut other, &second, &passkey.get(&asked[1])).await;
    expect_plain(&back, 401, "Invalid login.");
    let asked = challenge_of(&mut other, &second).await;
    passkey.counter = 98;
    let back = answer(&mut other, &second, &passkey.get(&asked)).await;
    expect_plain(&back, 401, "Invalid login.");
    passkey.counter = 100;
    expect_plain(&log_in_with(&mut two.client(), &mut passkey).await, 200, "OK");

    // Another account has a passkey of its own, whose answers are of no use here.
    let mut stranger = one.client();
    let email = site.run("users", &["list"]).stdout;
    let email = email.split_whitespace().find(|word| word.contains('@') && *word != EMAIL).unwrap();
    let login = json!({"email": email, "password": PASSWORD});
    expect_plain(&stranger.post("/login", &login).await, 200, "OK");
    let (mut theirs, _) = add(&mut stranger, None).await;
    let asked = challenge(&mut stranger).await;
    let given = theirs.get(&asked);
    let stolen = confirmation(Some(("passkey", given.clone())));
    expect_problem(&owner.post("/second-factor/totp", &stolen).await, 400, &["passkey"]);
    let (mut client, first) = token(&one).await;
    let asked = challenge_of(&mut client, &first).await;
    expect_plain(&answer(&mut client, &first, &theirs.get(&asked)).await, 401, "Invalid login.");
    let mine = passkey.get(&challenge(&mut stranger).await);
    let stolen = confirmation(Some(("passkey", mine)));
    expect_problem(&stranger.post("/second-factor/totp", &stolen).await, 400, &["passkey"]);

    let events = site.run("security-events", &["list", "--json"]).stdout;
    let count = |detail: &str| events.matches(&format!("\"detail\":\"{detail}\"")).count();
    assert!(count("passkey counter") == 2 && count("passkey") > 5, "{events}");
}

#[tokio::test]
async fn an_answer_serves_once_and_for_what_it_was_asked_for_on_sqlite() {
    an_answer_serves_once_and_for_what_it_was_asked_for(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_answer_serves_once_and_for_what_it_was_asked_for_on_redis() {
    an_answer_serves_once_and_for_what_it_was_asked_for(Site::redis()).await;
}

/// Somebody with a copy of the cookie and the password has begun before the owner turned a second factor on.
#[tokio::test]
async fn what_was_begun_before_a_change_is_not_confirmed_after_it() {
    let site = Site::sqlite();
    let auth = site.auth(&ON);
    let mut owner = auth.logged_in().await;
    let mut other = auth.client_like(&owner);
    let (asked, passkey) = (begin(&mut other, None).await, Passkey::new(ORIGIN));
    let app = enrol_after(&mut owner, &confirmation(None)).await;
    let late = confirm(&mut other, "phone", &passkey.create(&asked)).await;
    expect_problem(&late, 400, &["passkey"]);

    let remove = json!({"currentPassword": PASSWORD, "code": app.recovery_codes[0]});
    expect_plain(&owner.post("/second-factor/remove", &remove).await, 200, "OK");
    let app = App::begin(&mut other, &confirmation(None)).await;
    add(&mut owner, None).await;
    let late = other.post("/second-factor/totp/confirm", &json!({"code": app.next()})).await;
    expect_problem(&late, 400, &["code"]);
    let state = owner.get("/second-factor").await.json();
    assert_eq!((&state["totp"], passkeys(&mut owner).await.len()), (&json!(false), 1));
}

/// What makes an answer wrong.
const FORGERIES: [fn(&mut Passkey); 6] = [
    |passkey| passkey.origin = "http://localhost:8444".to_owned(),
    |passkey| passkey.origin = "https://localhost:8443".to_owned(),
    |passkey| passkey.origin = "http://localhost.example:8443".to_owned(),
    |passkey| passkey.site = "localhost.example".to_owned(),
    |passkey| passkey.is_user_present = false,
    |passkey| passkey.is_framed = true,
];

#[tokio::test]
async fn forged_answers_are_refused() {
    let site = Site::sqlite();
    let auth = site.auth(&ON);
    let mut owner = auth.logged_in().await;
    for forge in FORGERIES {
        let (asked, mut passkey) = (begin(&mut owner, None).await, Passkey::new(ORIGIN));
        forge(&mut passkey);
        let forged = confirm(&mut owner, "phone", &passkey.create(&asked)).await;
        expect_problem(&forged, 400, &["passkey"]);
        // The challenge is used up.
        let right = Passkey::new(ORIGIN).create(&asked);
        expect_problem(&confirm(&mut owner, "phone", &right).await, 400, &["passkey"]);
    }
    let (mut passkey, _) = add(&mut owner, None).await;
    let mut forged = async |forge: fn(&mut Passkey), change: fn(&mut Value)| {
        let asked = challenge(&mut owner).await;
        let (origin, site) = (passkey.origin.clone(), passkey.site.clone());
        forge(&mut passkey);
        let mut given = passkey.get(&asked);
        change(&mut given);
        (passkey.origin, passkey.site) = (origin, site);
        (passkey.is_user_present, passkey.is_framed) = (true, false);
        owner.post("/second-factor/totp", &confirmation(Some(("passkey", given)))).await
    };
    for forge in FORGERIES {
        expect_problem(&forged(forge, |_| {}).await, 400, &["passkey"]);
    }
    let changes: [fn(&mut Value); 4] = [
        // A signature that is none, or of something else.
        |given| given["response"]["signature"] = "MAYCAQECAQE".into(),
        |given| given["response"]["clientDataJSON"] = "e30".into(),
        |given| given["response"]["authenticatorData"] = "AAAA".into(),
        |given| given["rawId"] = "AAAA".into(),
    ];
    for change in changes {
        expect_problem(&forged(|_| {}, change).await, 400, &["passkey"]);
    }
    assert_eq!(forged(|_| {}, |_| {}).await.status, 200);
}

#[tokio::test]
async fn passkeys_have_limits() {
    let site = Site::sqlite();
    let auth = site.auth(&[&ON[..], &["--request-rate", "0"]].concat());
    let mut owner = auth.logged_in().await;
    let asked = begin(&mut owner, None).await;
    for name in ["", "a\u{1b}[2J", "a\nb", &"n".repeat(200)] {
        let created = Passkey::new(ORIGIN).create(&asked);
        expect_problem(&confirm(&mut owner, name, &created).await, 400, &["name"]);
    }
    for credential in [json!("text"), json!({}), json!([1]), json!({"id": "AA", "rawId": "%"})] {
        expect_problem(&confirm(&mut owner, "phone", &credential).await, 400, &["passkey"]);
    }
    let mut giant = Passkey::new(ORIGIN);
    giant.id = vec![7; 1024];
    let created = giant.create(&asked);
    expect_problem(&confirm(&mut owner, "phone", &created).await, 413, &[]);
    let nothing = json!({"pendingLogin": "none"});
    expect_problem(&owner.post(LOGIN, &nothing).await, 400, &["code"]);
    let none = owner.post("/login/second-factor/challenge", &nothing).await;
    expect_plain(&none, 401, "Invalid login.");

    let (mut passkey, _) = add(&mut owner, None).await;
    for _ in 1..10 {
        let proof = passkey.get(&challenge(&mut owner).await);
        add(&mut owner, Some(("passkey", proof))).await;
    }
    let proof = passkey.get(&challenge(&mut owner).await);
    let eleventh = owner.post(NEW, &confirmation(Some(("passkey", proof)))).await;
    expect_problem(&eleventh, 409, &[]);
    let handles = passkeys(&mut owner).await;
    assert_eq!(handles.len(), 10);

    // Without the setting there are no passkeys, and who has them has recovery codes.
    let off = site.auth(&["--session-cache", "0"]);
    let mut client = off.client_like(&owner);
    expect_problem(&client.post(NEW, &confirmation(None)).await, 404, &[]);
    expect_problem(&client.post("/second-factor/challenge", &Value::Null).await, 404, &[]);
    let token = pending(&mut off.client(), &["recovery"]).await;
    let waiting = json!({"pendingLogin": token});
    let asked = client.post("/login/second-factor/challenge", &waiting).await;
    expect_problem(&asked, 404, &[]);

    // Each session has one challenge, however many it asks for.
    for _ in 0..20 {
        challenge(&mut owner).await;
    }
    let store = Connection::open(site.store.strip_prefix("sqlite:").unwrap()).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    let sql = "SELECT COUNT(*) FROM pending_steps";
    let steps: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(steps <= 4, "{steps}");
}

/// In a real browser, with its own authenticator.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_browser_adds_a_passkey_and_logs_in() {
    let site = Site::sqlite();
    let port = testkit::free_port();
    let origin = format!("http://localhost:{port}");
    let listen = format!("127.0.0.1:{port}");
    let _auth = site.auth(&["--listen", &listen, "--public-url", &origin]);
    let mut browser = Command::new("node");
    browser
        .current_dir(openapi_directory())
        .arg("passkeys.js")
        .env("AUTH", origin)
        .env("EMAIL", EMAIL)
        .env("PASSWORD", PASSWORD);
    let mut seen: Value = serde_json::from_str(run(browser).trim()).unwrap();
    // The limit for bodies leaves room.
    let bytes = seen.as_object_mut().unwrap().remove("bytes").unwrap();
    assert!(bytes.as_u64().unwrap() < 3000, "{bytes}");
    let expected = json!({
        "statuses": [200, 200, 200, 200, 401, 200, 200, 200, 200],
        "methods": ["passkey", "recovery"],
        "recoveryCodes": 10,
        "name": "this browser",
        "isUsed": true,
    });
    assert_eq!(seen, expected);
}
