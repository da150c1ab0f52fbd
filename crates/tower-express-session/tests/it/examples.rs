//! The examples do what their first lines say.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Client, Method, Program, RedisServer, Stream};

/// Starting Node, and installing its packages where they are missing.
const WALK: Duration = Duration::from_secs(300);

const LISTENING: &str = "listening on ";

#[test]
fn express_and_rust_share_logins() {
    let mut example = Program::start(path("shared_with_express"), &[] as &[&str], &[]);
    let status = example.wait(WALK);
    let (said, complained) = (example.text(Stream::Stdout), example.text(Stream::Stderr));
    assert!(status.success() && said.ends_with("all as promised\n"), "{said}{complained}");
}

#[test]
fn what_the_shared_example_lacks_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let env = [("PATH", empty.path().to_str().unwrap())];
    let mut example = Program::start(path("shared_with_express"), &[] as &[&str], &env);
    assert_eq!(example.wait(WALK).code(), Some(1));
    assert!(example.text(Stream::Stderr).starts_with("redis-server is not installed"));
}

#[tokio::test]
async fn the_counter_counts() {
    let (_example, url) = start("counter", "");
    let mut browser = Client::new(&url);
    assert_eq!(browser.get("/").await.text(), "visit number 1\n");
    assert_eq!(browser.get("/").await.text(), "visit number 2\n");
    assert_eq!(Client::new(&url).get("/").await.text(), "visit number 1\n");
}

#[tokio::test]
async fn sessions_in_sqlite_outlive_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.db");
    let (example, url) = start("sqlite", file.to_str().unwrap());
    let mut browser = Client::new(url);
    assert_eq!(post(&mut browser, "/login/al").await, "welcome, al\n");
    drop(example);

    let (_example, url) = start("sqlite", file.to_str().unwrap());
    let mut after = Client::new(url);
    *after.jar_mut() = browser.jar().clone();
    assert_eq!(after.get("/me").await.text(), "al\n");
    assert_eq!(post(&mut after, "/logout").await, "bye\n");
    assert_eq!(after.get("/me").await.text(), "nobody\n");
}

#[tokio::test]
async fn an_accounts_sessions_are_listed_and_ended() {
    let redis = RedisServer::start();
    let (_example, url) = start("redis", &redis.url());
    let [mut laptop, mut phone] = [Client::new(&url), Client::new(&url)];
    for browser in [&mut laptop, &mut phone] {
        assert_eq!(post(browser, "/login/al").await, "welcome, al\n");
    }
    let list = phone.get("/sessions").await.json();
    let list = list.as_array().unwrap();
    let of = |is_this| list.iter().find(|session| session["isThis"] == is_this).unwrap();
    assert_eq!((list.len(), &of(true)["address"]), (2, &"127.0.0.1".into()));

    let other = of(false)["handle"].as_str().unwrap();
    assert_eq!(phone.delete(&format!("/sessions/{other}")).await.text(), "ended\n");
    assert_eq!(laptop.get("/me").await.text(), "nobody\n");
    assert_eq!(post(&mut laptop, "/login/al").await, "welcome, al\n");
    assert_eq!(post(&mut laptop, "/logout-everywhere").await, "2 sessions ended\n");
    assert_eq!(phone.get("/me").await.text(), "nobody\n");
}

/// Starts an example that serves HTTP. It runs as long as the first value is held.
fn start(example: &str, store: &str) -> (Program, String) {
    let program = Program::start(path(example), &[] as &[&str], &[("PORT", "0"), ("STORE", store)]);
    let line = program.wait_for_line(LISTENING, Duration::from_secs(30));
    let address = line.trim_start_matches(LISTENING).split(',').next().unwrap();
    let url = format!("http://{address}");
    (program, url)
}

async fn post(browser: &mut Client, path: &str) -> String {
    browser.request(Method::POST, path).send().await.text().to_owned()
}

/// Where an example lies. Cargo does not tell a test, but they lie beside it.
pub(crate) fn path(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let directory = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path = directory.join("examples").join(example);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p tower-express-session --examples`",
        path.display()
    );
    path
}
