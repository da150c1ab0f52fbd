//! How commands start and end: settings that are wrong, streams, exit codes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testkit::{Program, RedisServer, Signal, Stream};

use crate::harness::{EMAIL, Ended, PATIENCE, SECRET, Site, USER, checkin, expect_plain, log_in};

/// A secret that is long enough.
const LONG: &str = "a secret of more than thirty-two bytes";

fn run(directory: &Path, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = checkin(directory);
    command.args(args).envs(env.iter().copied());
    Ended::of(Program::spawn(command))
}

/// A wrong setting: exit code 2, and one line that says all of this.
#[track_caller]
fn is_wrong(directory: &Path, args: &[&str], env: &[(&str, &str)], says: &[&str]) {
    let ended = run(directory, args, env);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?} {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{args:?} {ended:?}");
    for text in says {
        assert!(ended.stderr.contains(text), "{text} is not said: {ended:?}");
    }
}

fn lines_with(text: &str, words: &[&str]) -> usize {
    text.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[cfg(feature = "external-tests")]
#[test]
fn a_setting_that_is_wrong_ends_with_two() {
    let desk = TempDir::new().unwrap();
    let at = desk.path();
    let redis = RedisServer::start();
    is_wrong(at, &["auth", "--store", &redis.url()], &[], &["--session-secret"]);
    is_wrong(at, &["load", "--demo", "--store", &redis.url()], &[], &["CHECKIN_SESSION_SECRET"]);
    for (store, says) in [
        ("sqlite:a.db?mode=ro", "parameters"),
        ("sqlite:file:a.db", "path of a file"),
        ("sqlite::memory:?cache=shared", "path of a file"),
    ] {
        is_wrong(at, &["auth", "--store", store], &[], &["--store", says]);
    }
    fs::write(at.join("kept.db.session-secret"), "\n").unwrap();
    let kept = ["auth", "--store", "sqlite:kept.db"];
    is_wrong(at, &kept, &[], &["kept.db.session-secret", "must not be empty"]);
}

#[test]
fn a_secret_may_be_in_a_file() {
    let desk = TempDir::new().unwrap();
    let at = desk.path();
    for (name, text) in
        [("two-lines", "a\nb\n"), ("empty", "\n"), ("gap", "a,,b\n"), ("long", &"x".repeat(70_000))]
    {
        fs::write(at.join(name), text).unwrap();
        is_wrong(
            at,
            &["auth", "--session-secret-file", name],
            &[],
            &["--session-secret-file", "must"],
        );
    }
    fs::write(at.join("bytes"), b"\xff\xfe\n").unwrap();
    for name in ["absent", "bytes", "."] {
        is_wrong(at, &["auth", "--session-secret-file", name], &[], &["cannot be read"]);
    }
    fs::write(at.join("secret"), "file secret\n").unwrap();
    let both = ["auth", "--session-secret-file", "secret"];
    let env = [("CHECKIN_SESSION_SECRET", "hunter2")];
    is_wrong(at, &both, &env, &["--session-secret", "--session-secret-file", "must not both"]);
    fs::write(
        at.join("both.toml"),
        "session-secret = \"hunter2\"\nsession-secret-file = \"secret\"\n",
    )
    .unwrap();
    is_wrong(at, &["auth", "--config", "both.toml"], &[], &["must not both"]);
}

#[test]
fn the_address_of_the_store_is_read_from_a_file() {
    let site = Site::sqlite();
    let at = site.directory.path();
    fs::write(at.join("store"), format!("{}\n", site.store)).unwrap();
    let mut users = checkin(at);
    users.args(["users", "list", "--store-file", "store"]);
    let listed = Ended::of(Program::spawn(users));
    assert!(listed.code == 0 && listed.stdout.contains(EMAIL), "{listed:?}");

    let doctor = ["doctor", "--store-file", "store"];
    let env = [("CHECKIN_STORE", "redis://u:hunter2@h:1")];
    is_wrong(at, &doctor, &env, &["--store", "CHECKIN_STORE_FILE", "must not both"]);
    for text in ["redis://u:hunter2@h:x", "", "redis://h\nredis://i"] {
        fs::write(at.join("store"), text).unwrap();
        is_wrong(at, &doctor, &[], &["--store-file", "must"]);
    }
    is_wrong(at, &["doctor", "--store-file", "absent"], &[], &["--store-file", "cannot be read"]);
}

#[tokio::test]
async fn a_secret_in_a_file_signs_and_is_read_again_on_sighup() {
    let site = Site::sqlite();
    let file = site.directory.path().join("secret");
    fs::write(&file, format!("{LONG}\r\n")).unwrap();
    let auth = site.auth(&["--session-secret-file", file.to_str().unwrap()]);
    let al = auth.logged_in().await;
    let other = site.auth(&["--session-secret", LONG]);
    assert_eq!(other.client_like(&al).get("/session").await.status, 200, "the same secret");

    fs::write(&file, "another secret that is long enough for all").unwrap();
    auth.program.signal(Signal::SIGHUP);
    auth.program.wait_for_line("Session secrets reloaded.", PATIENCE);
    assert_eq!(auth.client_like(&al).get("/session").await.status, 401);
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
}

#[test]
fn a_log_never_gets_into_what_is_printed() {
    let site = Site::sqlite();
    let env = [("CHECKIN_STOER", "hunter2"), ("CHECKIN_SERVICE_HOST", "10.0.0.1")];
    let mut export = checkin(site.directory.path());
    export.args(["export", "--user", EMAIL, "--store", &site.store]).envs(env);
    let export = Ended::of(Program::spawn(export));
    serde_json::from_str::<serde_json::Value>(&export.stdout).unwrap();
    assert_eq!(export.stderr.lines().count(), 1, "{}", export.stderr);
    let warning = ["WARN", "CHECKIN_STOER", "did you mean CHECKIN_STORE?"];
    assert_eq!(lines_with(&export.stderr, &warning), 1, "{}", export.stderr);
    assert!(!export.stderr.contains("hunter2"));

    let mut auth = checkin(site.directory.path());
    auth.args(["auth", "--listen", "127.0.0.1:0", "--store", &site.store]).envs(env);
    let auth = Program::spawn(auth);
    auth.wait_for_line("listening on port", PATIENCE);
    assert_eq!(lines_with(&auth.text(Stream::Stdout), &warning), 1);
    assert_eq!(auth.text(Stream::Stderr), "");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let site = Site::sqlite();
    let user = USER.to_string();
    let head = |args: &[&str]| {
        let mut command: Command = checkin(site.directory.path());
        command.args(args).env("CHECKIN_STORE", &site.store);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        if args[0] != "--help" {
            BufReader::with_capacity(16, child.stdout.take().unwrap())
                .read_line(&mut first)
                .unwrap();
        }
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
        assert_eq!(ended.status.code(), Some(0), "{args:?}");
    };
    for format in ["json", "csv", "gpx", "ics"] {
        head(&["export", "--user", &user, "--format", format]);
    }
    head(&["doctor"]);
    head(&["doctor", "--verify"]);
    head(&["dead-letters", "list"]);
    head(&["load", "--demo"]);
    head(&["--help"]);
}

#[cfg(feature = "external-tests")]
#[test]
fn the_doctor_looks_at_the_secret() {
    let site = Site::redis();
    let file = site.directory.path().join("secret");
    fs::write(&file, "five!\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut doctor = checkin(site.directory.path());
    doctor.args(["doctor", "--store", &site.store, "--session-secret-file", "secret"]);
    let doctor = Ended::of(Program::spawn(doctor)).stdout;
    assert_eq!(lines_with(&doctor, &["warning", "shorter than 32 bytes"]), 1, "{doctor}");
    assert_eq!(lines_with(&doctor, &["warning", "other users", "secret"]), 1, "{doctor}");
    assert_eq!(lines_with(&doctor, &["chmod 600"]), 1, "{doctor}");
    assert!(!doctor.contains("five!"), "{doctor}");

    let mut auth = checkin(site.directory.path());
    auth.args(["auth", "--listen", "127.0.0.1:0", "--store", &site.store]);
    let auth = Program::spawn({
        auth.args(["--session-secret-file", "secret"]);
        auth
    });
    auth.wait_for_line("listening on port", PATIENCE);
    let log = auth.text(Stream::Stdout);
    assert_eq!(lines_with(&log, &["WARN", "shorter than 32 bytes", "openssl"]), 1, "{log}");
    assert_eq!(lines_with(&log, &["WARN", "other users"]), 1, "{log}");
    let fine = site.run("doctor", &["--session-secret", SECRET]).stdout;
    assert_eq!(lines_with(&fine, &["ok", "long enough"]), 1, "{fine}");
}
