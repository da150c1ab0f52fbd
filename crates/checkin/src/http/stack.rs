//! The middleware stack of a port.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{
    ClientAddress, Metrics, Probes, Problem, StrictTransport, document, metrics, origin, problem,
    readiness, strict_transport,
};

/// The maximum time of a request, its body included: long enough for a slow phone, and short enough
/// that slow clients cannot pile up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The maximum length of a client's request id, which is sent back and logged.
const MAX_REQUEST_ID: usize = 128;

/// The proxy between the services and their clients.
#[derive(Clone, Copy, Debug)]
pub struct Proxy {
    /// `--trust-proxy`: the headers that describe the client are trusted.
    pub is_trusted: bool,
    /// The `Strict-Transport-Security` header for browsers that use TLS.
    pub strict_transport: StrictTransport,
}

/// The middleware stack of one port.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The settings about a proxy.
    pub proxy: Proxy,
    /// The metrics of `/metrics`.
    pub metrics: Metrics,
    /// The probes `/healthz` and `/readyz`.
    pub probes: Probes,
}

impl Stack {
    /// Wraps the routes of a port, which already have their session layers. A request passes from
    /// the outermost layer in: request id, log span, security headers, metrics, panic guard,
    /// timeout, cross-site guard, session, route.
    pub fn around(&self, routes: OpenApiRouter) -> Router {
        let ready = self.probes.readiness().clone();
        let routes = routes.layer(middleware::from_fn_with_state(ready, readiness::gate));
        let (routes, document) = OpenApiRouter::with_openapi(document::Base::openapi())
            .merge(routes)
            .merge(self.probes.routes())
            .merge(self.metrics.routes())
            .split_for_parts();
        let routes = routes
            .merge(document::routes(document))
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || Problem::method_not_allowed());
        let fixed = |name, value| {
            SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
        };
        routes.layer(
            ServiceBuilder::new()
                .map_request(without_odd_id)
                .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
                // Failures are not logged here: their cause has been logged where the response was
                // created.
                .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
                .layer(PropagateRequestIdLayer::new(REQUEST_ID))
                // Responses are for one user at one moment. Routes whose responses may be cached
                // set the header themselves.
                .layer(fixed(CACHE_CONTROL, "no-store"))
                .layer(fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(fixed(REFERRER_POLICY, "same-origin"))
                .layer(fixed(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
                .layer(middleware::from_fn_with_state(self.proxy, strict_transport::add_header))
                .layer(middleware::from_fn_with_state(self.metrics.clone(), metrics::count))
                .layer(CatchPanicLayer::custom(panicked))
                .layer(middleware::from_fn(problem::fill_empty))
                .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
                .layer(middleware::from_fn_with_state(self.proxy, receive)),
        )
    }
}

/// Finds out once where a request came from, for throttles and for the lists of an account's
/// sessions, and refuses changes that a page of another site sent.
async fn receive(
    State(proxy): State<Proxy>,
    mut request: Request,
    next: Next,
) -> axum::response::Response {
    let is_cross_site = origin::is_cross_site(&request, proxy.is_trusted);
    if is_cross_site && !origin::is_safe(request.method()) {
        return Problem::cross_site().into_response();
    }
    let address = ClientAddress::of(&request, proxy.is_trusted);
    let extensions = request.extensions_mut();
    extensions.insert(origin::CrossSite(is_cross_site));
    extensions.insert(address);
    if let Some(address) = address {
        extensions.insert(tower_express_session::request::ClientAddress(address.ip()));
    }
    next.run(request).await
}

/// Removes a request id of the client that is too long or not plain text.
fn without_odd_id(mut request: Request) -> Request {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte);
    let id = request.headers().get(&REQUEST_ID).map(HeaderValue::as_bytes);
    if !id.is_some_and(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(is_plain)) {
        request.headers_mut().remove(&REQUEST_ID);
    }
    request
}

/// Creates the span of a request: its method and the route that it matched. The path and the query
/// are left out, because they may contain an address or an id.
fn span<B>(request: &axum::http::Request<B>) -> tracing::Span {
    let route =
        request.extensions().get::<axum::extract::MatchedPath>().map_or("", |path| path.as_str());
    let id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("");
    tracing::info_span!("request", http.method = %request.method(), http.route = route, request.id = id)
}

/// Answers 500 after a panic. The process continues, and the panic hook has logged the panic.
fn panicked(_panic: Box<dyn Any + Send>) -> Response<axum::body::Body> {
    Problem::internal().into_response()
}
