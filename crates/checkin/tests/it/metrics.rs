//! What Prometheus reads.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use testkit::{Client, Method, Program, Response};

use crate::harness::{
    CHECKIN, PATIENCE, STORE_TIMEOUT, Site, accepted, at, expect_plain, log_in, until,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What Prometheus 2 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

async fn metrics(client: &mut Client, accept: &str) -> Response {
    let answer = client.request(Method::GET, "/metrics").header("accept", accept).send().await;
    assert_eq!(answer.status, 200);
    answer
}

/// Prometheus's own linter.
fn expect_valid(service: &str, text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: run scripts/test, or install the Debian package prometheus");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{service}: {said}\n{text}");
}

#[tokio::test]
async fn every_service_has_metrics_in_both_formats() {
    let site = Site::sqlite();
    let (_up, services) = site.up_everywhere(&[]);
    let processor = site.start("processor", &["--listen", "127.0.0.1:0"]);
    let port = processor.wait_for_line("Checkin processor listening on port ", PATIENCE);
    let port = port.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
    let mut console = Client::new(&services[3].1);
    expect_plain(&log_in(&mut console).await, 200, "OK");
    accepted(&console.post(CHECKIN, &at(2, 5)).await);
    let processor = ("processor", format!("http://127.0.0.1:{port}"));
    for (service, url) in services.into_iter().chain([processor]) {
        let mut client = Client::new(url);
        for accept in ["", "*/*", "text/plain;version=0.0.4"] {
            let text = metrics(&mut client, accept).await;
            let content_type = text.header("content-type");
            assert_eq!(content_type, Some("text/plain; version=0.0.4; charset=utf-8"), "{accept}");
            expect_valid(service, text.text());
        }
        let open = metrics(&mut client, PROMETHEUS).await;
        assert_eq!(open.header("content-type"), Some(OPEN_METRICS));
        assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
        let requests = format!("http_requests_total{{service=\"{service}\"");
        for text in [open.text(), metrics(&mut client, "").await.text()] {
            assert!(text.contains(&requests), "{service}: {text}");
            for process in
                ["checkin_build_info{", "process_open_fds{", "checkin_store_commands_total{"]
            {
                assert!(text.contains(process), "{service} has no {process}: {text}");
            }
        }
    }
}

/// The address of the port of `--metrics-listen`.
pub(crate) fn metrics_port(program: &Program) -> String {
    let line = program.wait_for_line("Metrics listening on port ", PATIENCE);
    format!("http://127.0.0.1:{}", line.trim_end_matches('.').rsplit(' ').next().unwrap())
}

#[tokio::test]
async fn a_port_of_its_own_shows_the_metrics_of_all_services() {
    let site = Site::sqlite();
    let (up, services) = site.up_everywhere(&["--metrics-listen", "127.0.0.1:0"]);
    let mut all = Client::new(metrics_port(&up));
    for (service, url) in &services {
        let mut client = Client::new(url);
        assert_eq!(client.get("/healthz").await.status, 200, "{service}");
        assert_eq!(client.get("/metrics").await.status, 404, "{service}");
        let document: serde_json::Value = client.get("/openapi.json").await.json();
        assert_eq!(document["paths"]["/metrics"], serde_json::Value::Null, "{service}");
    }
    for probe in ["/healthz", "/readyz"] {
        expect_plain(&all.get(probe).await, 200, "OK");
    }
    assert_eq!(all.get("/login").await.status, 404);
    let text = metrics(&mut all, "").await;
    expect_valid("up", text.text());
    let open = metrics(&mut all, PROMETHEUS).await;
    for (service, _) in &services {
        let requests = format!(
            "http_requests_total{{service=\"{service}\",method=\"GET\",route=\"/healthz\",status=\"200\"}} 1"
        );
        assert!(text.text().contains(&requests) && open.text().contains(&requests), "{requests}");
    }
    let waiting = "checkin_backlog{service=\"processor\",partition=\"0\"} 0\n";
    let ask = async || all.get("/metrics").await;
    until(waiting, ask, |metrics| metrics.text().contains(waiting)).await;
    assert!(!text.text().contains("service=\"metrics\""), "its own requests are not counted");

    let receiver = site.receiver(&["--metrics-listen", "127.0.0.1:0"]);
    assert_eq!(receiver.client().get("/metrics").await.status, 404);
    let processor = site.processor(&["--metrics-listen", "127.0.0.1:0"]);
    for (service, program) in [("receiver", &receiver.program), ("processor", &processor)] {
        let mut client = Client::new(metrics_port(program));
        let text = metrics(&mut client, "").await;
        let info = format!("checkin_build_info{{service=\"{service}\",version=\"");
        assert!(text.text().contains(&info), "{}", text.text());
        expect_plain(&client.get("/readyz").await, 200, "OK");
    }
    let taken = site.run("auth", &["--metrics-listen", &services[0].1.replace("http://", "")]);
    assert_eq!(taken.code, 1);
    assert!(taken.stderr.contains("choose another address with --metrics-listen"), "{taken:?}");
}

/// A metric as the text format describes it: its name, its type, and the names of its labels.
type Described = (String, String, BTreeSet<String>);

fn described(text: &str) -> BTreeSet<Described> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let described = |(name, kind): (&str, &str)| {
        let sample = match kind {
            "histogram" => format!("{name}_count{{"),
            _ => format!("{name}{{"),
        };
        let labels = text.lines().filter_map(|line| line.strip_prefix(&sample)?.split_once('}'));
        let names = labels.flat_map(|(labels, _)| labels.split("\",")).filter_map(|label| {
            let name = label.split('=').next()?;
            (name != "service").then(|| name.to_owned())
        });
        (name.to_owned(), kind.to_owned(), names.collect())
    };
    types.map(described).collect()
}

/// The metrics that a page lists.
fn listed(page: &str) -> BTreeSet<Described> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let listed = |row: &str| {
        let [_, name, kind, labels, ..] = row.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let labels = labels.split('`').filter(|label| !label.trim().is_empty());
        let is_type = ["counter", "gauge", "histogram"].contains(&kind);
        let name = name.trim_matches('`').to_owned();
        is_type.then(|| (name, kind.to_owned(), labels.map(str::to_owned).collect()))
    };
    rows.filter_map(listed).collect()
}

#[tokio::test]
async fn the_page_lists_all_metrics() {
    let page = include_str!("../../../../docs/metrics.md");
    for site in [Site::redis(), Site::sqlite()] {
        let (up, auth, mut receiver) = site.up(&["--metrics-listen", "127.0.0.1:0"]);
        let mut auth = auth;
        expect_plain(&log_in(&mut auth).await, 200, "OK");
        *receiver.jar_mut() = auth.jar().clone();
        accepted(&receiver.post(CHECKIN, &at(2, 5)).await);
        let mut all = Client::new(metrics_port(&up));
        let ask = async || all.get("/metrics").await;
        let has_log = |metrics: &Response| metrics.text().contains("checkin_log_entries{");
        let metrics = until("the log is measured", ask, has_log).await;
        let (has, lists) = (described(metrics.text()), listed(page));
        let missing: Vec<_> = has.difference(&lists).collect();
        let surplus: Vec<_> = lists.difference(&has).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "missing {missing:?}, surplus {surplus:?}"
        );
        assert!(has.len() > 25, "{has:?}");
    }
}

/// The value of the first sample that begins like this.
pub(crate) fn value(metrics: &Response, sample: &str) -> f64 {
    let line = metrics.text().lines().find(|line| line.starts_with(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample}:\n{}", metrics.text()));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// What the store does not answer is counted, and nobody who reads the metrics waits for it.
#[tokio::test]
async fn an_outage_of_the_store_is_counted() {
    let site = Site::redis();
    let (up, mut auth, mut receiver) =
        site.up(&["--metrics-listen", "127.0.0.1:0", "--store-timeout", STORE_TIMEOUT]);
    let mut all = Client::new(metrics_port(&up));
    expect_plain(&log_in(&mut auth).await, 200, "OK");
    *receiver.jar_mut() = auth.jar().clone();
    // The cache answers when its connection is up.
    let mut before = all.get("/metrics").await;
    for location in 1.. {
        accepted(&receiver.post(CHECKIN, &at(location, 5)).await);
        before = all.get("/metrics").await;
        if value(&before, "checkin_session_cache_hits_total{") >= 1.0 {
            break;
        }
    }
    assert_eq!(
        value(&before, "checkin_store_failures_total{service=\"up\",reason=\"timeout\"}"),
        0.0
    );
    assert!(
        value(&before, "checkin_store_commands_total{service=\"up\",operation=\"append\"}") >= 1.0
    );
    assert_eq!(
        value(&before, "checkin_lease_changes_total{service=\"processor\",change=\"acquired\"}"),
        1.0
    );
    let opened = value(&before, "checkin_store_connections_opened_total{");
    assert!(opened >= 2.0, "one for commands and one for the cache: {opened}");

    site.server().pause();
    assert_eq!(receiver.post(CHECKIN, &at(4, 5)).await.status, 503);
    let during = all.get("/metrics").await;
    assert_eq!(during.status, 200);
    assert!(
        value(&during, "checkin_store_failures_total{service=\"up\",reason=\"timeout\"}") >= 1.0
    );
    let mut ask = async || all.get("/metrics").await;
    let is_lost =
        |metrics: &Response| value(metrics, "checkin_session_cache_lease_losses_total{") >= 1.0;
    until("the lease is lost", &mut ask, is_lost).await;
    site.server().resume();
    let again =
        |metrics: &Response| value(metrics, "checkin_store_connections_opened_total{") > opened;
    until("a new connection", ask, again).await;
}

/// Each reason to refuse a request, and the streams that are open.
#[tokio::test]
async fn throttles_and_streams_are_counted() {
    let site = Site::sqlite();
    let (up, services) = site.up_everywhere(&[
        "--metrics-listen",
        "127.0.0.1:0",
        "--checkin-rate",
        "1",
        "--duplicate-window",
        "0",
    ]);
    let mut all = Client::new(metrics_port(&up));
    let mut console = Client::new(&services[3].1);
    expect_plain(&log_in(&mut console).await, 200, "OK");
    let mut refused = 0;
    while refused == 0 {
        refused = u32::from(console.post(CHECKIN, &at(2, 5)).await.status == 429);
    }
    let wrong = serde_json::json!({"email": "nobody@example.com", "password": "wrong password"});
    let mut stranger = Client::new(&services[0].1);
    while stranger.post("/login", &wrong).await.status != 429 {}
    let throttled =
        |reason| format!("checkin_throttled_total{{service=\"up\",reason=\"{reason}\"}}");
    let metrics = all.get("/metrics").await;
    for (reason, count) in
        [("checkin_rate", 1.0), ("account_failures", 1.0), ("address_failures", 0.0)]
    {
        assert_eq!(value(&metrics, &throttled(reason)), count, "{reason}");
    }
    assert_eq!(value(&metrics, "checkin_event_streams{"), 0.0);
    let stream = open_stream(&console, &services[3].1);
    let ask = async || all.get("/metrics").await;
    let open =
        |count: f64| move |metrics: &Response| value(metrics, "checkin_event_streams{") == count;
    until("a stream is open", ask, open(1.0)).await;
    drop(stream);
    until("no stream is open", async || all.get("/metrics").await, open(0.0)).await;
}

/// Opens an event stream, which nobody reads.
pub(crate) fn open_stream(browser: &Client, url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let cookie = browser.jar().header().unwrap();
    let path = "/api/checkins/stream";
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n").unwrap();
    stream
}
