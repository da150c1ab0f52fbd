//! An application with a route for each operation on a session, and a simple browser.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode, request};
use axum::routing::get;
use tokio::sync::Notify;
use tower::ServiceExt;
use tower_express_session::store::{Freshness, Stored};
use tower_express_session::{
    Error, FreshSession, Secrets, Session, SessionId, SessionLayer, SessionLayerBuilder, Store,
};

use crate::recording_store::RecordingStore;

pub(crate) const SECRET: &str = "keyboard cat";

pub(crate) const CLEARED: &str =
    "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax";

/// A layer over a recording store.
pub(crate) type Builder = SessionLayerBuilder<Arc<RecordingStore>>;

/// The application over a recording store.
pub(crate) struct App {
    pub(crate) store: Arc<RecordingStore>,
    pub(crate) router: Router,
    /// Lets the handler of `/slow` continue.
    pub(crate) go_on: Arc<Notify>,
    /// Notified when the handler of `/slow` has its session.
    pub(crate) arrived: Arc<Notify>,
}

pub(crate) fn app(options: impl FnOnce(Builder) -> Builder) -> App {
    app_with(Secrets::new([SECRET]).unwrap(), options)
}

pub(crate) fn app_with(secrets: Secrets, options: impl FnOnce(Builder) -> Builder) -> App {
    let (store, go_on, arrived) =
        (Arc::<RecordingStore>::default(), Arc::<Notify>::default(), Arc::<Notify>::default());
    let layer = options(SessionLayer::builder(store.clone(), secrets)).build().unwrap();
    let (wait, tell) = (go_on.clone(), arrived.clone());
    let slow = get(async move |session: Session, name: Path<String>| {
        tell.notify_one();
        wait.notified().await;
        set(session, name).await.map(|()| "done")
    });
    let router = routes().route("/slow/{name}", slow).layer(layer);
    App { store, router, go_on, arrived }
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/plain", get(async || "plain"))
        .route("/look", get(async |session: Session| session.raw().to_json()))
        .route("/look/fresh", get(async |FreshSession(session)| session.raw().to_json()))
        .route("/set/{name}", get(set))
        .route("/destroy", get(async |session: Session| session.log_out().await))
        .route("/unset", get(async |session: Session| session.raw().unset()))
        .route("/regenerate", get(async |session: Session| session.raw().regenerate().await))
        .route("/login/{user}", get(login))
        .route("/login/{user}/{epoch}", get(login_in_epoch))
        .route("/epoch", get(async |session: Session| format!("{:?}", session.epoch())))
        .route("/save", get(async |session: Session| session.save().await))
        .route("/update", get(update))
}

pub(crate) async fn set(session: Session, name: Path<String>) -> Result<(), Error> {
    session.insert(name.as_str(), &1)
}

async fn update(session: Session) -> Result<String, Error> {
    session
        .update("count", |count: Option<u32>| count.unwrap_or(0) + 1)
        .await
        .map(|n| n.to_string())
}

async fn login(session: Session, user: Path<String>) -> Result<(), Error> {
    session.log_in(user.as_str(), &[]).await
}

async fn login_in_epoch(
    session: Session,
    Path((user, epoch)): Path<(String, u64)>,
) -> Result<(), Error> {
    session.log_in_at_epoch(&user, &[], epoch).await
}

impl App {
    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Response<Body> {
        visit(&self.router, path, cookie).await
    }

    pub(crate) async fn send(&self, request: request::Builder) -> Response<Body> {
        send(&self.router, request).await
    }

    /// Returns the cookie of a session that has the attribute `a`.
    pub(crate) async fn cookie(&self) -> String {
        let cookie = cookie_pair(&self.get("/set/a", "").await);
        self.store.calls();
        cookie
    }

    /// Returns the stored session of a cookie.
    pub(crate) async fn stored(&self, cookie: &str) -> Option<Stored> {
        self.store.inner.load(&id_in(cookie), Freshness::Latest).await.unwrap()
    }
}

/// Sends a browser's request with its cookies.
pub(crate) async fn visit(router: &Router, path: &str, cookie: &str) -> Response<Body> {
    let request = Request::get(path);
    send(router, if cookie.is_empty() { request } else { request.header(COOKIE, cookie) }).await
}

pub(crate) async fn send(router: &Router, request: request::Builder) -> Response<Body> {
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// Runs the background tasks until they have finished or are blocked.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn set_cookie(response: &Response<Body>) -> Option<&str> {
    response.headers().get(SET_COOKIE).map(|line| line.to_str().unwrap())
}

pub(crate) fn cookie_pair(response: &Response<Body>) -> String {
    set_cookie(response).unwrap().split(';').next().unwrap().to_owned()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Returns the id of a cookie's session.
pub(crate) fn id_in(cookie: &str) -> SessionId {
    Secrets::new([SECRET]).unwrap().unsign(&signed_value(cookie)).unwrap()
}

/// Returns the signed value in a cookie, percent-decoded.
pub(crate) fn signed_value(cookie: &str) -> String {
    testkit::signature::decode(cookie.split_once('=').unwrap().1).unwrap()
}
