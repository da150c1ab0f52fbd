//! What all services do alike with HTTP: the middleware stack, errors, bodies, limits.

mod address;
mod cross_site;
mod error;
mod json;
mod metrics;
mod probes;
mod throttle;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

pub use address::ClientAddress;
pub use cross_site::is_cross_site;
pub use error::{ApiError, FieldError, Problem, chain};
pub use json::Fields;
pub use metrics::Metrics;
pub use probes::Probes;
pub use throttle::{FailureThrottle, RateLimit};

/// The longest that a request may take, its body included: long enough for a slow phone, and short
/// enough that slow clients cannot pile up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The middleware stack of one port.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Proxy headers are believed.
    pub trust_proxy: bool,
    /// Numbers for `/metrics`.
    pub metrics: Metrics,
    /// Answers for `/healthz` and `/readyz`.
    pub probes: Probes,
}

impl Stack {
    /// Puts the stack around the routes of a port, which have their session layers already. A
    /// request meets it from the outermost layer in: request id, log span, security headers,
    /// numbers, panic guard, time-out, cross-site guard, session, route.
    pub fn around(&self, routes: Router) -> Router {
        let routes = routes
            .merge(self.probes.routes())
            .merge(self.metrics.routes())
            .fallback(async || ApiError::NotFound)
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed);
        let request_id = HeaderName::from_static("x-request-id");
        let fixed = |name, value| {
            SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
        };
        let tls_only = self
            .trust_proxy
            .then(|| fixed(STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"));
        let csrf =
            CsrfLayer::new().with_rejection_response(|_| ApiError::CrossSite.into_response());
        routes.layer(
            ServiceBuilder::new()
                .layer(SetRequestIdLayer::new(request_id.clone(), MakeRequestUuid))
                // Without a line for each failure: whoever answers with one has logged its cause.
                .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
                .layer(PropagateRequestIdLayer::new(request_id))
                // Answers are for one person at one moment; a route whose answers may be kept says so.
                .layer(fixed(CACHE_CONTROL, "no-store"))
                .layer(fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(fixed(REFERRER_POLICY, "same-origin"))
                .layer(fixed(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
                .option_layer(tls_only)
                .layer(middleware::from_fn_with_state(self.metrics.clone(), metrics::count))
                .layer(CatchPanicLayer::custom(panicked))
                .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
                .layer(middleware::from_fn(error::fill_empty))
                .layer(csrf)
                .layer(middleware::from_fn_with_state(self.trust_proxy, remember_address)),
        )
    }
}

/// Finds out once who is asking, for throttles further in and for the lists of an account's sessions.
async fn remember_address(
    axum::extract::State(trust_proxy): axum::extract::State<bool>,
    mut request: Request,
    next: Next,
) -> axum::response::Response {
    let address = ClientAddress::of(&request, trust_proxy);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(tower_express_session::ClientAddress(address.ip()));
    next.run(request).await
}

/// The span of a request: its method and the route that it matched, never the path or the query,
/// which may hold an address or an id.
fn span<B>(request: &axum::http::Request<B>) -> tracing::Span {
    let route =
        request.extensions().get::<axum::extract::MatchedPath>().map_or("", |path| path.as_str());
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("");
    // A client may send its own request id; only an unremarkable one is logged.
    let plain =
        id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let id = if plain { id } else { "" };
    tracing::info_span!("request", http.method = %request.method(), http.route = route, request.id = id)
}

/// The last resort: the process lives on, the client gets a 500, the panic hook has logged it.
fn panicked(_panic: Box<dyn Any + Send>) -> Response<axum::body::Body> {
    ApiError::Internal.into_response()
}
