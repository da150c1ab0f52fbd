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
const COUNTED: u64 = 300;

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
        for (service, path) in [("auth", "/healthz"), ("auth", "/session"), ("receiver", CHECKIN)] {
            let count = count(&site, service, path, &browser).await;
            instructions.insert(format!("{path} on {store}"), count);
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

/// Returns the instructions of a request, in user space: those of a run with more requests without those
/// of a run with fewer, so that the start and the end of the program do not count. One connection, one
/// request after the other.
async fn count(site: &Site, service: &str, path: &str, browser: &Client) -> u64 {
    let few = run(site, service, path, browser, 0..WARM_UP).await;
    let many = run(site, service, path, browser, WARM_UP..2 * WARM_UP + COUNTED).await;
    (many - few) / COUNTED
}

async fn run(site: &Site, service: &str, path: &str, browser: &Client, numbers: Range<u64>) -> u64 {
    let file = site.directory.path().join("callgrind");
    let limits: &[&str] = if service == "receiver" { &["--checkin-rate", "1000000"] } else { &[] };
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
    let mut service = Service::ready(Program::spawn(observed), "listening on port ");
    let mut client = service.client_like(browser);
    for number in numbers {
        let response = match path {
            CHECKIN => client.post(path, &at(1 + number % 200, number / 200)).await,
            _ => client.get(path).await,
        };
        assert!([200, 202].contains(&response.status), "{path}: {}", response.text());
    }
    service.program.stop();
    total(&file)
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
