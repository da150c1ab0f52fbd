//! A session in use is kept alive without a write for each request and without a wait.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::header::{COOKIE, USER_AGENT};
use tower_express_session::accounts::AccountOptions;
use tower_express_session::{MemoryStore, SessionLayer, Store};

use crate::app::{Builder, SECRET, app, cookie_pair, id_in, routes, send, settle, text, visit};
use crate::recording_store::RecordingStore;

const TTL: Duration = Duration::from_secs(1000);

fn with_ttl(layer: Builder) -> Builder {
    layer.ttl(TTL)
}

#[tokio::test]
async fn a_session_is_touched_after_a_tenth_of_its_lifetime() {
    let app = app(with_ttl);
    let cookie = app.cookie().await;
    for (passed, touched) in [(50, false), (45, false), (10, true), (50, false), (55, true)] {
        app.store.pass_time(Duration::from_secs(passed));
        app.get("/look", &cookie).await;
        settle().await;
        let expected: &[_] = if touched { &["load", "touch"] } else { &["load"] };
        assert_eq!(app.store.calls(), expected, "{passed} s later");
    }
    assert_eq!(app.stored(&cookie).await.unwrap().time_left, TTL);
}

#[tokio::test]
async fn a_session_that_lives_until_its_absolute_timeout_is_not_touched() {
    let store = Arc::new(RecordingStore::with_absolute_timeout(TTL / 2));
    let layer = with_ttl(SessionLayer::builder(store.clone(), [SECRET])).build().unwrap();
    let router = routes().layer(layer);
    let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
    store.calls();
    for _ in 0..4 {
        store.pass_time(TTL / 10);
        visit(&router, "/look", &cookie).await;
        settle().await;
        assert_eq!(store.calls(), ["load"]);
    }
}

/// Touches tell the index the last use of other sessions.
#[tokio::test]
async fn the_index_knows_the_last_use_of_a_session_that_is_not_touched() {
    for (fraction, device) in [(0.5, "Firefox 2"), (0.0, "Firefox 3"), (1.0, "Firefox 1")] {
        let layer = SessionLayer::builder(MemoryStore::new().absolute_timeout(TTL / 2), [SECRET])
            .ttl(TTL)
            .touch_after(fraction)
            .account_sessions(AccountOptions::new("user"))
            .build()
            .unwrap();
        let accounts = layer.account_sessions().unwrap();
        let router = routes().layer(layer);
        let request = |path| Request::get(path).header(USER_AGENT, "Firefox 1");
        let cookie = cookie_pair(&send(&router, request("/login/al")).await);
        for browser in ["Firefox 2", "Firefox 3"] {
            let request = Request::get("/look").header(COOKIE, &cookie);
            send(&router, request.header(USER_AGENT, browser)).await;
            settle().await;
        }
        assert_eq!(accounts.list("al").await.unwrap()[0].device, device, "{fraction}");
    }
}

#[tokio::test]
async fn touch_after_sets_the_fraction() {
    for (fraction, passed, touched) in
        [(0.0, 1, true), (0.5, 499, false), (0.5, 501, true), (1.0, 999, false)]
    {
        let app = app(|layer| with_ttl(layer).touch_after(fraction));
        let cookie = app.cookie().await;
        app.store.pass_time(Duration::from_secs(passed));
        app.get("/look", &cookie).await;
        settle().await;
        assert_eq!(app.store.calls().contains(&"touch"), touched, "{fraction} after {passed} s");
    }
}

#[tokio::test]
async fn a_session_in_use_does_not_expire_and_an_idle_one_does() {
    let app = app(with_ttl);
    let cookie = app.cookie().await;
    for _ in 0..10 {
        app.store.pass_time(Duration::from_secs(800));
        assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1}"#);
        settle().await;
    }
    app.store.pass_time(TTL + Duration::from_secs(1));
    assert_eq!(text(app.get("/look", &cookie).await).await, "{}");
}

#[tokio::test]
async fn responses_do_not_wait_for_a_touch() {
    let app = app(|layer| layer.touch_after(0.0));
    let cookie = app.cookie().await;
    app.store.never_answer("touch");
    app.store.pass_time(Duration::from_secs(1));
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1}"#);
    settle().await;
    assert!(app.store.calls().contains(&"touch"));
}

#[tokio::test]
async fn the_number_of_concurrent_touches_is_limited() {
    let app = app(|layer| layer.touch_after(0.0));
    let cookie = app.cookie().await;
    app.store.never_answer("touch");
    app.store.pass_time(Duration::from_secs(1));
    for _ in 0..1200 {
        app.get("/look", &cookie).await;
    }
    settle().await;
    let touches = app.store.calls().iter().filter(|call| **call == "touch").count();
    assert_eq!(touches, 1024);
}

#[tokio::test]
async fn a_request_that_writes_does_not_touch() {
    let app = app(|layer| layer.touch_after(0.0));
    let cookie = app.cookie().await;
    app.get("/set/b", &cookie).await;
    settle().await;
    assert_eq!(app.store.calls(), ["load", "update"]);
}

/// A touch restarts the time to live and does not update the date in the value, which is in the
/// past then.
#[tokio::test]
async fn a_session_whose_stored_date_has_passed_is_saved() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    let stale = r#"{"cookie":{"originalMaxAge":60000,"expires":"2020-01-01T00:00:00.000Z","path":"/"},"a":1}"#;
    for path in ["/set/b", "/save", "/update"] {
        app.store.inner.overwrite(&id_in(&cookie), stale.into(), TTL).await.unwrap();
        assert_eq!(app.get(path, &cookie).await.status(), 200);
        let stored = app.stored(&cookie).await.expect(path);
        assert!(stored.time_left > Duration::from_secs(50), "{path}");
        assert!(!stored.value.starts_with(&stale.as_bytes()[..60]), "{path}: the date is updated");
    }
}

#[tokio::test]
async fn with_refresh_expires_a_touch_writes_the_date() {
    let max_age = tower_express_session::CookieOptions::new().max_age(TTL);
    for (refresh, write) in [(false, "touch"), (true, "update")] {
        let app = app(|layer| layer.cookie(max_age.clone()).refresh_expires(refresh));
        let cookie = app.cookie().await;
        let before = app.stored(&cookie).await.unwrap().value;
        app.store.pass_time(Duration::from_secs(500));
        app.get("/look", &cookie).await;
        settle().await;
        assert_eq!(app.store.calls(), ["load", write]);
        let after = app.stored(&cookie).await.unwrap();
        // The clock advances while a request is handled, possibly by less than its resolution.
        assert!(refresh || after.value == before);
        assert!(after.time_left > Duration::from_secs(990));
    }
}
