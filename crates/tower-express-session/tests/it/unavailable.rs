//! An unavailable store logs nobody out.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use tower_express_session::{ErrorKind, Event, WhenUnavailable};

use crate::app::{app, set_cookie, text};

const REFUSED: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

#[tokio::test]
async fn with_when_unavailable_anonymous_the_handler_gets_an_empty_session() {
    let app = app(|layer| layer.when_unavailable(WhenUnavailable::Anonymous));
    let cookie = app.cookie().await;
    app.store.set_unavailable(true);
    let looked = app.get("/look", &cookie).await;
    assert_eq!(set_cookie(&looked), None, "the cookie is not changed");
    assert_eq!(text(looked).await, "{}");
    for path in ["/set/b", "/login/al", "/regenerate", "/destroy"] {
        let refused = app.get(path, &cookie).await;
        assert_eq!((refused.status(), set_cookie(&refused)), (REFUSED, None), "{path}");
        assert_eq!(refused.headers()[RETRY_AFTER], "1", "{path}");
    }
    assert_eq!(app.get("/unset", &cookie).await.status(), StatusCode::OK);
    app.store.set_unavailable(false);
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1}"#, "nothing was lost");
}

#[tokio::test]
async fn an_empty_stand_in_does_not_overwrite_the_session_when_the_store_is_back() {
    let app = app(|layer| layer.when_unavailable(WhenUnavailable::Anonymous));
    let cookie = app.cookie().await;
    app.store.set_unavailable(true);
    let returns = async {
        app.arrived.notified().await;
        app.store.set_unavailable(false);
        app.go_on.notify_one();
    };
    let (slow, ()) = tokio::join!(app.get("/slow/b", &cookie), returns);
    assert_eq!((slow.status(), set_cookie(&slow)), (REFUSED, None));
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_request_without_a_cookie_never_waits_for_the_store() {
    let app = app(|layer| layer);
    app.store.never_answer("load");
    let look = app.get("/look", "");
    let looked = tokio::time::timeout(Duration::from_secs(20), look).await.unwrap();
    assert_eq!(text(looked).await, "{}");
    let forged = app.get("/look", "connect.sid=s%3Aforged.signature");
    assert_eq!(
        text(tokio::time::timeout(Duration::from_secs(20), forged).await.unwrap()).await,
        "{}"
    );
    assert!(app.store.calls().is_empty());
}

#[tokio::test]
async fn events_report_each_operation() {
    let events_seen = std::sync::Arc::<std::sync::Mutex<Vec<Event>>>::default();
    let list = events_seen.clone();
    let app = app(|layer| layer.on_event(move |event| list.lock().unwrap().push(event)));
    let events = || std::mem::take(&mut *events_seen.lock().unwrap());
    let cookie = app.cookie().await;
    assert_eq!(events(), [Event::Created]);
    app.get("/look", &cookie).await;
    assert_eq!(events(), [Event::Loaded]);
    app.get("/set/b", &cookie).await;
    assert_eq!(events(), [Event::Loaded, Event::Updated { merges: 0 }]);
    app.store.set_unavailable(true);
    app.get("/look", &cookie).await;
    assert_eq!(events(), [Event::Failed(ErrorKind::Unavailable)]);
    app.store.set_unavailable(false);
    app.get("/destroy", &cookie).await;
    assert_eq!(events(), [Event::Loaded, Event::Destroyed]);
    app.get("/look", &cookie).await;
    assert_eq!(events(), [Event::Unknown]);
}
