//! The middleware of a port.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};
use tracing::Instrument as _;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::origin::{self, RequestOrigin};
use super::{
    ClientAddress, ClientLimits, Cors, DeviceCookie, Metrics, Probes, Problem, Proxies, Scrape,
    StrictTransport, document, problem, protocol,
};
use crate::concurrency::Place;
use crate::telemetry::in_service;
use crate::traces::{RequestSpan, Traces};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The maximum length of a client's request id, which is sent back and logged.
const MAX_REQUEST_ID: usize = 128;

/// The settings of the ports, and what they share.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The proxies between the services and their clients.
    pub proxies: Proxies,
    /// `--cors-origins`: the origins of other sites whose pages may use the services.
    pub cors: Cors,
    /// The `Strict-Transport-Security` header for browsers that use TLS.
    pub strict_transport: StrictTransport,
    /// The limits of each client.
    pub limits: ClientLimits,
    /// `--request-timeout`: the maximum time of a request, its body included.
    pub request_timeout: Duration,
}

/// The headers of each response whose route does not set them itself. Responses are for one user at
/// one moment, so no cache may keep them.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// The number of headers for which the table of a response's map has places: those above, and those of routes. The table of a
/// route's map would have to grow for ours. A cloned map keeps its table; its list of headers grows with the first one of a route.
const HEADERS_OF_RESPONSE: usize = 12;

/// The middleware of one port.
#[derive(Clone, Debug)]
pub struct Stack {
    /// What it shares with the other ports.
    pub edge: Arc<Edge>,
    /// The metrics of the port.
    pub metrics: Metrics,
    /// What it shows at `/metrics`.
    pub scrape: Scrape,
    /// The service of log lines, if it is not that of the process.
    pub service: Option<&'static str>,
    /// The traces, if they are exported.
    pub traces: Option<Traces>,
    /// The probes `/healthz` and `/readyz`.
    pub probes: Probes,
}

impl Stack {
    /// Wraps the routes of a port, which already have their session layers and refuse requests until
    /// the store is ready.
    pub fn around(&self, routes: OpenApiRouter) -> Router {
        let (routes, document) = OpenApiRouter::with_openapi(document::Base::openapi())
            .merge(routes)
            .merge(self.probes.routes())
            .merge(self.scrape.routes())
            .split_for_parts();
        let port = Port {
            metrics: self.metrics.clone(),
            service: self.service,
            traces: self.traces.clone(),
            edge: self.edge.clone(),
            strict_transport: self.edge.strict_transport.value(),
            headers: headers(),
        };
        let routes = routes
            .merge(document::routes(document))
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || Problem::method_not_allowed());
        match self.edge.cors.layer() {
            Some(cors) => routes.layer((port, cors)),
            None => routes.layer(port),
        }
    }
}

/// All that the middleware needs to know of its port.
#[derive(Clone)]
struct Port {
    metrics: Metrics,
    service: Option<&'static str>,
    traces: Option<Traces>,
    edge: Arc<Edge>,
    strict_transport: Option<HeaderValue>,
    headers: HeaderMap,
}

impl<S> Layer<S> for Port {
    type Service = Pass<S>;

    fn layer(&self, inner: S) -> Pass<S> {
        Pass { port: Arc::new(self.clone()), inner }
    }
}

/// The way of each request to its route, and of the response back. It is one service and not a layer
/// for each step, because a layer costs more than most of these steps.
#[derive(Clone)]
struct Pass<S> {
    port: Arc<Port>,
    inner: S,
}

impl<S> Service<Request> for Pass<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Port { metrics, service, traces, edge, strict_transport, headers } = &*self.port;
        let id = request_id(request.headers());
        let span = span(&request, &id);
        let arrived = metrics.arrived(&request);
        let address = edge.proxies.receive(&mut request);
        let over_tls = origin::came_over_tls(request.headers(), edge.proxies.are_trusted());
        let traced = traces.as_ref().and_then(|traces| trace(traces, &request, over_tls));
        let strict_transport = strict_transport.clone().filter(|_| over_tls);
        let received = receive(edge, address, over_tls, &mut request);
        // Boxed, because each of the steps around it takes the memory of its future again.
        let answered = received.map(|place| (Box::pin(self.inner.call(request)), place));
        let (limit, service, headers) = (edge.request_timeout, *service, headers.clone());
        Box::pin(async move {
            // Made in here, because what this future is given and awaits takes its memory twice.
            let answered = answer(answered, limit).instrument(span);
            let answered = match traced {
                Some(traced) => Either::Left(Box::pin(traced.around(answered))),
                None => Either::Right(answered),
            };
            let answered = match service {
                Some(service) => Either::Left(in_service(service, answered)),
                None => Either::Right(answered),
            };
            let mut response = answered.await;
            arrived.answered(response.status());
            DeviceCookie::set(&mut response, over_tls);
            let of_route = std::mem::replace(response.headers_mut(), headers);
            let headers = response.headers_mut();
            headers.extend(of_route);
            if let Some(value) = strict_transport {
                headers.insert(STRICT_TRANSPORT_SECURITY, value);
            }
            headers.insert(REQUEST_ID, id);
            Ok(response)
        })
    }
}

/// Returns [`HEADERS`], with places for others in the table.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(HEADERS_OF_RESPONSE);
    headers.extend(HEADERS);
    headers
}

/// Answers a request, whatever happens behind: a panic, a route that takes too long, an error without
/// a body. The process continues after a panic, which the panic hook has logged.
async fn answer(
    received: Result<(impl Future<Output = Result<Response, Infallible>>, impl Sized), Problem>,
    limit: Duration,
) -> Response {
    let (answered, _place) = match received {
        Ok((answered, place)) => (AssertUnwindSafe(answered).catch_unwind(), place),
        Err(problem) => return problem.into_response(),
    };
    match tokio::time::timeout(limit, answered).await {
        Ok(Ok(Ok(response))) => problem::with_body(response),
        Ok(Err(_panic)) => Problem::internal().into_response(),
        Err(_elapsed) => Problem::timed_out().into_response(),
    }
}

/// Refuses requests that are ambiguous, changes that a page of another site sent, and those of a client
/// that has too many in progress. Otherwise returns the place of the request. Records once where it came
/// from, for throttles and for the lists of an account's sessions.
fn receive(
    edge: &Edge,
    address: Option<ClientAddress>,
    over_tls: bool,
    request: &mut Request,
) -> Result<Option<Place<ClientAddress>>, Problem> {
    protocol::check(request)?;
    let is_cross_site =
        origin::is_cross_site(request, edge.proxies.are_trusted()) && !edge.cors.allows(request);
    if is_cross_site && !origin::is_safe(request.method()) {
        return Err(Problem::cross_site());
    }
    let place = edge.limits.request(address)?;
    let has_body = !request.body().is_end_stream();
    let extensions = request.extensions_mut();
    extensions.insert(RequestOrigin { address, is_cross_site, over_tls });
    if has_body {
        extensions.insert(edge.limits.bodies().clone());
    }
    if let Some(address) = address {
        extensions.insert(tower_express_session::request::ClientAddress(address.ip()));
    }
    Ok(place)
}

/// Returns the client's id of the request. An id that is too long or not plain text is replaced.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte);
    let is_short = |id: &[u8]| (1..=MAX_REQUEST_ID).contains(&id.len());
    match headers.get(&REQUEST_ID) {
        Some(id) if is_short(id.as_bytes()) && id.as_bytes().iter().all(is_plain) => id.clone(),
        _ => {
            let mut text = Uuid::encode_buffer();
            let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(text).expect("a UUID is plain text")
        }
    }
}

/// Starts the span of a request that is exported.
fn trace(traces: &Traces, request: &Request, over_tls: bool) -> Option<RequestSpan> {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    traces.request(request.method(), route, request.headers(), over_tls)
}

/// Creates the span of a request: its method and the route that it matched. The path and the query
/// are left out, because they may contain an address or an id.
fn span(request: &Request, id: &HeaderValue) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let (method, id) = (request.method().as_str(), id.to_str().unwrap_or_default());
    tracing::info_span!("request", http.method = method, http.route = route, request.id = id)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::routing::get;
    use clap::Parser;
    use prometheus_client::metrics::counter::Counter;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::Network;

    #[derive(Parser)]
    struct Defaults {
        #[command(flatten)]
        network: Network,
    }

    fn edge() -> Arc<Edge> {
        let Defaults { network } = Defaults::parse_from([""]);
        Arc::new(Edge {
            proxies: Proxies::default(),
            cors: Cors::default(),
            strict_transport: StrictTransport {
                max_age: Duration::ZERO,
                include_subdomains: false,
            },
            limits: ClientLimits::new(&network, Counter::default(), Counter::default()),
            request_timeout: Duration::from_secs(15),
        })
    }

    /// Asks for a path of a port whose routes misbehave.
    async fn answered(path: &str) -> (StatusCode, HeaderMap, String) {
        let metrics = Metrics::new("test");
        let port = Port {
            metrics,
            service: None,
            traces: None,
            edge: edge(),
            strict_transport: None,
            headers: headers(),
        };
        let routes = Router::new()
            .route("/panic", get(async || -> () { panic!("as the test wants it") }))
            .route("/slow", get(std::future::pending::<()>))
            .route("/bare", get(async || StatusCode::CONFLICT))
            .route("/own", get(async || [(CACHE_CONTROL, "max-age=1")]))
            .fallback(async || Problem::not_found())
            .layer(port);
        let request = Request::builder().uri(path).header("host", "x").body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn routes_that_fail_are_answered_like_all_others() {
        for (path, status) in
            [("/panic", 500), ("/slow", 408), ("/bare", 409), ("/none", 404), ("/own", 200)]
        {
            let (given, headers, body) = answered(path).await;
            assert_eq!(given, status, "{path}");
            let kind = headers.get("content-type").map(HeaderValue::as_bytes);
            let is_problem = kind == Some(b"application/problem+json");
            assert_eq!(is_problem, status != 200, "{path} {headers:?}");
            assert_eq!(body.contains(&format!("\"status\":{status}")), is_problem, "{body}");
            let cache = if path == "/own" { "max-age=1" } else { "no-store" };
            assert_eq!(headers["cache-control"], cache);
            for name in ["x-request-id", "x-content-type-options", "content-security-policy"] {
                assert_eq!(headers.get_all(name).iter().count(), 1, "{path}: {name}");
            }
        }
    }
}
