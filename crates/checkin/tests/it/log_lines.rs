//! Log lines as JSON, for programs that read them.

use serde_json::Value;
use testkit::Stream;

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, PATIENCE, STORE_TIMEOUT, Site, accepted, at, expect_plain,
    log_in,
};

/// The lines that are JSON; `up` also prints the addresses of its services.
fn lines(output: &str) -> Vec<Value> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn each_line_has_its_service_and_the_version() {
    let site = Site::sqlite();
    let (mut up, mut auth, mut receiver) =
        site.up(&["--log-format", "json", "--log-level", "debug"]);
    assert_eq!(receiver.post(CHECKIN, &at(2, 5)).await.status, 401);
    up.wait_for_line("Rejecting checkin", PATIENCE);
    expect_plain(&log_in(&mut auth).await, 200, "OK");
    *receiver.jar_mut() = auth.jar().clone();
    accepted(&receiver.post(CHECKIN, &at(2, 5)).await);
    let cookie = auth.jar().get(COOKIE).unwrap().to_owned();
    up.stop();
    let output = up.text(Stream::Stdout);
    for secret in [EMAIL, PASSWORD, cookie.as_str()] {
        assert!(
            !output
                .replace("demo login", "")
                .lines()
                .any(|line| line.starts_with('{') && line.contains(secret)),
            "{secret}: {output}"
        );
    }
    let lines = lines(&output);
    assert!(lines.len() >= 6, "{output}");
    for line in &lines {
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"), "{line}");
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
    let service = |message: &str| {
        let line = lines.iter().find(|line| line["message"].as_str().unwrap().starts_with(message));
        line.unwrap_or_else(|| panic!("no {message:?}: {output}"))["service"].clone()
    };
    assert_eq!(service("Authentication service listening on port"), "auth");
    assert_eq!(service("Authentication enabled"), "receiver");
    assert_eq!(service("API service listening"), "api");
    assert_eq!(service("Console listening"), "console");
    assert_eq!(service("Rejecting checkin - no valid user session found."), "receiver");
}

#[tokio::test]
async fn a_processor_and_the_process_have_their_names() {
    let site = Site::redis();
    site.redis_cli::<()>(&["XADD", "ncc:checkins", "*", "userId", "x"]);
    let mut up = site.up(&["--log-format", "json", "--store-timeout", STORE_TIMEOUT]).0;
    let dead = up.wait_for_line("entries of the log cannot be applied", PATIENCE);
    let dead: Value = serde_json::from_str(&dead).unwrap();
    assert_eq!(dead["service"], "processor", "{dead}");
    site.server().pause();
    up.wait_for_line("the store is unavailable", PATIENCE);
    site.server().resume();
    up.wait_for_line("the store is available again", PATIENCE);
    let processor = site.processor(&["--log-format", "json"]);
    let started: Value =
        serde_json::from_str(&processor.wait_for_line("Checkin processor", PATIENCE)).unwrap();
    assert_eq!(started["service"], "processor", "{started}");
    up.stop();
    let again = lines(&up.text(Stream::Stdout))
        .into_iter()
        .find(|line| line["message"].as_str().unwrap().contains("available again"))
        .unwrap();
    assert_eq!(again["service"], "up", "the outage is that of the process: {again}");
}

/// A command that is no service has its own name.
#[test]
fn a_command_has_its_name() {
    let site = Site::sqlite();
    let mut command = site.command("doctor", &["--log-format", "json"]);
    command.env("CHECKIN_NOTHING", "1");
    let mut doctor = testkit::Program::spawn(command);
    doctor.wait(PATIENCE);
    let warnings = lines(&doctor.text(Stream::Stderr));
    assert_eq!(warnings[0]["service"], "doctor", "{warnings:?}");
}
