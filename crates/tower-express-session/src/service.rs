//! The middleware: finds the session, runs the inner service, stores what changed.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower_service::Service;

use crate::accounts::{Account, ClientAddress};
use crate::context::{Context, RequestFacts, Shared};
use crate::cookie::{Cookie, Slot};
use crate::error::{Error, ErrorKind};
use crate::header;
use crate::id::SessionId;
use crate::layer::SecureTransport;
use crate::lazy::LazySession;
use crate::options::{Options, Unset};
use crate::policy::{self, StoreAction};
use crate::session::Session;
use crate::signature::Unsigned;
use crate::state::Finished;
use crate::timestamp;

/// The middleware that [`SessionLayer`](crate::SessionLayer) puts around a service.
///
/// A request inside it has a [`LazySession`] in its extensions, unless its path lies outside the
/// cookie's.
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
/// let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
/// let service = ServiceBuilder::new().layer(layer).service_fn(visit);
/// let response = service.oneshot(Request::default()).await?;
/// assert!(response.headers()["set-cookie"].to_str()?.starts_with("connect.sid=s%3A"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// The response of a [`SessionService`]; it leaves after the store answered.
pub struct ResponseFuture<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<S> SessionService<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The request's session, unless there is none: another layer made one already, or the path
    /// lies outside the cookie's.
    fn session_of(&self, request: &Parts) -> Option<LazySession> {
        if request.extensions.get::<LazySession>().is_some() {
            return None;
        }
        let facts = request_facts(request, &self.shared.options);
        let context = Context::new(Arc::clone(&self.shared), facts);
        let is_covered = request.uri.path().starts_with(context.cookie_options().path_prefix());
        is_covered.then(|| LazySession::new(context))
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
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
        // The service that was polled ready is the one to call; its clone waits for the next.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (mut parts, body) = request.into_parts();
        let session = self.session_of(&parts);
        if let Some(session) = &session {
            parts.extensions.insert(session.clone());
        }
        let request = Request::from_parts(parts, body);
        let Some(session) = session else {
            return ResponseFuture(Box::pin(inner.call(request)));
        };
        ResponseFuture(Box::pin(async move {
            // Express loads before any handler runs; we load for a handler that asks.
            if session.context().options().strict
                && let Err(error) = session.session().await
            {
                return Ok(failed_before(&session, &error).await);
            }
            let mut response = inner.call(request).await?;
            match commit(&session, response.headers_mut()).await {
                Ok(()) => Ok(response),
                Err(error) => Ok(failed(&error, session.context().options().strict)),
            }
        }))
    }
}

/// The strict mode's answer when the session could not be loaded. In Express `req.session` is unset
/// when this answer ends, and that destroys the stored session under `unset: 'destroy'`.
async fn failed_before<B: Default>(session: &LazySession, error: &Error) -> Response<B> {
    let context = session.context();
    if let (Unset::Destroy, Some(named)) = (context.options().unset, context.request.ids.first()) {
        // The answer is a failure whatever becomes of this.
        drop(context.destroy(&named.id, None).await);
    }
    failed(error, true)
}

/// The answer when the session could not be read or stored, in place of the handler's.
fn failed<B: Default>(error: &Error, strict: bool) -> Response<B> {
    error.log("session failed");
    let mut response = Response::new(B::default());
    *response.status_mut() =
        if strict { StatusCode::INTERNAL_SERVER_ERROR } else { status(error.kind()) };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// Long enough for a fail-over to get on, short enough for a person.
pub(crate) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The status that tells a client what an error means for it.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Store | ErrorKind::Conflict => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Stores what the request did to its session, and sets or clears the cookie.
async fn commit(lazy: &LazySession, headers: &mut HeaderMap) -> Result<(), Error> {
    let Some(session) = lazy.close() else { return Ok(()) };
    let context = lazy.context();
    let finished = session.finish()?;
    if let Finished::Alive { id, cookie, facts } = &finished {
        let action = policy::store_action(*facts, context.options().rules);
        match store(session, context, id, cookie, action).await {
            Err(error) if error.kind() == ErrorKind::Gone => {
                tracing::info!(session.id = ?id, "the session ended while a request was under way");
                return clear_cookie(context, session.browser_cookie().as_ref(), headers);
            }
            // Express has sent its answer by now; the error reaches nobody but the log.
            Err(error) if context.options().strict => {
                error.log("session failed");
            }
            stored => stored?,
        }
        if policy::sends_cookie(*facts, context.options().rules) {
            send_cookie(context, id, cookie, headers);
            if let Some(old) = session.left_behind() {
                clear_cookie(context, Some(&old), headers)?;
            }
        }
        return Ok(());
    }
    let Finished::Ended { id, .. } = &finished else { return Ok(()) };
    if finished.destroys(context.options()) {
        match context.destroy(id, None).await {
            Err(error) if context.options().strict => {
                error.log("session failed");
            }
            destroyed => destroyed?,
        }
    }
    clear_cookie(context, session.browser_cookie().as_ref(), headers)
}

async fn store(
    session: &Session,
    context: &Arc<Context>,
    id: &SessionId,
    cookie: &Cookie,
    action: StoreAction,
) -> Result<(), Error> {
    let ttl = cookie.time_to_live(timestamp::now_ms(), context.options().ttl);
    let account = session.account();
    match (action, ttl) {
        (StoreAction::Nothing, _) => {}
        (StoreAction::Save, _) => session.save().await?,
        (StoreAction::Touch, None) => context.destroy(id, Some(cookie)).await?,
        (StoreAction::Touch, Some(ttl)) if context.options().strict => {
            context.touch(id, ttl).await?;
        }
        (StoreAction::Touch, Some(ttl)) => {
            let account = account.as_ref().map(|account| account.name.clone());
            context.touch_behind(id, ttl, account);
        }
    }
    if let (Some(Account { name, is_new: true }), Some(ttl)) = (account, ttl) {
        context.note_login(id, ttl, &name).await;
    }
    Ok(())
}

fn send_cookie(context: &Context, id: &SessionId, cookie: &Cookie, headers: &mut HeaderMap) {
    let options = context.options();
    let value = options.secrets.sign(id.as_str());
    if context.request.by_token {
        return send_token(&header::encode(&value), options, headers);
    }
    if cookie.secure.is_truthy() && !context.request.secure {
        tracing::warn!(
            "no session cookie sent: it is for TLS only, and the request did not come over TLS"
        );
        return;
    }
    match header::set_cookie(
        &options.name,
        &value,
        &options.on_wire(cookie, context.request.secure),
    ) {
        Ok(line) => append_cookie(headers, line, options),
        Err(_) => tracing::error!("no session cookie sent: one of its attributes is not valid"),
    }
}

/// Tells the browser to drop the cookie, if it sent one: the one that the session had, or that one
/// would get now. Express leaves it there.
fn clear_cookie(
    context: &Context,
    cookie: Option<&Cookie>,
    headers: &mut HeaderMap,
) -> Result<(), Error> {
    if context.options().strict || context.request.ids.is_empty() {
        return Ok(());
    }
    if context.request.by_token {
        send_token("", context.options(), headers);
        return Ok(());
    }
    let options = context.options();
    let line = |cookie: &Cookie| {
        let mut cookie = options.on_wire(cookie, context.request.secure);
        cookie.expires = Slot::Date(0.0);
        header::set_cookie(&options.name, "", &cookie)
    };
    // A stored cookie with an attribute that cannot be sent never came to the browser.
    let line = match cookie.map(line) {
        Some(Ok(line)) => line,
        _ => line(&context.cookie_options().make(context.request.secure, 0.0)?)?,
    };
    append_cookie(headers, line, options);
    Ok(())
}

fn append_cookie(headers: &mut HeaderMap, line: HeaderValue, options: &Options) {
    headers.append(SET_COOKIE, line);
    if !options.strict {
        forbid_caches(headers);
    }
}

fn send_token(value: &str, options: &Options, headers: &mut HeaderMap) {
    let value = HeaderValue::try_from(value).expect("what is percent-encoded is ASCII");
    headers.extend(options.token_header.clone().map(|name| (name, value)));
    forbid_caches(headers);
}

/// A cache that kept this response would hand one visitor's session to the next.
fn forbid_caches(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

fn request_facts(request: &Parts, options: &Options) -> RequestFacts {
    let token = token(&request.headers, options);
    let cookie = options.cookie_of.as_ref().map(|cookie_of| (cookie_of.0)(request));
    RequestFacts {
        ids: match &token {
            Some(token) => options.secrets.verify(&header::value_of(token)).into_iter().collect(),
            None => cookie_ids(&request.headers, options),
        },
        by_token: token.is_some(),
        secure: is_secure(request, options),
        cookie,
        user_agent: request.headers.get(USER_AGENT).cloned(),
        address: request.extensions.get().map(|ClientAddress(address)| *address),
    }
}

/// The signed value of a program that sends it in a header of its own, empty if it has none yet.
fn token<'a>(headers: &'a HeaderMap, options: &Options) -> Option<Cow<'a, str>> {
    let header = options.token_header.as_ref()?;
    let bearer = headers.get(AUTHORIZATION).map(|line| header::latin1(line.as_bytes()));
    let bearer = bearer.and_then(|line| {
        let (scheme, token) = line.split_once(' ')?;
        let is_ours = token.starts_with("s:") || token.starts_with("s%3A");
        (scheme.eq_ignore_ascii_case("bearer") && is_ours).then(|| token.to_owned().into())
    });
    bearer.or_else(|| headers.get(header).map(|line| header::latin1(line.as_bytes())))
}

/// The ids that the request's cookies name under a good signature.
fn cookie_ids(headers: &HeaderMap, options: &Options) -> Vec<Unsigned> {
    let mut ids: Vec<Unsigned> = Vec::new();
    // HTTP/2 may split the header into several, which Node joins; so do we.
    let lines: Vec<_> =
        headers.get_all(COOKIE).iter().map(|line| header::latin1(line.as_bytes())).collect();
    let header = if lines.len() == 1 { lines[0].clone() } else { lines.join("; ").into() };
    // The first cookie wins in Express, even an empty or a forged one. Outside the strict mode the
    // later ones are tried too, since a stale one must not lock anybody out.
    let tried = if options.strict { 1 } else { MAX_COOKIES };
    for value in header::cookie_values(&header, &options.name).take(tried) {
        let verified = options.secrets.verify(&value);
        ids.extend(verified.filter(|new| !ids.iter().any(|known| known.id == new.id)));
    }
    ids
}

/// So many cookies of the session's name are looked at; a browser has a few at most, one for each
/// domain and path.
const MAX_COOKIES: usize = 8;

/// Whether the request came over TLS: express-session's `issecure`.
fn is_secure(request: &Parts, options: &Options) -> bool {
    if request.extensions.get::<SecureTransport>().is_some() {
        return true;
    }
    let forwarded = || {
        let header = request.headers.get("x-forwarded-proto")?;
        header.to_str().ok()?.split(',').next()
    };
    options.proxy && forwarded().is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
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
