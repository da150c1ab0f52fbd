//! `checkin users` and `checkin sessions`: what operators do to accounts and sessions.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Client, Program, signature};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, Ended, PASSWORD, Service, Site, accepted, at, checkin, expect_plain,
    log_in, names,
};

const NEW: &str = "correct horse battery";

/// Runs a command with a line on its standard input.
pub(crate) fn run_with_input(site: &Site, args: &[&str], line: &str) -> Ended {
    let mut command: Command = checkin(site.directory.path());
    command.args(args).args(["--password-stdin", "--store", &site.store]);
    command.envs(site.variables.iter().copied());
    command.env("CHECKIN_SESSION_SECRET", crate::harness::SECRET);
    let mut program = Program::spawn_interactive(command);
    program.write_line(line);
    Ended::of(program)
}

/// The session id in a client's cookie, whatever the secret.
fn id(client: &Client) -> String {
    let value = signature::decode(client.jar().get(COOKIE).unwrap()).unwrap();
    value["s:".len()..].split_once('.').unwrap().0.to_owned()
}

async fn log_in_as(auth: &Service, email: &str, password: &str) -> (Client, u16) {
    let mut client = auth.client();
    let response = client.post("/login", &json!({"email": email, "password": password})).await;
    (client, response.status)
}

#[tokio::test]
async fn an_account_is_added_and_logs_in_on_sqlite() {
    an_account_is_added_and_logs_in(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_account_is_added_and_logs_in_on_redis() {
    an_account_is_added_and_logs_in(&Site::redis()).await;
}

async fn an_account_is_added_and_logs_in(site: &Site) {
    let add = ["users", "add", "Bo@example.com", "--first-name", "Bo", "--last-name", "Bar"];
    let added = run_with_input(site, &add, NEW);
    assert_eq!((added.code, added.stdout.as_str()), (0, "user 1001 added\n"), "{}", added.stderr);
    let auth = site.auth(&[]);
    assert_eq!(log_in_as(&auth, "bo@example.com", NEW).await.1, 200);

    let again = run_with_input(site, &add, NEW);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("must not belong to an existing account"), "{}", again.stderr);

    let listed = site.run("users", &["list", "--json"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    assert!(!listed.stdout.contains("$argon2") && !listed.stdout.contains("$2"));
    let users: Vec<Value> =
        listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(users.len(), 1001);
    assert_eq!(users[76]["email"], EMAIL);
    assert_eq!((&users[1000]["id"], &users[1000]["firstName"]), (&json!(1001), &json!("Bo")));
    assert_eq!(site.run("users", &["list"]).stdout.lines().count(), 1001);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_on_sqlite() {
    a_forgotten_password_is_replaced(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_forgotten_password_is_replaced_on_redis() {
    a_forgotten_password_is_replaced(&Site::redis()).await;
}

async fn a_forgotten_password_is_replaced(site: &Site) {
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let client = auth.logged_in().await;
    accepted(&receiver.client_like(&client).post(CHECKIN, &at(2, 5)).await);

    let changed = run_with_input(site, &["users", "passwd", EMAIL], NEW);
    assert_eq!(changed.code, 0, "{}", changed.stderr);
    assert_eq!(changed.stdout, "password of user 77 changed, 1 sessions ended\n");

    let mut client = client;
    assert_eq!(client.get("/session").await.status, 401);
    assert_eq!(log_in_as(&auth, EMAIL, PASSWORD).await.1, 401);
    let (client, status) = log_in_as(&auth, EMAIL, NEW).await;
    assert_eq!(status, 200);
    accepted(&receiver.client_like(&client).post(CHECKIN, &at(3, 5)).await);
}

#[test]
fn wrong_accounts_and_passwords() {
    let site = Site::sqlite();
    for (args, input, code, named) in [
        (&["users", "passwd", "nobody@example.com"][..], NEW, 1, "there is no user"),
        (&["users", "passwd", "9999"], NEW, 1, "there is no user"),
        (&["users", "passwd", "77"], "short", 1, "must have at least 15 characters"),
        (&["users", "passwd", "x"], NEW, 2, "must be"),
        (&["users", "add", "no-address", "--first-name", "A", "--last-name", "B"], NEW, 2, "must"),
        (
            &["users", "add", "a@example.com", "--first-name", " ", "--last-name", "B"],
            NEW,
            2,
            "must",
        ),
        (&["users", "add", "a@example.com", "--first-name", "A"], NEW, 2, "--last-name"),
    ] {
        let ended = run_with_input(&site, args, input);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{args:?} {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{args:?} {}", ended.stderr);
        assert!(!ended.stderr.contains(NEW), "{}", ended.stderr);
    }
    let silent = site.run("users", &["passwd", "77"]);
    assert!(silent.stderr.contains("--password-stdin"), "{}", silent.stderr);
}

#[tokio::test]
async fn sessions_are_listed_shown_and_revoked_on_sqlite() {
    sessions_are_listed_shown_and_revoked(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn sessions_are_listed_shown_and_revoked_on_redis() {
    let site = Site::redis();
    // A session that Express made is found, too.
    let express = site.express(crate::harness::SECRET);
    let mut client = Client::new(express.url().to_owned());
    assert_eq!(log_in(&mut client).await.status, 200);
    sessions_are_listed_shown_and_revoked(&site).await;
    assert_eq!(site.redis_cli::<Vec<String>>(&["KEYS", "ncc:session:*"]), Vec::<String>::new());
}

async fn sessions_are_listed_shown_and_revoked(site: &Site) {
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let (first, second) = (auth.logged_in().await, auth.logged_in().await);
    let other = ["users", "add", "bo@example.com", "--first-name", "Bo", "--last-name", "Bar"];
    assert_eq!(run_with_input(site, &other, NEW).code, 0);
    let (bo, _) = log_in_as(&auth, "bo@example.com", NEW).await;

    let list = |args: &[&str]| -> Vec<Value> {
        let listed = site.run("sessions", &[&["list", "--json"], args].concat());
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{}", listed.stdout);
        for client in [&first, &second, &bo] {
            assert!(!listed.stdout.contains(&id(client)), "no id is shown");
        }
        listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = list(&[]);
    let als = list(&["--user", "77"]);
    assert_eq!(all.len(), als.len() + 1);
    assert!(als.len() >= 2, "{als:?}");
    assert_eq!(list(&["--user", "bo@example.com"]).len(), 1);
    assert_eq!(site.run("sessions", &["list"]).stdout.lines().count(), all.len());

    // The handle is the one that the account's owner sees.
    let mut browser = auth.client_like(&second);
    let own = browser.get("/sessions").await.json();
    let own = own["sessions"].as_array().unwrap();
    let current = own.iter().find(|session| session["current"] == true).unwrap();
    let handle = current["handle"].as_str().unwrap();
    let shown = site.run("sessions", &["show", handle]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains(EMAIL) && shown.stdout.contains(handle), "{}", shown.stdout);

    let revoked = site.run("sessions", &["revoke", handle]);
    assert_eq!((revoked.code, revoked.stdout.as_str()), (0, "1 sessions ended\n"));
    let refused = receiver.client_like(&browser).post(CHECKIN, &at(2, 5)).await;
    expect_plain(&refused, 401, "Authentication required.");
    accepted(&receiver.client_like(&first).post(CHECKIN, &at(2, 5)).await);
    for command in ["show", "revoke"] {
        let unknown = site.run("sessions", &[command, handle]);
        assert_eq!(unknown.code, 1);
        assert!(unknown.stderr.contains("there is no session"), "{}", unknown.stderr);
    }

    assert_eq!(site.run("sessions", &["revoke", "--user", EMAIL]).code, 0);
    let refused = receiver.client_like(&first).post(CHECKIN, &at(3, 5)).await;
    expect_plain(&refused, 401, "Authentication required.");
    assert_eq!(list(&[]).len(), 1);
    let everybody = site.run("sessions", &["revoke", "--all"]);
    assert_eq!((everybody.code, everybody.stdout.as_str()), (0, "1 sessions ended\n"));
    assert_eq!(list(&[]), Vec::<Value>::new());
    assert_eq!(site.run("sessions", &["revoke"]).code, 2);
    // A handle may begin with a dash, and flags may stand behind it.
    for command in ["show", "revoke"] {
        for behind in [&[][..], &["--log-level", "error"], &["--key-prefix=ncc"]] {
            let args = [&[command, "-ySfL-g13JWIGz-uKANH0A"], behind].concat();
            let unknown = site.run("sessions", &args);
            assert_eq!(unknown.code, 1, "{}", unknown.stderr);
            let says = "no session -ySfL-g13JWIGz-uKANH0A; checkin sessions list";
            assert!(unknown.stderr.contains(says), "{}", unknown.stderr);
        }
    }
    let args = ["revoke", "one", "-t-w-o", "--log-level", "loud", "three"];
    let wrong = site.run("sessions", &args);
    assert!(wrong.code == 2 && wrong.stderr.contains("--log-level"), "{}", wrong.stderr);
    let args = ["revoke", "-o-n-e", "--log-level", "error", "two", "--", "--three"];
    let unknown = site.run("sessions", &args);
    assert!(unknown.stderr.contains("no session two or --three or -o-n-e;"), "{}", unknown.stderr);
}

#[test]
fn what_reads_a_store_makes_none() {
    let site = Site::empty_sqlite();
    let commands: [&[&str]; 8] = [
        &["export", "--user", "77"],
        &["users", "list"],
        &["sessions", "list"],
        &["sessions", "show", "one"],
        &["sessions", "revoke", "--all"],
        &["dead-letters", "list"],
        &["dead-letters", "replay", "--all"],
        &["generate"],
    ];
    for command in commands {
        let ended = site.run(command[0], &command[1..]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("there is no store at "), "{}", ended.stderr);
        assert!(names(site.directory.path()).is_empty(), "{command:?}");
    }
}

/// Everybody knows the password of the demo account.
#[test]
fn a_demo_account_that_is_an_operators_is_named() {
    const WARNING: &str = "the demo account is an operator's, and everybody knows its password";
    let site = Site::sqlite();
    let other = site.run("users", &["role", "80", "operator"]);
    assert!(!other.stderr.contains(WARNING), "{}", other.stderr);
    let ended = site.run("users", &["role", EMAIL, "operator"]);
    assert!(ended.code == 0 && ended.stderr.contains(WARNING), "{}{}", ended.stdout, ended.stderr);
    let diagnosis = site.run("doctor", &[]).stdout;
    assert!(diagnosis.contains(&format!("warning  {WARNING}\n")), "{diagnosis}");
    assert_eq!(run_with_input(&site, &["users", "passwd", EMAIL], NEW).code, 0);
    let diagnosis = site.run("doctor", &[]).stdout;
    assert!(!diagnosis.contains(WARNING), "{diagnosis}");
}
