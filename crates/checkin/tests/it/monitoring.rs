//! The files in `deploy/` for those who watch the services: Prometheus and its alerts, and Grafana.
//!
//! `RECORD_VALUES=1 cargo test -p checkin --features external-tests --test it monitoring` writes the
//! values of the dashboard's expressions into `docs/metrics.md`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use testkit::{Client, Program};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{CHECKIN, PATIENCE, Service, Site, accepted, at};
use crate::metrics::{metrics_port, open_stream};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
const PROMETHEUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus");
const DASHBOARD: &str = include_str!("../../../../deploy/grafana/checkin.json");
const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yml");
const ALERTS_TEST: &str = include_str!("../../../../deploy/prometheus/alerts_test.yml");

/// The lines around the table of values.
const VALUES: [&str; 2] = ["<!-- values -->\n", "<!-- end of values -->\n"];

/// Runs Prometheus's own checker in the folder of its files.
fn promtool(args: &[&str]) {
    let checked = Command::new("promtool").args(args).current_dir(PROMETHEUS).output();
    let checked = checked.expect("promtool is missing: run scripts/test, or install prometheus");
    let said = String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "promtool {args:?}: {said}");
}

/// The names of the alerts.
fn alerts() -> Vec<&'static str> {
    ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn each_alert_is_tested_and_described() {
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
    let page = fs::read_to_string(PAGE).unwrap();
    assert!(alerts().len() >= 15, "{:?}", alerts());
    for alert in alerts() {
        for test in ["fires", "does not fire"] {
            let name = format!("- name: {alert} {test}\n");
            assert!(ALERTS_TEST.contains(&name), "alerts_test.yml lacks {name}");
        }
        assert!(page.contains(&format!("\n### {alert}\n")), "docs/metrics.md lacks {alert}");
    }
    let described: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(described, alerts().into_iter().collect(), "the runbooks of docs/metrics.md");
}

#[derive(Debug)]
struct Expression {
    panel: String,
    text: String,
}

/// The expressions of the dashboard, each with the title of its panel.
fn expressions() -> Vec<Expression> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let panel = text(&panel["title"]);
        let expression =
            move |target: Value| Expression { panel: panel.clone(), text: text(&target["expr"]) };
        targets.into_iter().map(expression)
    };
    panels.flat_map(of_panel).collect()
}

#[test]
fn the_dashboard_has_the_form_that_grafana_reads() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert_eq!((&dashboard["uid"], &dashboard["schemaVersion"]), (&"checkin".into(), &39.into()));
    let panels = dashboard["panels"].as_array().unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["name"], "datasource");
    let (mut ids, mut titles, mut places) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "twice: {panel}");
        assert!(titles.insert(panel["title"].as_str().unwrap()), "twice: {panel}");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(place[0] + place[2] <= 24 && places.insert((place[0], place[1])), "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{panel}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty());
        let names: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
        assert_eq!(names.len(), targets.len(), "{panel}");
        for target in targets {
            assert!(!target["expr"].as_str().unwrap().is_empty(), "{target}");
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
}

/// A Prometheus with the files of `deploy/`, which scrapes these ports five times a second.
fn prometheus(site: &Site, ports: &[String]) -> (Program, Client) {
    let folder = site.directory.path().join("prometheus");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("alerts.yml"), ALERTS).unwrap();
    let config = fs::read_to_string(format!("{PROMETHEUS}/prometheus.yml")).unwrap();
    let config = config.replace("_interval: 15s", "_interval: 200ms");
    let (before, targets) = config.split_once("targets: ").unwrap();
    let rest = targets.split_once('\n').unwrap().1;
    let ports = ports.iter().map(|port| port.trim_start_matches("http://"));
    let targets = serde_json::to_string(&ports.collect::<Vec<_>>()).unwrap();
    fs::write(folder.join("prometheus.yml"), format!("{before}targets: {targets}\n{rest}"))
        .unwrap();
    let mut command = Command::new("prometheus");
    command.current_dir(&folder).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--web.listen-address=127.0.0.1:0",
    ]);
    let program = Program::spawn(command);
    let line = program.wait_for_line("msg=\"Listening on\"", PATIENCE);
    let address = line.rsplit_once("address=").unwrap().1.to_owned();
    program.wait_for_line("Server is ready to receive web requests", PATIENCE);
    (program, Client::new(format!("http://{address}")))
}

/// Check-ins, logins, lookups and refusals, until it is dropped.
fn load(auth: &Service, receiver: &Service, api: &Service) -> AbortOnDropHandle<()> {
    let (mut login, mut receiver, mut api) = (auth.client(), receiver.client(), api.client());
    AbortOnDropHandle::new(tokio::spawn(async move {
        for number in 0.. {
            if number % 50 == 0 {
                crate::harness::log_in(&mut login).await;
                *receiver.jar_mut() = login.jar().clone();
                *api.jar_mut() = login.jar().clone();
            }
            accepted(&receiver.post(CHECKIN, &at(1 + number % 200, number % 6)).await);
            assert_eq!(api.get("/api/user/77").await.status, 200);
            assert_eq!(api.get("/api/user/0").await.status, 400);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }))
}

/// Asks until an expression has a value that is a number.
async fn value(prometheus: &mut Client, expression: &str) -> String {
    let query = expression.replace("$__rate_interval", "3s");
    let query = utf8_percent_encode(&query, NON_ALPHANUMERIC);
    let path = format!("/api/v1/query?query={query}");
    let mut shown = String::new();
    let has_value = async || {
        let answer: Value = prometheus.get(&path).await.json();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        shown = numbers(&answer["data"]["result"]);
        !shown.is_empty()
    };
    testkit::until(&format!("a value of {expression}"), has_value).await;
    shown
}

/// The first three series that are numbers, in the order of their labels.
fn numbers(result: &Value) -> String {
    let series = result.as_array().unwrap().iter().filter_map(|series| {
        let number: f64 = series["value"][1].as_str()?.parse().ok()?;
        let labels = series["metric"].as_object()?.iter();
        let labels =
            labels.filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()));
        let labels: Vec<&str> = labels.filter_map(|(_, label)| label.as_str()).collect();
        let number =
            if number.abs() >= 100.0 { format!("{number:.0}") } else { format!("{number:.4}") };
        let number = if number.contains('.') {
            number.trim_end_matches('0').trim_end_matches('.')
        } else {
            &number
        };
        (number != "NaN").then(|| format!("{} {number}", labels.join(" ")).trim().to_owned())
    });
    let mut series: Vec<String> = series.collect();
    series.sort();
    let shown = series.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    if series.len() > 3 { format!("{shown}; …") } else { shown }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_expression_has_a_value_on_a_running_system() {
    let site = Site::redis();
    let port = ["--metrics-listen", "127.0.0.1:0"];
    let (auth, api) = (site.auth(&port), site.api(&port));
    let receiver =
        site.receiver(&[&port[..], &["--checkin-rate", "0", "--duplicate-window", "0"]].concat());
    let processor = site.processor(&port);
    let programs = [&auth.program, &api.program, &receiver.program, &processor];
    let (_prometheus, mut prometheus) = prometheus(&site, &programs.map(metrics_port));
    site.redis_cli::<()>(&["XADD", "ncc:checkins", "*", "userId", "x"]);
    let _load = load(&auth, &receiver, &api);
    let visitor = auth.logged_in().await;
    let _stream = open_stream(&visitor, &format!("http://127.0.0.1:{}", api.port()));

    // The rates are those of the whole interval.
    value(&mut prometheus, "count_over_time(up[$__rate_interval]) >= 14").await;
    let mut table = "| panel | expression | value |\n| --- | --- | --- |\n".to_owned();
    for Expression { panel, text } in expressions() {
        let value = value(&mut prometheus, &text).await;
        table += &format!("| {panel} | `{text}` | {value} |\n");
    }
    let dead_letter = "(checkin_dead_letters_waiting{job=\"checkin\"}))` | 1 |";
    assert!(table.contains(dead_letter), "{table}");

    let mut rules = Value::Null;
    let are_evaluated = async || {
        rules = prometheus.get("/api/v1/rules").await.json();
        rules = rules["data"]["groups"][0]["rules"].take();
        rules.as_array().is_some_and(|rules| rules.iter().all(|rule| rule["health"] != "unknown"))
    };
    testkit::until("the rules are evaluated", are_evaluated).await;
    let rules = rules.as_array().unwrap();
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        for annotation in ["summary", "description", "runbook"] {
            assert!(rule["annotations"][annotation].is_string(), "{annotation}: {rule}");
        }
        let page = format!("docs/metrics.md#{}", rule["name"].as_str().unwrap().to_lowercase());
        assert_eq!(rule["annotations"]["runbook"], page.as_str());
    }
    check_page(&table);
}

/// The page has the same expressions in the same order.
fn check_page(table: &str) {
    let page = fs::read_to_string(PAGE).unwrap();
    let [begin, end] = VALUES;
    let (before, rest) = page.split_once(begin).unwrap();
    let (recorded, after) = rest.split_once(end).unwrap();
    if std::env::var_os("RECORD_VALUES").is_some() {
        fs::write(PAGE, format!("{before}{begin}\n{table}\n{end}{after}")).unwrap();
        return;
    }
    let expressions = |table: &str| -> Vec<String> {
        let columns =
            |row: &str| row.split(" | ").take(2).map(str::to_owned).collect::<Vec<_>>().join(" ");
        table.lines().filter(|row| row.starts_with('|')).map(columns).collect()
    };
    let advice = "RECORD_VALUES=1 records the values of the dashboard's expressions";
    assert_eq!(expressions(recorded), expressions(table), "{advice}");
}
