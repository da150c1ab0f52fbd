//! A session for what outlives its request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_express_session::{
    DetachedSession, Error, ErrorKind, LazySession, Session, SessionLayer,
};

use crate::app::{App, SECRET, app, cookie_pair, id_in, routes, settle, text, visit};
use crate::watched::Watched;

/// Short, as nobody else waits for it.
const PERIOD: Duration = Duration::from_millis(2);

/// An application whose handler of `/detach` leaves its session in the second value.
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

/// A socket's two tasks count at the same time, and so do two parts of one handler.
#[tokio::test]
async fn updates_of_one_handle_at_the_same_time_all_count() {
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

/// A middleware logs the visitor in, and the handler wants what is in the store.
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
async fn a_touch_prolongs_it() {
    let (app, cookie, session) = detached().await;
    let day = Duration::from_secs(86_400);
    app.store.pass_time(day / 2);
    session.keep_alive().await.unwrap();
    assert_eq!(app.stored(&cookie).await.unwrap().time_left, day);
    app.store.pass_time(day * 2);
    assert_eq!(session.keep_alive().await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn its_end_is_told_however_it_comes() {
    for end in ["/destroy", "/regenerate", "time"] {
        let (app, cookie, session) = detached().await;
        let ended = tokio::spawn(async move { session.ended(PERIOD).await });
        settle().await;
        tokio::time::sleep(PERIOD * 4).await;
        assert!(!ended.is_finished(), "it is still there");
        app.store.set_away(true);
        tokio::time::sleep(PERIOD * 4).await;
        assert!(!ended.is_finished(), "a store that is away is no end");
        app.store.set_away(false);
        match end {
            "time" => app.store.pass_time(Duration::from_secs(90_000)),
            path => drop(app.get(path, &cookie).await),
        }
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_not_stored_cannot_be_detached() {
    let (app, _) = detaching();
    let response = app.get("/detach", "").await;
    assert_eq!(response.status(), 500);
}

#[tokio::test]
async fn a_fresh_session_is_read_past_every_cache() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    assert_eq!(text(app.get("/look/fresh", &cookie).await).await, r#"{"a":1}"#);
    assert_eq!(app.store.calls(), ["load latest"]);
}

/// A middleware has the session in hand already, as it was then; a handler asks again.
#[tokio::test]
async fn a_fresh_session_takes_the_place_of_one_that_was_read_before() {
    let store = Arc::<Watched>::default();
    let layer = || SessionLayer::builder(store.clone(), [SECRET]).build().unwrap();
    let other: Router = routes().layer(layer());
    let cookie = cookie_pair(&visit(&other, "/set/a", "").await);
    let (id, sent) = (id_in(&cookie), cookie.clone());
    let handler = get(async move |session: Session, lazy: LazySession| {
        assert_eq!(session.id(), id);
        visit(&other, "/destroy", &sent).await;
        let fresh = lazy.fresh().await?;
        assert_ne!(fresh.id(), id, "a session for somebody new");
        assert_eq!(session.id(), fresh.id(), "and everybody in this request has it");
        session.raw().to_json()
    });
    let app = Router::new().route("/", handler).layer(layer());
    assert_eq!(text(visit(&app, "/", &cookie).await).await, "{}");
}
