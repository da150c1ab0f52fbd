//! Detached sessions and fresh reads.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use testkit::until;
use tower_express_session::{
    DetachedSession, Error, ErrorKind, LazySession, Session, SessionLayer,
};

use crate::app::{App, SECRET, app, cookie_pair, id_in, routes, settle, text, visit};
use crate::recording_store::RecordingStore;

/// The period of `ended`, short so that the tests are fast.
const PERIOD: Duration = Duration::from_millis(2);

/// Returns an application whose handler of `/detach` stores its session in the second value.
fn detaching() -> (App, Arc<Mutex<Option<DetachedSession>>>) {
    let app = app(|layer| layer);
    let kept = Arc::<Mutex<Option<DetachedSession>>>::default();
    let keep = kept.clone();
    let detach = get(async move |session: Session| {
        let detached = session.detach().await?;
        *keep.lock().unwrap() = Some(detached);
        Ok::<_, Error>(())
    });
    let layer = SessionLayer::builder(app.store.clone(), [SECRET]).build().unwrap();
    let router = routes().route("/detach", detach).layer(layer);
    (App { router, ..app }, kept)
}

async fn detached() -> (App, String, DetachedSession) {
    let (app, kept) = detaching();
    let cookie = app.cookie().await;
    text(app.get("/detach", &cookie).await).await;
    let session = kept.lock().unwrap().take().unwrap();
    (app, cookie, session)
}

#[tokio::test]
async fn a_detached_session_is_read_and_changed_after_the_response() {
    let (app, cookie, session) = detached().await;
    assert_eq!(session.get::<u32>("a").unwrap(), Some(1));
    app.get("/set/b", &cookie).await;
    let count = session.update("count", |n: Option<u32>| n.unwrap_or(0) + 1).await;
    assert_eq!(count.unwrap(), 1);
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1,"b":1,"count":1}"#);
    assert_eq!(session.get::<u32>("b").unwrap(), Some(1), "merged");
}

/// Two tasks of a socket count at the same time, and so do two parts of one handler.
#[tokio::test]
async fn concurrent_updates_of_one_handle_are_all_kept() {
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    let (app, cookie, session) = detached().await;
    let other = session.clone();
    let counts = tokio::join!(session.update("count", add), other.update("count", add));
    assert_eq!((counts.0.unwrap(), counts.1.unwrap()), (1, 2));
    assert_eq!(session.update("count", add).await.unwrap(), 3);
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1,"count":3}"#);

    let twice = get(async move |session: Session| {
        let counts = tokio::join!(session.update("count", add), session.update("count", add));
        counts.0.and(counts.1).map(|count| count.to_string())
    });
    let layer = SessionLayer::builder(app.store.clone(), [SECRET]).build().unwrap();
    let router: Router = routes().route("/twice", twice).layer(layer);
    assert_eq!(text(visit(&router, "/twice", &cookie).await).await, "5");
    assert_eq!(text(visit(&router, "/look", &cookie).await).await, r#"{"a":1,"count":5}"#);
}

/// A middleware logs the visitor in, and the handler asks for the fresh session.
#[tokio::test]
async fn a_fresh_session_does_not_undo_a_login() {
    let app = app(|layer| layer);
    for is_saved in [false, true] {
        let handler = get(async move |session: Session, lazy: LazySession| {
            session.log_in("al", &[]).await?;
            if is_saved {
                session.save().await?;
            }
            lazy.fresh().await?.raw().to_json()
        });
        let layer = SessionLayer::builder(app.store.clone(), [SECRET]).build().unwrap();
        let router: Router = routes().route("/", handler).layer(layer);
        let cookie = app.cookie().await;
        let response = visit(&router, "/", &cookie).await;
        let cookie = cookie_pair(&response);
        assert_eq!(text(response).await, r#"{"user":"al"}"#, "{is_saved}");
        assert_eq!(text(visit(&router, "/look", &cookie).await).await, r#"{"user":"al"}"#);
    }
}

#[tokio::test]
async fn keep_alive_restarts_the_time_to_live() {
    let (app, cookie, session) = detached().await;
    let day = Duration::from_secs(86_400);
    app.store.pass_time(day / 2);
    session.keep_alive().await.unwrap();
    assert_eq!(app.stored(&cookie).await.unwrap().time_left, day);
    app.store.pass_time(day * 2);
    assert_eq!(session.keep_alive().await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn ended_returns_after_a_logout_a_new_id_or_expiry() {
    for end in ["/destroy", "/regenerate", "time"] {
        let (app, cookie, session) = detached().await;
        let ended = tokio::spawn(async move { session.ended(PERIOD).await });
        let store_is_read_twice = async || {
            app.store.calls();
            let mut calls = 0;
            until("the store is read twice more", async || {
                calls += app.store.calls().len();
                calls >= 2
            })
            .await;
            settle().await;
        };
        store_is_read_twice().await;
        assert!(!ended.is_finished(), "the session has not ended");
        app.store.set_unavailable(true);
        store_is_read_twice().await;
        assert!(!ended.is_finished(), "an unavailable store does not count as the end");
        app.store.set_unavailable(false);
        match end {
            "time" => app.store.pass_time(Duration::from_secs(90_000)),
            path => drop(app.get(path, &cookie).await),
        }
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_not_stored_cannot_be_detached() {
    let (app, _) = detaching();
    let response = app.get("/detach", "").await;
    assert_eq!(response.status(), 500);
}

#[tokio::test]
async fn a_fresh_session_is_read_from_the_store() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    assert_eq!(text(app.get("/look/fresh", &cookie).await).await, r#"{"a":1}"#);
    assert_eq!(app.store.calls(), ["load latest"]);
}

/// A middleware has already loaded the session when the handler asks for a fresh one.
#[tokio::test]
async fn a_fresh_session_replaces_one_that_was_read_before() {
    let store = Arc::<RecordingStore>::default();
    let layer = || SessionLayer::builder(store.clone(), [SECRET]).build().unwrap();
    let other: Router = routes().layer(layer());
    let cookie = cookie_pair(&visit(&other, "/set/a", "").await);
    let (id, sent) = (id_in(&cookie), cookie.clone());
    let handler = get(async move |session: Session, lazy: LazySession| {
        assert_eq!(session.id(), id);
        visit(&other, "/destroy", &sent).await;
        let fresh = lazy.fresh().await?;
        assert_ne!(fresh.id(), id, "the session has ended, so this is a new one");
        assert_eq!(session.id(), fresh.id(), "all handles of the request have it");
        session.raw().to_json()
    });
    let app = Router::new().route("/", handler).layer(layer());
    assert_eq!(text(visit(&app, "/", &cookie).await).await, "{}");
}
