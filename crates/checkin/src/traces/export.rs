//! The queue of ended spans, and the task that exports them over OTLP (HTTP, protobuf).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::telemetry::{VERSION, chain, current_service};

/// The maximum number of spans that wait to be exported. Further ones are dropped, so that a collector
/// that is slow or not there costs no memory.
const QUEUE: usize = 2048;

/// The maximum number of spans in one message.
const BATCH: usize = 512;

/// How long spans are gathered for one message.
const GATHERING: Duration = Duration::from_millis(500);

/// The maximum time of one message.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum time of the last messages, at the end of the process.
const FINISH: Duration = Duration::from_secs(2);

/// The address of a collector. Spans are sent to its path `/v1/traces`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let rule = "must be an address that begins with http:// or https://, such as http://127.0.0.1:4318";
        let mut url = Url::parse(text).map_err(|_| rule)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(rule);
        }
        url.path_segments_mut().map_err(|()| rule)?.pop_if_empty().extend(["v1", "traces"]);
        Ok(Self(url))
    }
}

/// The address may contain a password.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.0.host_str()).finish()
    }
}

/// The numbers of spans that were exported and that were dropped.
#[derive(Clone, Debug)]
pub struct SpanCounts {
    spans: Family<Outcome, Counter>,
    exported: Counter,
    dropped: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

impl Default for SpanCounts {
    fn default() -> Self {
        let spans = Family::<Outcome, Counter>::default();
        let of = |result| spans.get_or_create_owned(&Outcome { result });
        Self { exported: of("exported"), dropped: of("dropped"), spans }
    }
}

impl SpanCounts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Spans of traces that were exported, and that were dropped";
        registry.register("checkin_trace_spans", help, self.spans.clone());
    }
}

/// A span that has ended, with its service.
type Ended = (&'static str, SpanData);

/// Takes the spans that have ended.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Sender<Ended>,
    process: &'static str,
    counts: SpanCounts,
}

/// The task that exports spans; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Export {
    stop: CancellationToken,
    has_ended: CancellationToken,
}

impl Queue {
    /// Starts the task that exports what the queue takes.
    pub(super) fn start(
        Endpoint(url): &Endpoint,
        process: &'static str,
        counts: SpanCounts,
    ) -> anyhow::Result<(Self, Export)> {
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
        let client = client.context("cannot export traces")?;
        let (spans, waiting) = mpsc::channel(QUEUE);
        let export = Export { stop: CancellationToken::new(), has_ended: CancellationToken::new() };
        let exporter =
            Exporter { client, url: url.clone(), counts: counts.clone(), has_failed: false };
        tokio::spawn(exporter.run(waiting, export.clone()));
        Ok((Self { spans, process, counts }, export))
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send((current_service().unwrap_or(self.process), span)).is_err() {
            self.counts.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Export {
    pub(super) async fn finish(&self) {
        self.stop.cancel();
        if tokio::time::timeout(FINISH, self.has_ended.cancelled()).await.is_err() {
            tracing::debug!("stopped before all spans were exported");
        }
    }
}

struct Exporter {
    client: Client,
    url: Url,
    counts: SpanCounts,
    /// Whether the last message failed, which was logged.
    has_failed: bool,
}

impl Exporter {
    /// Exports spans until `stop`, and then those that wait.
    async fn run(mut self, mut spans: Receiver<Ended>, Export { stop, has_ended }: Export) {
        let _has_ended = has_ended.drop_guard();
        let mut batch = Vec::with_capacity(BATCH);
        while !stop.is_cancelled() {
            let gathered = async {
                spans.recv_many(&mut batch, BATCH).await;
                tokio::time::sleep(GATHERING).await;
            };
            tokio::select! {
                () = gathered => {}
                () = stop.cancelled() => {}
            }
            loop {
                while batch.len() < BATCH
                    && let Ok(span) = spans.try_recv()
                {
                    batch.push(span);
                }
                if batch.is_empty() {
                    break;
                }
                self.export(std::mem::take(&mut batch)).await;
            }
        }
    }

    async fn export(&mut self, batch: Vec<Ended>) {
        let count = batch.len() as u64;
        let message = message(batch).encode_to_vec();
        let request = self.client.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(message);
        let sent = request.send().await.and_then(reqwest::Response::error_for_status);
        let had_failed = std::mem::replace(&mut self.has_failed, sent.is_err());
        match sent {
            Ok(_) => {
                self.counts.exported.inc_by(count);
                if had_failed {
                    tracing::info!("traces are exported again");
                }
            }
            Err(error) => {
                self.counts.dropped.inc_by(count);
                if !had_failed {
                    let cause = chain(&error.without_url());
                    tracing::warn!(%cause, "cannot export traces, which are dropped");
                }
            }
        }
    }
}

/// Returns the message with these spans, each under the resource of its service.
fn message(batch: Vec<Ended>) -> ExportTraceServiceRequest {
    let mut services = BTreeMap::<&str, Vec<SpanData>>::new();
    for (service, span) in batch {
        services.entry(service).or_default().push(span);
    }
    let of_service = |(service, spans): (&'static str, Vec<SpanData>)| {
        let attributes = [
            KeyValue::new("service.namespace", "checkin"),
            KeyValue::new("service.name", service),
            KeyValue::new("service.version", VERSION),
        ];
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        group_spans_by_resource_and_scope(spans, &(&resource).into())
    };
    let resource_spans = services.into_iter().flat_map(of_service).collect();
    ExportTraceServiceRequest { resource_spans }
}
