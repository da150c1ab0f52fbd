//! `checkin top`: what a running deployment does.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use testkit::{Client, Program, Stream, until, wait_until};

use crate::harness::{Ended, Site, at, log_in, names};

/// Addresses at which nothing listens.
const NOBODY: [&str; 2] = ["http://127.0.0.1:1", "http://127.0.0.1:2/metrics"];

fn figures(site: &Site, arguments: &[&str]) -> Value {
    let shared = ["--json", "--count", "1", "--interval", "100ms"];
    let ended = site.run("top", &[&shared[..], arguments].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// As in `checkin top | head -1`.
#[test]
fn top_ends_when_nobody_reads_it() {
    let site = Site::sqlite();
    for format in [&[][..], &["--json"]] {
        let mut command = site.command("top", &[&["--interval", "50ms"], format].concat());
        let mut top = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(top.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let mut status = None;
        wait_until("top has ended", || {
            status = top.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn rates_and_lag_of_checkin_up() {
    let site = Site::sqlite();
    let (_up, ports) = site.up_everywhere(&[]);
    let urls = ports.each_ref().map(|(_, url)| url.as_str());
    let site = &site;
    let url = |of: &str| ports.iter().find(|(name, _)| *name == of).unwrap().1.clone();
    let mut client = Client::new(url("receiver"));
    let mut auth = Client::new(url("auth"));
    assert_eq!(log_in(&mut auth).await.status, 200);
    *client.jar_mut() = auth.jar().clone();

    let arguments =
        ["--json", "--interval", "200ms", "--metrics", &urls.join(","), "--metrics", NOBODY[0]];
    let top = site.start("top", &arguments);
    let mut location = 0;
    let mut last = Value::Null;
    until("top shows the check-ins", async || {
        location += 1;
        client.post("/api/checkin", &at(location % 200 + 1, 5)).await;
        let lines = top.lines();
        let figures = lines.iter().rev().filter(|line| line.stream == Stream::Stdout);
        let figures = figures.map(|line| serde_json::from_str::<Value>(&line.text).unwrap());
        let is_busy = |figures: &Value| {
            let rate = |name: &str| figures[name].as_f64().unwrap();
            rate("checkinsPerSecond") > 0.0 && rate("appliedPerSecond") > 0.0
        };
        last = figures.into_iter().find(is_busy).unwrap_or_default();
        !last.is_null()
    })
    .await;
    let services = last["services"].as_array().unwrap();
    let mut named: Vec<_> = services.iter().map(|row| row["service"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["api", "auth", "console", "receiver"], "{last}");
    assert_eq!(last["unanswered"][0]["address"], NOBODY[0], "{last}");
    assert!(last["unanswered"][0]["reason"].as_str().unwrap().contains("refused"), "{last}");
    // One processor, whose metrics all four ports show.
    assert_eq!(last["processors"].as_array().unwrap().len(), 1, "{last}");
    assert_eq!(last["processors"][0]["partitions"], 1.0, "{last}");
    assert_eq!(last["processors"][0]["held"], serde_json::json!([0]), "{last}");
    assert_eq!(last["sessions"], serde_json::json!({"number": 1, "isAtLeast": false}), "{last}");
    assert!(last["store"]["pingMs"].as_f64().unwrap() > 0.0 && last["store"]["error"].is_null());
    assert!(last["partitions"][0]["entries"].as_u64().unwrap() > 19_000, "{last}");
}

#[test]
fn what_does_not_answer_is_named_and_nothing_is_made() {
    let site = Site::empty_sqlite();
    let figures = figures(&site, &["--metrics", &NOBODY.join(",")]);
    let unanswered = figures["unanswered"].as_array().unwrap();
    let addresses: Vec<_> =
        unanswered.iter().map(|port| port["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    let error = figures["store"]["error"].as_str().unwrap();
    assert!(error.contains("there is no store at"), "{error}");
    let line = site.run("top", &["--count", "2", "--interval", "10ms", "--metrics", NOBODY[0]]);
    assert_eq!((line.code, line.stdout.lines().count()), (0, 2), "{line:?}");
    let no_answer = "no answer from http://127.0.0.1:1: Connection refused";
    for shown in ["check-ins 0.0/s", "store unavailable", no_answer] {
        assert!(line.stdout.contains(shown), "{shown}: {}", line.stdout);
    }
    assert!(names(site.directory.path()).is_empty());
    for (arguments, rule) in [
        (["--metrics", "127.0.0.1:8080"], "must be http://"),
        (["--interval", "0"], "must be longer than 0"),
        (["--count", "0"], "must be an integer from 1"),
    ] {
        let wrong = site.run("top", &arguments);
        assert!(wrong.code == 2 && wrong.stderr.contains(rule), "{wrong:?}");
    }
}

#[cfg(feature = "external-tests")]
#[test]
fn a_store_on_redis_is_watched_without_its_secret() {
    let site = Site::redis();
    let arguments = ["--json", "--count", "1", "--interval", "10ms", "--metrics", NOBODY[0]];
    let mut command = site.command("top", &arguments);
    command.env_remove("CHECKIN_SESSION_SECRET");
    let ended = Ended::of(Program::spawn(command));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let figures: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(figures["partitions"].as_array().unwrap().len(), 1, "{figures}");
    assert_eq!(figures["sessions"]["number"], 0, "{figures}");
}
