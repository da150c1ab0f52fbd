//! The examples do what their documentation says.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Client, Method, Program, RedisServer, Stream};

/// The time limit for starting Node and installing its packages if they are missing.
const WALK: Duration = Duration::from_secs(300);

const LISTENING: &str = "listening on ";

#[cfg(feature = "external-tests")]
#[test]
fn express_and_rust_share_logins() {
    let mut example = Program::start(path("shared_with_express"), &[] as &[&str], &[]);
    let status = example.wait(WALK);
    let (stdout, stderr) = (example.text(Stream::Stdout), example.text(Stream::Stderr));
    assert!(status.success() && stdout.ends_with("all steps as expected\n"), "{stdout}{stderr}");
}

/// The server is the one that `REDIS_SERVER` names, wherever it is.
#[test]
fn the_shared_example_names_a_missing_program() {
    let directories = std::env::var_os("PATH").unwrap();
    let mut programs = std::env::split_paths(&directories).map(|directory| directory.join("node"));
    let node = programs.find(|program| program.exists()).unwrap();
    let empty = tempfile::tempdir().unwrap();
    for (server, missing) in [("redis-server", "redis-server"), (node.to_str().unwrap(), "node")] {
        let env = [("PATH", empty.path().to_str().unwrap()), ("REDIS_SERVER", server)];
        let mut example = Program::start(path("shared_with_express"), &[] as &[&str], &env);
        assert_eq!(example.wait(WALK).code(), Some(1));
        let said = example.text(Stream::Stderr);
        assert!(said.starts_with(&format!("{missing} is not installed")), "{said}");
    }
}

#[tokio::test]
async fn visitors_log_in_and_out() {
    let (_example, url) = start("login_logout", "");
    let mut browser = Client::new(&url);
    assert_eq!(post(&mut browser, "/login/al/wrong").await, "wrong name or password\n");
    assert_eq!(browser.get("/me").await.text(), "nobody\n");
    assert_eq!(post(&mut browser, "/login/al/secret123").await, "welcome, al\n");
    assert_eq!(browser.get("/me").await.text(), "al\n");
    assert_eq!(Client::new(&url).get("/me").await.text(), "nobody\n");
    assert_eq!(post(&mut browser, "/logout").await, "bye\n");
    assert_eq!(browser.get("/me").await.text(), "nobody\n");
}

#[tokio::test]
async fn a_flash_message_is_shown_once() {
    let (_example, url) = start("flash_message", "");
    let mut browser = Client::new(&url);
    let response = browser.request(Method::POST, "/save").send().await;
    assert_eq!((response.status, response.header("location")), (303, Some("/")));
    assert_eq!(browser.get("/").await.text(), "Your changes are saved.\n");
    assert_eq!(browser.get("/").await.text(), "nothing new\n");
}

#[tokio::test]
async fn a_session_holds_typed_values() {
    let (_example, url) = start("typed_session", "");
    let mut browser = Client::new(&url);
    assert_eq!(browser.get("/me").await.status, 401);
    assert_eq!(post(&mut browser, "/login/al").await, "welcome\n");
    assert_eq!(browser.get("/me").await.text(), "al, in the theme Dark, visit number 1\n");
    assert_eq!(browser.get("/me").await.text(), "al, in the theme Dark, visit number 2\n");
}

#[tokio::test]
async fn parallel_requests_fill_one_cart() {
    let (_example, url) = start("shopping_cart", "");
    let mut browser = Client::new(&url);
    assert_eq!(post(&mut browser, "/cart/tea").await, "1 in your cart\n");
    let mut adding = tokio::task::JoinSet::new();
    for item in 0..20 {
        let mut browser = browser.clone();
        adding.spawn(async move { post(&mut browser, &format!("/cart/{item}")).await });
    }
    adding.join_all().await;
    assert_eq!(browser.get("/cart").await.json().as_array().unwrap().len(), 21);
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_ends_with_its_session() {
    let (_example, url) = start("event_stream", "");
    let mut browser = Client::new(&url);
    assert_eq!(browser.get("/events").await.status, 500, "a stream needs a stored session");
    post(&mut browser, "/login/al").await;
    let cookie = format!("Cookie: {}", browser.jar().header().unwrap());
    let events = format!("{url}/events");
    let mut stream = Program::start("curl", &["-sSN", "-H", &cookie, &events], &[]);
    tokio::task::block_in_place(|| stream.wait_for_line("data: tick 0", Duration::from_secs(30)));
    assert!(stream.is_running());
    post(&mut browser, "/logout").await;
    let status = tokio::task::block_in_place(|| stream.wait(Duration::from_secs(30)));
    assert!(status.success(), "{}", stream.text(Stream::Stderr));
}

#[tokio::test]
async fn sessions_in_sqlite_survive_a_restart() {
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
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_accounts_devices_are_listed_and_revoked() {
    let redis = RedisServer::start();
    let (_example, url) = start("devices", &redis.url());
    let [mut laptop, mut phone] = [Client::new(&url), Client::new(&url)];
    for browser in [&mut laptop, &mut phone] {
        assert_eq!(post(browser, "/login/al").await, "welcome, al\n");
    }
    let list = phone.get("/devices").await.json();
    let list = list.as_array().unwrap();
    let of = |is_this| list.iter().find(|device| device["isThis"] == is_this).unwrap();
    assert_eq!((list.len(), &of(true)["address"]), (2, &"127.0.0.1".into()));

    let other = of(false)["handle"].as_str().unwrap();
    let revoked = phone.delete(&format!("/devices/{other}")).await;
    assert_eq!(revoked.text(), "1 sessions ended\n");
    assert_eq!(laptop.delete("/devices").await.text(), "log in first\n");
    assert_eq!(post(&mut laptop, "/login/al").await, "welcome, al\n");
    assert_eq!(laptop.delete("/devices").await.text(), "2 sessions ended\n");
    assert_eq!(phone.delete("/devices").await.text(), "log in first\n");
}

#[test]
fn the_own_store_example_passes_the_conformance_suite() {
    let mut example = Program::start(path("own_store"), &[] as &[&str], &[]);
    let status = example.wait(Duration::from_secs(30));
    assert!(status.success(), "{}", example.text(Stream::Stderr));
    assert_eq!(example.text(Stream::Stdout), "the store fulfils the contract\n");
}

#[tokio::test]
async fn a_cross_site_form_is_rejected() {
    let (_example, url) = start("csrf", "");
    let mut browser = Client::new(&url);
    let mut from = async |site: &str, path: &str| {
        let request = browser.request(Method::POST, path).header("sec-fetch-site", site);
        let response = request.send().await;
        (response.status, response.text().to_owned())
    };
    assert_eq!(from("same-origin", "/login/al").await, (200, "welcome, al\n".to_owned()));
    let done = (200, "transferred by al\n".to_owned());
    assert_eq!(from("same-origin", "/transfer").await, done);
    assert_eq!(from("cross-site", "/transfer").await.0, 403);
    assert!(browser.jar().get("connect.sid").is_some(), "the request had the session cookie");
}

/// Follows the instructions of the README with its programs.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_programs_of_the_readme_work_as_described() {
    let redis = RedisServer::start();
    let (_example, url) = start("redis", &redis.url());
    let [mut browser, mut other] = [Client::new(&url), Client::new(&url)];
    assert_eq!(post(&mut browser, "/cart/tea").await, "");
    assert_eq!(post(&mut browser, "/login/al").await, "");
    assert_eq!(browser.get("/").await.text(), "welcome, al\ncart: [\"tea\"]\n");
    assert_eq!(browser.get("/").await.text(), "\ncart: [\"tea\"]\n");
    let login = other.request(Method::POST, "/login/al").header("user-agent", "phone");
    assert_eq!(login.send().await.status, 200);
    let devices = browser.get("/devices").await;
    assert!(devices.text().starts_with("phone\n"), "{}", devices.text());
    assert_eq!(devices.text().lines().count(), 2);
}

#[test]
fn the_readme_contains_the_redis_example() {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(manifest.join("examples/redis.rs")).unwrap();
    let program = &example[example.find("use axum::").unwrap()..];
    let readme = std::fs::read_to_string(manifest.join("README.md")).unwrap();
    assert!(
        readme.contains(program),
        "the program in the README must be that of examples/redis.rs"
    );
    assert!(program.lines().count() < 40);
}

#[test]
fn the_readme_lists_every_example_with_its_question() {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(manifest.join("README.md")).unwrap();
    let examples = std::fs::read_dir(manifest.join("examples")).unwrap();
    for path in examples.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let question = text.lines().next().unwrap().trim_start_matches("//! ");
        let question = question.split_inclusive('?').next().unwrap();
        let is_listed = readme.contains(&format!("`{name}`")) && readme.contains(question);
        // `probe` is for conformance tests, and the README contains `redis` itself.
        assert!(is_listed || ["probe", "redis"].contains(&name), "{name}: {question}");
    }
}

/// Starts an example that serves HTTP. It runs until the returned program is dropped.
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

/// Returns the path of an example. Cargo does not pass it to tests, but examples are built beside
/// them.
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
