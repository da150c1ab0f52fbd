//! Session secrets that are replaced while services run.

use std::fs;

use testkit::{Client, Program, Signal, Stream, signature, wait_until};

use crate::harness::{
    CHECKIN, COOKIE, PATIENCE, Site, accepted, at, checkin, expect_plain, log_in,
};

const RELOADED: &str = "Session secrets reloaded.";
const REFUSED: &str = "cannot reload the session secrets, the ones in use are kept: ";
const FIRST: &str = "the secret of the last quarter";
const SECOND: &str = "the secret of this quarter";

/// A configuration file with these lines, whose name is told as a flag.
fn configure(site: &Site, lines: &str) -> [String; 2] {
    let file = site.directory.path().join("settings.toml");
    fs::write(&file, lines).unwrap();
    ["--config".to_owned(), file.to_str().unwrap().to_owned()]
}

fn with_secrets(site: &Site, secrets: &[&str]) -> [String; 2] {
    configure(site, &format!("session-secret = {secrets:?}\n"))
}

/// Sends SIGHUP, and waits until one line more says so.
fn hang_up(program: &Program, says: &str) {
    let count = || program.text(Stream::Stdout).matches(says).count();
    let before = count();
    program.signal(Signal::SIGHUP);
    wait_until(says, || count() > before);
}

fn is_signed_with(client: &Client, secret: &str) -> bool {
    let value = signature::decode(client.jar().get(COOKIE).unwrap()).unwrap();
    signature::unsign(&value, secret).is_some()
}

#[tokio::test]
async fn a_running_service_takes_new_secrets_and_nobody_is_logged_out() {
    let site = Site::sqlite();
    let [flag, file] = with_secrets(&site, &[FIRST]);
    let mut auth = site.auth(&[&flag, &file]);
    let mut old = auth.logged_in().await;
    assert!(is_signed_with(&old, FIRST));

    with_secrets(&site, &[SECOND, FIRST]);
    hang_up(&auth.program, RELOADED);
    let mut renewed = old.clone();
    let session = renewed.get("/session").await;
    assert_eq!((session.status, session.set_cookies().len()), (200, 1));
    assert!(is_signed_with(&renewed, SECOND));

    with_secrets(&site, &[SECOND]);
    hang_up(&auth.program, RELOADED);
    let session = renewed.get("/session").await;
    assert_eq!((session.status, session.set_cookies().len()), (200, 0));
    expect_plain(&old.get("/session").await, 401, "Authentication required.");

    assert_eq!(auth.program.stop().code(), Some(0));
    let said = auth.program.text(Stream::Stdout) + &auth.program.text(Stream::Stderr);
    assert!(!said.contains(FIRST) && !said.contains(SECOND), "{said}");
}

#[tokio::test]
async fn all_services_of_a_process_take_them() {
    let site = Site::sqlite();
    let [flag, file] = with_secrets(&site, &[FIRST]);
    let (program, mut at_auth, mut at_receiver) = site.up(&[&flag, &file]);
    expect_plain(&log_in(&mut at_auth).await, 200, "OK");
    *at_receiver.jar_mut() = at_auth.jar().clone();
    accepted(&at_receiver.post(CHECKIN, &at(3, 1)).await);

    with_secrets(&site, &[SECOND]);
    hang_up(&program, RELOADED);
    let refused = at_receiver.post(CHECKIN, &at(3, 2)).await;
    expect_plain(&refused, 401, "Authentication required.");
    expect_plain(&log_in(&mut at_auth).await, 200, "OK");
    *at_receiver.jar_mut() = at_auth.jar().clone();
    accepted(&at_receiver.post(CHECKIN, &at(3, 2)).await);
}

#[tokio::test]
async fn wrong_settings_change_nothing() {
    let site = Site::sqlite();
    let [flag, file] = with_secrets(&site, &[FIRST]);
    let mut auth = site.auth(&[&flag, &file]);
    let mut al = auth.logged_in().await;
    for (lines, named) in [
        ("session-secret = \"hunter2,,old\"\n", "session-secret"),
        ("session-secret = \"hunter2\n", "line 1"),
        ("session-secret = \"hunter2\"\ncolour = \"red\"\n", "colour"),
        ("session-secret = \"hunter2\"\nstore = \"redis://u:hunter2@h:x\"\n", "store"),
    ] {
        configure(&site, lines);
        hang_up(&auth.program, REFUSED);
        let said = auth.program.text(Stream::Stdout);
        let line = said.lines().rfind(|line| line.contains(REFUSED)).unwrap();
        assert!(line.contains("ERROR") && line.contains("settings.toml"), "{line}");
        assert!(line.contains(named) && !said.contains("hunter2"), "{said}");
        let session = al.get("/session").await;
        assert_eq!((session.status, session.set_cookies().len()), (200, 0));
    }
    fs::remove_file(&file).unwrap();
    hang_up(&auth.program, REFUSED);
    assert_eq!(al.get("/session").await.status, 200);
    assert!(!auth.program.text(Stream::Stdout).contains(RELOADED));
    assert!(auth.program.is_running());
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_variable_goes_before_the_file_that_is_read_again() {
    // The harness sets the secret of a site on Redis as a variable.
    let site = Site::redis();
    let [flag, file] = configure(&site, "");
    let auth = site.auth(&[&flag, &file]);
    let mut al = auth.logged_in().await;
    with_secrets(&site, &[FIRST]);
    hang_up(&auth.program, RELOADED);
    let session = al.get("/session").await;
    assert_eq!((session.status, session.set_cookies().len()), (200, 0));
}

#[tokio::test]
async fn a_service_without_a_secret_of_its_own_keeps_what_it_has() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&["--no-auth"]));
    let mut al = auth.logged_in().await;
    for program in [&auth.program, &receiver.program] {
        hang_up(program, "No session secret is set, the one in use is kept.");
    }
    assert_eq!(al.get("/session").await.status, 200);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn redis_needs_a_secret_when_the_settings_are_read_again_too() {
    let site = Site::redis();
    let [flag, file] = with_secrets(&site, &[FIRST]);
    let mut command = checkin(site.directory.path());
    command.args(["auth", "--listen", "127.0.0.1:0", "--store", &site.store, &flag, &file]);
    let program = Program::spawn(command);
    program.wait_for_line("Authentication service listening", PATIENCE);
    configure(&site, "");
    hang_up(&program, REFUSED);
    assert!(program.text(Stream::Stdout).contains("CHECKIN_SESSION_SECRET"));
}
