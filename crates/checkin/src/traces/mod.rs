//! Traces for OpenTelemetry: a span for each request, for each request to the store that belongs to
//! one, and for each batch of a processor.
//!
//! Without an endpoint there is no tracer, and nothing of this runs.

mod export;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    FutureExt as _, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

pub use self::export::{Endpoint, SpanCounts};
use self::export::{Export, Queue};

/// The routes of those who watch the services. They are asked all the time, and have no spans.
const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The header that names the trace of the caller.
const TRACEPARENT: &str = "traceparent";

/// Makes spans and exports them; clones share the queue.
#[derive(Clone)]
pub struct Traces {
    tracer: SdkTracer,
    export: Export,
}

impl Traces {
    /// Starts to export spans to a collector, in a task. `process` is the service of spans that belong
    /// to no single one.
    ///
    /// # Errors
    ///
    /// If this machine has no root certificates.
    pub fn start(
        endpoint: &Endpoint,
        process: &'static str,
        counts: SpanCounts,
    ) -> anyhow::Result<Self> {
        let (queue, export) = Queue::start(endpoint, process, counts)?;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            // The resource is that of the service, which is known when a span ends.
            .with_resource(Resource::builder_empty().build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .build();
        Ok(Self { tracer: provider.tracer("checkin"), export })
    }

    /// Exports the spans that have ended, for a limited time. Call it at the end of the process.
    pub async fn finish(&self) {
        self.export.finish().await;
    }

    /// Starts the span of a request, in the trace of its `traceparent` if it has one.
    pub(crate) fn request(
        &self,
        method: &Method,
        route: Option<&str>,
        headers: &HeaderMap,
        over_tls: bool,
    ) -> Option<RequestSpan> {
        if route.is_some_and(|route| WATCHED.contains(&route)) {
            return None;
        }
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let method = known(method);
        let name = route.map_or(Cow::Borrowed(method), |route| format!("{method} {route}").into());
        let scheme = if over_tls { "https" } else { "http" };
        let mut attributes =
            vec![KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", scheme)];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        Some(RequestSpan(parent.with_span(span).with_value(self.clone())))
    }

    /// Records a request to the store that has ended, if it belongs to a span.
    pub(crate) fn stored(
        &self,
        system: &'static str,
        operation: &str,
        took: Duration,
        failure: Option<&'static str>,
    ) {
        let parent = Context::current();
        if !parent.span().span_context().is_sampled() {
            return;
        }
        let now = SystemTime::now();
        let operation = operation.to_owned();
        let mut attributes = vec![
            KeyValue::new("db.system.name", system),
            KeyValue::new("db.operation.name", operation.clone()),
        ];
        attributes.extend(failure.map(|failure| KeyValue::new("error.type", failure)));
        let mut span = SpanBuilder::from_name(operation)
            .with_kind(SpanKind::Client)
            .with_start_time(now - took)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        if failure.is_some() {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(now);
    }

    /// Runs the work of a batch in a span of its own.
    pub(crate) async fn batch<T>(
        &self,
        partition: usize,
        entries: usize,
        work: impl Future<Output = T>,
    ) -> T {
        let attributes = [("checkin.partition", partition), ("checkin.batch.entries", entries)];
        let attribute = |(key, value)| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX));
        let span = SpanBuilder::from_name("apply batch")
            .with_kind(SpanKind::Consumer)
            .with_attributes(attributes.map(attribute))
            .start_with_context(&self.tracer, &Context::new());
        // The span ends with its last context.
        work.with_context(Context::new().with_span(span)).await
    }
}

/// The span of a request in progress.
pub(crate) struct RequestSpan(Context);

impl RequestSpan {
    /// Returns the response of a request that runs in this span, and ends the span.
    pub(crate) async fn around<B>(
        self,
        response: impl Future<Output = axum::http::Response<B>>,
    ) -> axum::http::Response<B> {
        let response = response.with_context(self.0.clone()).await;
        let (status, span) = (response.status(), self.0.span());
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status >= StatusCode::INTERNAL_SERVER_ERROR {
            span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            span.set_status(Status::error(""));
        }
        span.end();
        response
    }
}

/// Runs work that another task does for a request, as a span of the request. Its requests to the store
/// may serve several requests at once, so they are spans of none.
pub(crate) async fn recorded<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    let Some(traces) = Context::map_current(|context| context.get::<Traces>().cloned()) else {
        return work.await;
    };
    let context = Context::current();
    let span = SpanBuilder::from_name(name)
        .with_kind(SpanKind::Internal)
        .start_with_context(&traces.tracer, &context);
    work.with_context(context.with_span(span)).await
}

/// Returns the id of the trace that the caller's task works for, if it is exported.
pub(crate) fn current_trace() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
}

/// Returns the future in the trace of the caller, for a task of its own.
pub(crate) fn in_current_trace<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_current_context()
}

/// Returns the method, or `_OTHER`: a client may invent any.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

/// The headers of a request. A `traceparent` that is repeated is not valid.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        let value = values.next()?;
        if key == TRACEPARENT && values.next().is_some() {
            return None;
        }
        value.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}
