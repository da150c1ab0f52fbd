//! What a request costs in instructions, beside the figures in the repository, so that a change that makes
//! a request more expensive is seen. The program is the one that all tests run, in which our own crates are not
//! optimised; `make instructions` counts those of a release build.
//!
//! If a change is meant to change them: `RECORD_COSTS=1 cargo test -p checkin --features external-tests
//! --test it costs` records the new figures. Figures of different compilers are not comparable, so with
//! another one the figures are only counted.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use testkit::{Client, Program};

use crate::harness::{CHECKIN, Service, Site, at};

/// The requests that fill the caches, and those that are counted.
const WARM_UP: u64 = 20;
const COUNTED: u64 = 100;

/// How much a figure may differ from the recorded one, in percent.
const TOLERANCE: f64 = 5.0;

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/debug_figures.json");

/// Instructions by request and store.
#[derive(Debug, Deserialize, Serialize)]
struct Costs {
    compiler: String,
    instructions: BTreeMap<String, u64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_costs_what_is_recorded() {
    let mut instructions = BTreeMap::new();
    for (store, site) in [("Redis", Site::redis()), ("SQLite", Site::sqlite())] {
        let browser = site.auth(&[]).logged_in().await;
        for (service, paths) in [("auth", &["/healthz", "/session"][..]), ("receiver", &[CHECKIN])]
        {
            for (path, count) in count(&site, service, paths, &browser).await {
                instructions.insert(format!("{path} on {store}"), count);
            }
        }
    }
    let now = Costs { compiler: compiler(), instructions };
    if std::env::var_os("RECORD_COSTS").is_some() {
        fs::write(FIGURES, serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
    }
    let recorded: Costs = serde_json::from_str(&fs::read_to_string(FIGURES).unwrap()).unwrap();
    println!("{now:#?}");
    if recorded.compiler == now.compiler {
        assert_eq!(differences(&recorded, &now), [""; 0], "RECORD_COSTS=1 records what is meant");
    }
}

/// Returns the figures that differ too much.
fn differences(recorded: &Costs, now: &Costs) -> Vec<String> {
    let differs = |(what, count): (&String, &u64)| {
        let before = recorded.instructions.get(what).copied().unwrap_or_default();
        let percent = (*count as f64 / before as f64 - 1.0) * 100.0;
        let is_like = percent.abs() <= TOLERANCE;
        (!is_like).then(|| format!("{what}: {count} instead of {before} ({percent:+.1} %)"))
    };
    now.instructions.iter().filter_map(differs).collect()
}

#[test]
fn a_difference_is_seen() {
    let costs = |count| Costs {
        compiler: String::new(),
        instructions: [("/healthz on Redis".to_owned(), count)].into(),
    };
    assert_eq!(differences(&costs(1000), &costs(1049)), [""; 0]);
    let seen = ["/healthz on Redis: 1060 instead of 1000 (+6.0 %)"];
    assert_eq!(differences(&costs(1000), &costs(1060)), seen);
    assert_eq!(differences(&costs(1000), &costs(940)).len(), 1);
}

/// Returns the instructions of a request to each path, in user space, without those of the start and the
/// end of the program. One connection, one request after the other.
async fn count<'a>(
    site: &Site,
    service: &str,
    paths: &[&'a str],
    browser: &Client,
) -> Vec<(&'a str, u64)> {
    let file = site.directory.path().join("callgrind");
    let mut service = observed(site, service, &file);
    let mut client = service.client_like(browser);
    let mut counts = Vec::new();
    for (path, dump) in paths.iter().zip(1..) {
        ask(&mut client, path, 0..WARM_UP).await;
        control(&service, "--zero");
        ask(&mut client, path, WARM_UP..WARM_UP + COUNTED).await;
        control(&service, "--dump");
        counts.push((*path, total(&file.with_extension(dump.to_string())) / COUNTED));
    }
    service.program.stop();
    counts
}

/// Starts a service whose instructions are counted.
fn observed(site: &Site, service: &str, file: &Path) -> Service {
    // What is done again after a time, and not with each request, would be counted more often on a slow machine.
    let limits: &[&str] = match service {
        "receiver" => &["--checkin-rate", "1000000", "--session-cache", "10s"],
        _ => &[],
    };
    let command = site.command(service, limits);
    let mut observed = Command::new("valgrind");
    observed
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(site.directory.path())
        .env("TOKIO_WORKER_THREADS", "1");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => observed.env(name, value),
            None => observed.env_remove(name),
        };
    }
    Service::ready(Program::spawn(observed), "listening on port ")
}

async fn ask(client: &mut Client, path: &str, numbers: Range<u64>) {
    for number in numbers {
        let response = match path {
            CHECKIN => client.post(path, &at(1 + number % 200, number / 200)).await,
            _ => client.get(path).await,
        };
        assert!([200, 202].contains(&response.status), "{path}: {}", response.text());
    }
}

/// Sets the counts to zero, or writes them to the next file.
fn control(service: &Service, what: &str) {
    let pid = service.program.pid().to_string();
    let done = Command::new("callgrind_control").args([what, &pid]).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("OK."), "{what}: {done:?}");
}

fn total(file: &Path) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse().unwrap()
}

/// Returns the version of the compiler, and what it compiles for.
fn compiler() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    format!("{} {}", field("release: "), field("host: "))
}
