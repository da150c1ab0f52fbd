//! Traces, as a collector of OpenTelemetry gets them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;
use testkit::{Client, Method};

use crate::harness::{
    CHECKIN, EMAIL, PASSWORD, STORE_TIMEOUT, Service, Site, accepted, at, expect_plain, log_in,
    session_id, until,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// The attributes of a resource, and one of its spans.
type Got = (Vec<KeyValue>, Span);

/// A collector, and what it has got.
struct Collector {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Collector {
    async fn start() -> Self {
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let take = Arc::clone(&got);
        let receive = async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap().attributes;
                for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    take.lock().unwrap().push((resource.clone(), span));
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(receive));
        tokio::spawn(async move { serve(listener, routes).await });
        Self { url, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits for a span, and returns it with its resource.
    async fn span(&self, what: &str, is: impl Fn(&Span) -> bool) -> Got {
        let find = || self.got().into_iter().find(|(_, span)| is(span));
        testkit::until(what, async || find().is_some()).await;
        find().unwrap()
    }
}

/// Serves HTTP/1 until the runtime ends.
async fn serve(listener: tokio::net::TcpListener, routes: Router) {
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(routes.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn get(service: &Service, path: &str, traceparent: &[&str]) {
    let mut client = service.client();
    let mut request = client.request(Method::GET, path);
    for value in traceparent {
        request = request.header("traceparent", value);
    }
    request.send().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_store_are_spans_of_the_callers_trace() {
    for site in [Site::redis(), Site::sqlite()] {
        let collector = Collector::start().await;
        let auth = site.auth(&["--otlp-endpoint", &collector.url]);
        let mut browser = auth.client();
        let login = browser
            .request(Method::POST, "/login")
            .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
            .json(&json!({"email": EMAIL, "password": PASSWORD}));
        assert_eq!(login.send().await.status, 200);
        // None of these is in a trace that is exported.
        get(&auth, "/session", &[&format!("00-{TRACE}-{PARENT}-00")]).await;
        get(&auth, "/healthz", &[]).await;
        // Each of these begins a trace.
        let valid = format!("00-{TRACE}-{PARENT}-01");
        let odd = ["00-xyz-1-01", "ff-0-0-0", &format!("00-{}-{PARENT}-01", "0".repeat(32))];
        for traceparent in odd {
            get(&auth, "/logout", &[traceparent]).await;
        }
        get(&auth, "/logout", &[&valid, &valid]).await;
        get(&auth, "/no/such/path/al.appelhof@example.com", &[]).await;
        collector.span("the last span", |span| span.name == "GET").await;

        let (resource, login) =
            collector.span("the login", |span| span.name == "POST /login").await;
        assert_eq!(
            (hex(&login.trace_id), hex(&login.parent_span_id)),
            (TRACE.into(), PARENT.into())
        );
        assert_eq!(login.kind, SpanKind::Server as i32);
        for (key, value) in [
            ("http.request.method", "POST"),
            ("http.route", "/login"),
            ("http.response.status_code", "200"),
            ("url.scheme", "http"),
        ] {
            assert_eq!(attribute(&login.attributes, key).as_deref(), Some(value), "{key}");
        }
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(attribute(&resource, "service.name").as_deref(), Some("auth"));
        assert_eq!(attribute(&resource, "service.version").as_deref(), Some(version));

        let got = collector.got();
        let of_store = |span: &Span| span.kind == SpanKind::Client as i32;
        let system = if site.store.starts_with("sqlite") { "sqlite" } else { "redis" };
        let stored: Vec<&Span> = got
            .iter()
            .map(|(_, span)| span)
            .filter(|span| of_store(span) && span.parent_span_id == login.span_id)
            .collect();
        assert!(stored.len() >= 2, "{got:?}");
        for span in stored {
            assert_eq!(hex(&span.trace_id), TRACE);
            assert_eq!(attribute(&span.attributes, "db.system.name").as_deref(), Some(system));
            assert_eq!(attribute(&span.attributes, "db.operation.name"), Some(span.name.clone()));
            assert!(login.start_time_unix_nano <= span.start_time_unix_nano + 1_000_000);
            assert!(span.end_time_unix_nano <= login.end_time_unix_nano + 1_000_000);
        }
        let named = |name: &str| got.iter().filter(|(_, span)| span.name == name).count();
        assert_eq!((named("GET /session"), named("GET /healthz"), named("GET /logout")), (0, 0, 4));
        for (_, span) in &got {
            let is_logout = span.name == "GET /logout";
            assert!(!is_logout || (hex(&span.trace_id) != TRACE && span.parent_span_id.is_empty()));
        }
        let mut text = format!("{got:?}");
        let id = match site.store.starts_with("sqlite") {
            true => browser.jar().get("checkinapp").unwrap().to_owned(),
            false => session_id(&browser),
        };
        for secret in [EMAIL, "al.appelhof", PASSWORD, id.as_str()] {
            assert!(!std::mem::take(&mut text).contains(secret), "{secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_failures_are_spans() {
    let mut site = Site::redis();
    let collector = Collector::start().await;
    let endpoint: &'static str = collector.url.clone().leak();
    // OpenTelemetry's own variable.
    site.variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
    let (mut up, mut auth, mut receiver) =
        site.up(&["--store-timeout", STORE_TIMEOUT, "--log-format", "json"]);
    expect_plain(&log_in(&mut auth).await, 200, "OK");
    *receiver.jar_mut() = auth.jar().clone();
    accepted(&receiver.post(CHECKIN, &at(2, 5)).await);
    let (resource, batch) = collector.span("a batch", |span| span.name == "apply batch").await;
    assert_eq!(attribute(&resource, "service.name").as_deref(), Some("processor"));
    assert_eq!(attribute(&batch.attributes, "checkin.partition").as_deref(), Some("0"));
    let moved =
        |span: &Span| span.name == "move_checkpoint" && span.parent_span_id == batch.span_id;
    collector.span("the checkpoint", moved).await;
    let (resource, request) =
        collector.span("a check-in", |span| span.name == "POST /api/checkin").await;
    assert_eq!(attribute(&resource, "service.name").as_deref(), Some("receiver"));
    let append =
        |span: &Span| span.name == "append check-in" && span.parent_span_id == request.span_id;
    collector.span("an append", append).await;

    site.server().pause();
    assert_eq!(auth.get("/session").await.status, 503);
    let failed = |span: &Span| {
        span.name == "GET /session" && span.status.as_ref().is_some_and(|status| status.code == 2)
    };
    let (_, failed) = collector.span("a failure", failed).await;
    assert_eq!(attribute(&failed.attributes, "error.type").as_deref(), Some("503"));
    let timeout =
        |span: &Span| attribute(&span.attributes, "error.type").as_deref() == Some("timeout");
    collector.span("a time-out", timeout).await;
    site.server().resume();
    until("the store", async || auth.get("/session").await, |response| response.status == 200)
        .await;
    // The last spans are exported at the end.
    assert_eq!(auth.get("/logout").await.status, 200);
    up.stop();
    assert!(collector.got().iter().any(|(_, span)| span.name == "GET /logout"));
}

/// A collector that never answers, and one that is not there: spans are dropped, and nobody waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_stops_nothing() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for url in [silent.as_str(), "http://127.0.0.1:1"] {
        let site = Site::sqlite();
        let mut auth = site.auth(&["--otlp-endpoint", url]);
        let ask = async |mut client: Client| {
            for _ in 0..400 {
                assert_eq!(client.get("/session").await.status, 401);
            }
        };
        let clients = [(); 8].map(|()| ask(auth.client()));
        futures_util::future::join_all(clients).await;
        let mut client = auth.client();
        let dropped = "checkin_trace_spans_total{service=\"auth\",result=\"dropped\"} ";
        let has_dropped = |metrics: &testkit::Response| {
            let line = metrics.text().lines().find_map(|line| line.strip_prefix(dropped));
            line.unwrap().parse::<u64>().unwrap() > 0
        };
        until("spans are dropped", async || client.get("/metrics").await, has_dropped).await;
        crate::harness::expect_plain(&client.get("/readyz").await, 200, "OK");
        auth.program.stop();
    }
    let site = Site::sqlite();
    for wrong in ["ftp://collector", "collector:4317", "http://"] {
        let refused = site.run("auth", &["--otlp-endpoint", wrong]);
        assert_eq!(refused.code, 2, "{wrong}");
        assert!(
            refused.stderr.contains("--otlp-endpoint <URL>: must be an address"),
            "{refused:?}"
        );
    }
}
