//! Messages: forgotten passwords and registrations, which tell nobody whether an address has an account.

use std::fs;
use std::path::{Path, PathBuf};

use checkin::storage::PendingName;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Response, Stream, wait_until};

use crate::harness::{EMAIL, PASSWORD, Service, Site, expect_plain, expect_problem};
use crate::passkeys::add_passkey;
use crate::second_factors::enrol;

const OTHER: &str = "another long password";
const DISABLED: &str = "80";

/// A directory into which a program delivers messages, each in a file.
pub(crate) struct Post {
    directory: tempfile::TempDir,
    command: String,
}

impl Post {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        // A message has its name when it is complete.
        let script = "f=$(mktemp \"$1/part.XXXXXX\") && cat > \"$f\" && mv \"$f\" \"$f.mail\"\n\
                      test -z \"$CHECKIN_SESSION_SECRET$CHECKIN_STORE\"\n";
        fs::write(directory.path().join("deliver.sh"), script).unwrap();
        let command = format!("/bin/sh {path}/deliver.sh {path}");
        Self { directory, command }
    }

    pub(crate) fn auth(&self, site: &Site) -> Service {
        let from = ["--mail-from", "checkin@sender.example"];
        let url = ["--public-url", "https://a.example", "--register-rate", "0"];
        site.auth(
            &[&["--mail-command", &self.command][..], &from, &url, &["--session-cache", "0"]]
                .concat(),
        )
    }

    fn messages(&self) -> Vec<String> {
        let is_mail = |path: &PathBuf| path.extension().is_some_and(|end| end == "mail");
        let files = fs::read_dir(self.directory.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(is_mail).map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// Waits for messages to a receiver.
    #[track_caller]
    pub(crate) fn wait_for(&self, to: &str, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        wait_until(&format!("{count} messages"), || {
            found = self.messages();
            found.retain(|message| message.contains(&format!("To: <{to}>\r\n")));
            found.len() >= count
        });
        found
    }
}

pub(crate) fn token(message: &str) -> String {
    // The text is quoted-printable.
    let text = message.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = text.split_once("#token=").expect("a message with a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

/// What a client sees of a response, except the time and what is left of a limit.
pub(crate) fn seen(response: &Response) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = response
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .filter(|(name, _)| !["date", "ratelimit", "x-request-id"].contains(&name.as_str()))
        .collect();
    headers.sort();
    (response.status, headers, response.text().to_owned())
}

fn open(file: &str) -> Connection {
    let store = Connection::open(Path::new(file)).unwrap();
    store.busy_timeout(crate::harness::PATIENCE).unwrap();
    store
}

/// Brings the end of all pending steps nearer, as if this time had passed.
fn pass(site: &Site, minutes: i64) {
    let ms = minutes * 60_000;
    match site.store.strip_prefix("sqlite:") {
        Some(file) => {
            let sql = "UPDATE pending_steps SET expires_ms = expires_ms - ?1";
            open(file).execute(sql, [ms]).unwrap();
        }
        None => {
            for key in site.redis_cli::<Vec<String>>(&["KEYS", "ncc:pending:*"]) {
                let left: i64 = site.redis_cli(&["PTTL", &key]);
                site.redis_cli::<i64>(&["PEXPIRE", &key, &(left - ms).to_string()]);
            }
        }
    }
}

/// The names of the pending steps, and everything that the store has of them.
fn pending(site: &Site) -> String {
    match site.store.strip_prefix("sqlite:") {
        Some(file) => {
            let store = open(file);
            let mut rows = store.prepare("SELECT name || ' ' || step FROM pending_steps").unwrap();
            let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(Result::unwrap).collect()
        }
        None => {
            let keys: Vec<String> = site.redis_cli(&["KEYS", "ncc:pending:*"]);
            let value = |key: &String| site.redis_cli::<String>(&["GET", key]);
            keys.iter().map(|key| key.clone() + " " + &value(key)).collect()
        }
    }
}

#[track_caller]
fn expect_hashed(site: &Site, kind: &str, token: &str) {
    let pending = pending(site);
    assert_eq!(token.len(), 32, "192 bits");
    assert!(pending.contains(PendingName::new(kind, token).as_str()), "{pending}");
    assert!(!pending.contains(token), "{pending}");
}

pub(crate) async fn forget(auth: &Service, email: &str) -> Response {
    auth.client().post("/password/forgotten", &json!({"email": email})).await
}

pub(crate) async fn reset(auth: &Service, token: &str, new: &str) -> Response {
    auth.client().post("/password/reset", &json!({"token": token, "newPassword": new})).await
}

async fn confirm(auth: &Service, token: &str, password: &str) -> Response {
    let body = json!({"token": token, "password": password});
    auth.client().post("/register/confirm", &body).await
}

async fn a_forgotten_password_is_reset_once(site: Site) {
    let post = Post::new();
    let mut auth = post.auth(&site);
    let other = post.auth(&site);
    let mut owner = auth.logged_in().await;
    assert_eq!(site.run("users", &["disable", DISABLED]).code, 0);
    let users = site.run("users", &["list", "--json"]).stdout;
    let users = users.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let disabled = users.into_iter().find(|user| user["id"] == 80).unwrap();
    let disabled = disabled["email"].as_str().unwrap().to_owned();

    let known = forget(&auth, EMAIL).await;
    expect_plain(&known, 202, "OK");
    for email in ["nobody@example.com", disabled.as_str()] {
        assert_eq!(seen(&forget(&auth, email).await), seen(&known));
    }
    let message = post.wait_for(EMAIL, 1).remove(0);
    assert!(message.contains("From: <checkin@sender.example>\r\n"), "{message}");
    assert!(message.contains("Subject: Reset your password\r\n"), "{message}");
    assert!(message.contains("https://a.example/password/reset#token="), "{message}");
    let first = token(&message);
    expect_hashed(&site, "password reset", &first);
    // There is a limit for the account, in all processes together.
    for service in [&auth, &other, &auth, &other] {
        assert_eq!(seen(&forget(service, EMAIL).await), seen(&known));
    }
    let messages = post.wait_for(EMAIL, 3);

    // Strangers have used up their attempts; the owner need not wait after the reset.
    for _ in 0..5 {
        let wrong = json!({"email": EMAIL, "password": "a wrong password"});
        expect_plain(&auth.client().post("/login", &wrong).await, 401, "Invalid login.");
    }
    expect_problem(&reset(&auth, "a-token-that-was-never-given-out", OTHER).await, 400, &["token"]);
    expect_problem(&reset(&auth, &first, "short").await, 400, &["newPassword"]);
    let resets = [&auth, &other, &auth, &other].map(|service| reset(service, &first, OTHER));
    let answers = join_all(resets).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400]);
    assert!(answers.iter().all(|answer| answer.set_cookies().is_empty()));
    expect_plain(&owner.get("/session").await, 401, "Authentication required.");
    let login = |password| json!({"email": EMAIL, "password": password});
    expect_plain(&auth.client().post("/login", &login(OTHER)).await, 200, "OK");
    expect_plain(&auth.client().post("/login", &login(PASSWORD)).await, 401, "Invalid login.");
    // The other tokens ended with the reset, too.
    for message in &messages {
        expect_problem(&reset(&auth, &token(message), PASSWORD).await, 400, &["token"]);
    }
    let events = site.run("security-events", &["list", "--user", "77"]).stdout;
    for what in ["password-reset-sent", "password-changed"] {
        assert!(events.contains(what), "{events}");
    }
    auth.program.stop();
    drop(other);
    assert_eq!(post.messages().len(), 3, "three in an hour, and none to others");
    let log = auth.program.text(Stream::Stdout) + &auth.program.text(Stream::Stderr);
    assert!(!log.contains("token=") && !log.contains(&first), "{log}");
}

#[tokio::test]
async fn a_forgotten_password_is_reset_once_on_sqlite() {
    a_forgotten_password_is_reset_once(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_forgotten_password_is_reset_once_on_redis() {
    a_forgotten_password_is_reset_once(Site::redis()).await;
}

#[tokio::test]
async fn a_reset_needs_the_second_factor() {
    let (site, post) = (Site::sqlite(), Post::new());
    let auth = post.auth(&site);
    let app = enrol(&mut auth.logged_in().await, None).await;
    expect_plain(&forget(&auth, EMAIL).await, 202, "OK");
    let token = token(&post.wait_for(EMAIL, 1)[0]);
    let answer = reset(&auth, &token, OTHER).await;
    expect_problem(&answer, 403, &[]);
    assert_eq!(answer.json()["type"], "second-factor-required");
    let with = |code: &str| json!({"token": token, "newPassword": OTHER, "code": code});
    let mut client = auth.client();
    expect_problem(&client.post("/password/reset", &with("000000")).await, 400, &["code"]);
    expect_plain(&client.post("/password/reset", &with(&app.next())).await, 200, "OK");
}

#[tokio::test]
async fn a_passkey_serves_for_a_reset() {
    let (site, post) = (Site::sqlite(), Post::new());
    let auth = post.auth(&site);
    let mut passkey = add_passkey(&mut auth.logged_in().await, "https://a.example").await;
    expect_plain(&forget(&auth, EMAIL).await, 202, "OK");
    let token = token(&post.wait_for(EMAIL, 1)[0]);
    let mut client = auth.client();
    let ask = async |client: &mut Client, token: &str| {
        client.post("/password/reset/challenge", &json!({"token": token})).await
    };
    expect_problem(&ask(&mut client, "none").await, 400, &["token"]);
    let asked = ask(&mut client, &token).await.json();
    // The right one once, after one of another page.
    let with = |passkey: Value| json!({"token": token, "newPassword": OTHER, "passkey": passkey});
    passkey.origin = "https://b.example".to_owned();
    let forged = client.post("/password/reset", &with(passkey.get(&asked))).await;
    expect_problem(&forged, 400, &["passkey"]);
    passkey.origin = "https://a.example".to_owned();
    let asked = ask(&mut client, &token).await.json();
    let right = client.post("/password/reset", &with(passkey.get(&asked))).await;
    expect_plain(&right, 200, "OK");
}

async fn a_registration_tells_nothing_and_is_confirmed_once(site: Site) {
    let post = Post::new();
    let auth = post.auth(&site);
    let new = |email: &str| json!({"firstName": "Eve", "lastName": "E", "email": email, "password": OTHER});
    let register = async |email: &str| auth.client().post("/register", &new(email)).await;
    let fresh = register("eve@new.example").await;
    expect_plain(&fresh, 202, "OK");
    assert_eq!(seen(&register(EMAIL).await), seen(&fresh));
    let existing = post.wait_for(EMAIL, 1).remove(0);
    assert!(existing.contains("has one already") && !existing.contains("token"), "{existing}");
    let message = post.wait_for("eve@new.example", 1).remove(0);
    assert!(message.contains("https://a.example/register/confirm#token="), "{message}");
    let token = token(&message);
    expect_hashed(&site, "registration", &token);
    let login = json!({"email": "eve@new.example", "password": OTHER});
    expect_plain(&auth.client().post("/login", &login).await, 401, "Invalid login.");

    let confirm = async |token: &str| confirm(&auth, token, OTHER).await;
    expect_problem(&confirm("a-token-that-was-never-given-out").await, 400, &["token"]);
    let answers = join_all([confirm(&token), confirm(&token), confirm(&token)]).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400, 400]);
    expect_plain(&auth.client().post("/login", &login).await, 200, "OK");
    let short = json!({"firstName": "E", "lastName": "E", "email": EMAIL, "password": "short"});
    expect_problem(&auth.client().post("/register", &short).await, 400, &["password"]);
}

#[tokio::test]
async fn a_registration_tells_nothing_and_is_confirmed_once_on_sqlite() {
    a_registration_tells_nothing_and_is_confirmed_once(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_registration_tells_nothing_and_is_confirmed_once_on_redis() {
    a_registration_tells_nothing_and_is_confirmed_once(Site::redis()).await;
}

/// A person who follows the link of a registration that somebody else began, with another password, opens no account.
async fn a_registration_is_confirmed_with_its_password(site: Site) {
    let post = Post::new();
    let auth = post.auth(&site);
    let register = async |email: &str| {
        let new = json!({"firstName": "Eve", "lastName": "E", "email": email, "password": OTHER});
        expect_plain(&auth.client().post("/register", &new).await, 202, "OK");
        token(&post.wait_for(email, 1)[0])
    };
    let given = register("eve@new.example").await;
    let without = auth.client().post("/register/confirm", &json!({"token": given})).await;
    expect_problem(&without, 400, &["password"]);
    for _ in 0..4 {
        expect_problem(&confirm(&auth, &given, PASSWORD).await, 400, &["password"]);
    }
    // The token can be used until too many passwords were wrong.
    assert_eq!(confirm(&auth, &given, OTHER).await.status, 201);
    let given = register("eva@new.example").await;
    let wrong: Vec<_> = (0..6).map(|_| confirm(&auth, &given, PASSWORD)).collect();
    let answers = join_all(wrong).await;
    let compared = answers.iter().filter(|answer| answer.text().contains(r#""field":"password""#));
    assert_eq!(compared.count(), 5);
    expect_problem(&confirm(&auth, &given, OTHER).await, 400, &["token"]);
}

#[tokio::test]
async fn a_registration_is_confirmed_with_its_password_on_sqlite() {
    a_registration_is_confirmed_with_its_password(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_registration_is_confirmed_with_its_password_on_redis() {
    a_registration_is_confirmed_with_its_password(Site::redis()).await;
}

/// A reset is possible for an hour, and a confirmation for a day, at any process.
async fn the_tokens_of_messages_expire(site: Site) {
    let post = Post::new();
    let (auth, other) = (post.auth(&site), post.auth(&site));
    expect_plain(&forget(&auth, EMAIL).await, 202, "OK");
    let reset_token = token(&post.wait_for(EMAIL, 1)[0]);
    pass(&site, 59);
    // A token that counts is not used up by a bad password.
    expect_problem(&reset(&other, &reset_token, "short").await, 400, &["newPassword"]);
    pass(&site, 1);
    expect_problem(&reset(&other, &reset_token, "short").await, 400, &["token"]);

    let mut tokens = Vec::new();
    for email in ["eve@new.example", "eva@new.example"] {
        let new = json!({"firstName": "Eve", "lastName": "E", "email": email, "password": OTHER});
        expect_plain(&auth.client().post("/register", &new).await, 202, "OK");
        tokens.push(token(&post.wait_for(email, 1)[0]));
    }
    let confirm = async |token: &str| confirm(&other, token, OTHER).await;
    pass(&site, 24 * 60 - 1);
    assert_eq!(confirm(&tokens[0]).await.status, 201);
    pass(&site, 1);
    expect_problem(&confirm(&tokens[1]).await, 400, &["token"]);
}

#[tokio::test]
async fn the_tokens_of_messages_expire_on_sqlite() {
    the_tokens_of_messages_expire(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_tokens_of_messages_expire_on_redis() {
    the_tokens_of_messages_expire(Site::redis()).await;
}

/// A message of an account waits until it is sent, and one of an unknown address does not exist. So a request
/// that is refused because too many wait would tell which of them another one has been.
#[tokio::test]
async fn a_full_queue_of_messages_tells_nothing() {
    let site = Site::sqlite();
    let with = ["--mail-from", "a@sender.example", "--public-url", "https://a.example"];
    let auth =
        site.auth(&[&["--mail-command", "sleep 60", "--register-rate", "0"][..], &with].concat());
    let users = site.run("users", &["list", "--json"]).stdout;
    let users = users.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let emails: Vec<_> = users.map(|user| user["email"].as_str().unwrap().to_owned()).collect();
    let unknown = forget(&auth, "nobody@example.com").await;
    expect_plain(&unknown, 202, "OK");
    let rest = emails.iter().filter(|email| *email != EMAIL).cycle();
    for email in rest.take(70) {
        assert_eq!(seen(&forget(&auth, email).await), seen(&unknown));
    }
    auth.program.wait_for_line("too many messages wait", crate::harness::PATIENCE);
    for email in [EMAIL, "nobody@example.com"] {
        assert_eq!(seen(&forget(&auth, email).await), seen(&unknown));
    }
    for email in [EMAIL, "eve@new.example"] {
        let new = json!({"firstName": "Eve", "lastName": "E", "email": email, "password": OTHER});
        expect_plain(&auth.client().post("/register", &new).await, 202, "OK");
    }
}

#[tokio::test]
async fn mail_has_all_of_its_settings() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    for path in ["/password/forgotten", "/password/reset", "/register/confirm"] {
        expect_problem(&auth.client().post(path, &json!({})).await, 404, &[]);
    }
    // No port is opened before, and no store.
    let nothing = Site::empty_sqlite();
    for service in ["auth", "console", "up"] {
        let ended = nothing.run(service, &["--mail-command", "true"]);
        assert_eq!((ended.code, &*ended.stdout), (1, ""), "{service}: {}", ended.stderr);
        assert!(ended.stderr.contains("--mail-from must be set"), "{}", ended.stderr);
        assert_eq!(std::fs::read_dir(nothing.directory.path()).unwrap().count(), 0, "{service}");
    }
    // A program that fails is logged, and the client does not notice.
    let with = ["--mail-from", "a@sender.example", "--public-url", "https://a.example"];
    let auth = site.auth(&[&["--mail-command", "false"][..], &with].concat());
    expect_plain(&forget(&auth, EMAIL).await, 202, "OK");
    auth.program
        .wait_for_line("cannot send a message to reset a password", crate::harness::PATIENCE);
}
