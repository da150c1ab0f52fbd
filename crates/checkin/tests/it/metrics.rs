//! What Prometheus reads.

use std::io::Write;
use std::process::{Command, Stdio};

use testkit::{Client, Method, Response};

use crate::harness::{CHECKIN, PATIENCE, Site, accepted, at, expect_plain, log_in};

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
        }
    }
}
