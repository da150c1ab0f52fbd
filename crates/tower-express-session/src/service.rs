//! The middleware: finds the session, calls the inner service and stores the changes. Most
//! applications need none of these types by name.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::request::Parts;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::commit::commit;
use crate::context::{Context, LayerState};
use crate::error::Error;
use crate::failure::Failure;
pub use crate::failure::{EmptyResponse, OnFailure};
use crate::lazy::LazySession;
use crate::options::Unset;
use crate::request::RequestFacts;

/// The middleware that [`SessionLayer`](crate::SessionLayer) puts around a service.
///
/// Each request has a [`LazySession`] in its extensions, unless its path is outside the cookie's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
/// use tower_express_session::{Error, LazySession, MemoryStore, SessionLayer};
///
/// async fn visit(request: Request<String>) -> Result<Response<String>, Error> {
///     let lazy = request.extensions().get::<LazySession>().expect("the path is covered");
///     lazy.session().await?.insert("seen", &true)?;
///     Ok(Response::default())
/// }
///
/// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
/// let service = ServiceBuilder::new().layer(layer).service_fn(visit);
/// let response = service.oneshot(Request::default()).await?;
/// assert!(response.headers()["set-cookie"].to_str()?.starts_with("connect.sid=s%3A"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SessionService<S, F = EmptyResponse> {
    inner: S,
    shared: Arc<LayerState>,
    on_failure: F,
}

/// The future of a [`SessionService`]. It is ready after the store has answered.
pub struct ResponseFuture<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<S, F> SessionService<S, F> {
    pub(crate) fn new(inner: S, shared: Arc<LayerState>, on_failure: F) -> Self {
        Self { inner, shared, on_failure }
    }

    /// Returns the request's session; `None` if another layer has created one already, or if the
    /// path is outside the cookie's path.
    fn session_of(&self, request: &Parts) -> Option<LazySession> {
        if request.extensions.get::<LazySession>().is_some() {
            return None;
        }
        let facts = RequestFacts::read(request, &self.shared.options);
        let context = Context::new(Arc::clone(&self.shared), facts);
        let is_covered = request.uri.path().starts_with(context.cookie_options().path_prefix());
        is_covered.then(|| LazySession::new(context))
    }
}

impl<S, F, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, F>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    F: OnFailure<ResBody> + Clone + Send + Sync + 'static,
    ReqBody: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<Result<Response<ResBody>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The service that was polled ready must be called. Its clone is kept for the next request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (mut parts, body) = request.into_parts();
        let session = self.session_of(&parts);
        if let Some(session) = &session {
            parts.extensions.insert(session.clone());
        }
        let request = Request::from_parts(parts, body);
        let Some(lazy) = session else {
            return ResponseFuture(Box::pin(inner.call(request)));
        };
        let on_failure = self.on_failure.clone();
        ResponseFuture(Box::pin(async move {
            // Express loads the session before any handler runs. Outside the strict mode it is
            // loaded when a handler uses it.
            if lazy.context().options().strict
                && let Err(error) = lazy.session().await
            {
                return Ok(failed_before(&lazy, &error).await);
            }
            let mut response = inner.call(request).await?;
            let status = response.status();
            if let Some(Failure(error)) = response.extensions_mut().remove() {
                response = on_failure.replace(response, &error);
            }
            let Some(session) = lazy.close() else { return Ok(response) };
            match commit(session, status, response.headers_mut()).await {
                Ok(()) => Ok(response),
                Err(error) if lazy.context().options().strict => Ok(failed_strictly(&error)),
                Err(error) => {
                    error.log("session failed");
                    Ok(on_failure.respond(&error))
                }
            }
        }))
    }
}

/// Returns the strict mode's response if the session could not be loaded. In Express `req.session`
/// is unset when this response ends, which destroys the stored session under `unset: 'destroy'`.
async fn failed_before<B: Default>(session: &LazySession, error: &Error) -> Response<B> {
    let context = session.context();
    if let (Unset::Destroy, Some(named)) = (context.options().unset, context.request.ids.first()) {
        // The response reports a failure, whether this succeeds or not.
        drop(context.destroy(&named.id, None).await);
    }
    failed_strictly(error)
}

/// Returns the strict mode's response in place of the handler's: the 500 of Express.
fn failed_strictly<B: Default>(error: &Error) -> Response<B> {
    error.log("session failed");
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl<T> Future for ResponseFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> std::fmt::Debug for ResponseFuture<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseFuture")
    }
}
