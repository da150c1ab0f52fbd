//! The operations of a handler on its session.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_express_session::{
    AccountSessions, Error, ErrorKind, Key, MemoryStore, Session, SessionLayer,
};

use crate::app::{Builder, SECRET, app, cookie_pair, set_cookie, text, visit};
use crate::recording_store::RecordingStore;

const CART: Key<Vec<String>> = Key::new("cart");
const DAY: Duration = Duration::from_secs(86_400);

/// Returns an application over a recording store with this handler at `/`.
fn with<H, T>(options: impl FnOnce(Builder) -> Builder, handler: H) -> (Router, Arc<RecordingStore>)
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let store = Arc::<RecordingStore>::default();
    let layer = options(SessionLayer::builder(store.clone(), [SECRET])).build().unwrap();
    (crate::app::routes().route("/", get(handler)).layer(layer), store)
}

#[tokio::test]
async fn attributes_are_read_and_set_by_name_and_by_key() {
    let (router, _) = with(
        |layer| layer,
        async |session: Session| {
            assert!(session.is_empty() && !session.is_modified());
            session.insert(CART, &vec!["tea".to_owned()])?;
            session.insert("theme", "dark")?;
            session.insert(String::from("n"), &7)?;
            assert_eq!(session.keys(), ["cart", "theme", "n"]);
            assert_eq!(session.get(CART)?, Some(vec!["tea".to_owned()]));
            // A borrowed form of the key's type is accepted, too.
            session.insert(CART, &[] as &[String])?;
            session.insert(Key::<String>::new("theme"), "light")?;
            session.insert("theme", "dark")?;
            session.insert(CART, &vec!["tea".to_owned()])?;
            assert_eq!(session.get::<Vec<String>>("cart")?, session.get(CART)?);
            assert!(session.contains(CART) && session.contains("n") && !session.contains("m"));
            assert!(session.is_modified());
            // If decoding fails, nothing is removed.
            assert_eq!(session.take::<u8>("theme").unwrap_err().kind(), ErrorKind::Decode);
            assert_eq!(session.take::<String>("theme")?.as_deref(), Some("dark"));
            assert_eq!(session.take::<String>("theme")?, None);
            assert!(session.remove(CART)? && !session.remove(CART)?);
            session.clear()?;
            assert!(session.is_empty() && !session.is_modified(), "the session is unchanged");
            Ok::<_, Error>(())
        },
    );
    let response = visit(&router, "/", "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(set_cookie(&response), None);
}

#[tokio::test]
async fn an_ended_session_has_no_attributes() {
    let (router, _) = with(
        |layer| layer,
        async |session: Session| {
            session.log_out().await?;
            assert!(session.is_empty() && session.keys().is_empty() && !session.contains("a"));
            assert!(session.is_modified());
            let kinds = [
                session.get::<u8>("a").unwrap_err().kind(),
                session.insert("a", &1).unwrap_err().kind(),
                session.take::<u8>("a").unwrap_err().kind(),
                session.log_out().await.unwrap_err().kind(),
                session.log_in("al", &[]).await.unwrap_err().kind(),
                session.renew().await.unwrap_err().kind(),
            ];
            assert_eq!(kinds, [ErrorKind::NoSession; 6]);
            Ok::<_, Error>(())
        },
    );
    let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
    assert_eq!(visit(&router, "/", &cookie).await.status(), 200);
}

#[tokio::test]
async fn a_login_keeps_the_named_attributes_under_a_new_id() {
    let store = Arc::<MemoryStore>::default();
    let layer = SessionLayer::builder(store.clone(), [SECRET]).account_sessions("who");
    let login =
        get(async |session: Session| session.log_in(&7, &[&"a", &"missing", &"cookie"]).await);
    let router = crate::app::routes().route("/", login).layer(layer.build().unwrap());
    let visitor = cookie_pair(&visit(&router, "/set/a", "").await);
    visit(&router, "/set/b", &visitor).await;
    let logged_in = cookie_pair(&visit(&router, "/", &visitor).await);
    assert_ne!(visitor, logged_in);
    assert_eq!(text(visit(&router, "/look", &logged_in).await).await, r#"{"a":1,"who":7}"#);
    assert_eq!(store.len(), 1, "the old session has ended");
}

#[tokio::test]
async fn a_renewed_session_has_its_data_under_a_new_id() {
    let (router, store) = with(
        |layer| layer,
        async |session: Session| {
            session.insert("mine", &1)?;
            let before = session.id();
            session.renew().await?;
            assert_ne!(session.id(), before);
            session.insert("later", &2)
        },
    );
    // A session that is not stored yet is stored only under the new id.
    let new = cookie_pair(&visit(&router, "/", "").await);
    assert_eq!(text(visit(&router, "/look", &new).await).await, r#"{"mine":1,"later":2}"#);
    store.calls();
    let old = cookie_pair(&visit(&router, "/login/al/3", "").await);
    let renewed = cookie_pair(&visit(&router, "/", &old).await);
    assert_ne!(old, renewed);
    let expected = r#"{"user":"al","mine":1,"later":2}"#;
    assert_eq!(text(visit(&router, "/look", &renewed).await).await, expected);
    assert_eq!(text(visit(&router, "/look", &old).await).await, "{}");
    assert_eq!(
        text(visit(&router, "/epoch", &renewed).await).await,
        "Some(3)",
        "the epoch is kept"
    );
}

/// A change that another request stores between the load and the renewal is kept. If another
/// request ends the session, the renewal does not restore it.
#[tokio::test]
async fn a_renewal_loses_no_change_and_restores_no_ended_session() {
    for (meanwhile, expected) in [("/set/theirs", 200), ("/destroy", 503)] {
        let store = Arc::<RecordingStore>::default();
        let layer = || SessionLayer::builder(store.clone(), [SECRET]).build().unwrap();
        let other: Router = crate::app::routes().layer(layer());
        let old = cookie_pair(&visit(&other, "/set/a", "").await);
        let (elsewhere, cookie) = (other.clone(), old.clone());
        let handler = get(async move |session: Session| {
            session.insert("mine", &1)?;
            visit(&elsewhere, meanwhile, &cookie).await;
            match session.renew().await {
                Err(error) if error.kind() == ErrorKind::Gone => {
                    Ok(StatusCode::SERVICE_UNAVAILABLE)
                }
                renewed => renewed.map(|()| StatusCode::OK),
            }
        });
        let router = Router::new().route("/", handler).layer(layer());
        let response = visit(&router, "/", &old).await;
        assert_eq!(response.status(), expected, "{meanwhile}");
        if expected == 200 {
            let renewed = cookie_pair(&response);
            let all = r#"{"a":1,"theirs":1,"mine":1}"#;
            assert_eq!(text(visit(&other, "/look", &renewed).await).await, all);
        } else {
            assert!(store.inner.is_empty(), "no session is stored");
            assert_eq!(
                set_cookie(&response),
                None,
                "the request that ended the session cleared the cookie"
            );
        }
    }
}

#[tokio::test]
async fn expires_at_is_the_expiry_in_the_store() {
    let (router, _) = with(
        |layer| layer.ttl(DAY),
        async |session: Session| {
            let left = session.expires_at().map(|at| at.duration_since(SystemTime::now()).unwrap());
            format!("{}", left.map_or(0, |left| left.as_secs().div_ceil(60)))
        },
    );
    assert_eq!(text(visit(&router, "/", "").await).await, "0", "not stored");
    let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
    assert_eq!(text(visit(&router, "/", &cookie).await).await, "1440");
}

#[tokio::test]
async fn changes_are_stored_with_a_server_error_unless_the_layer_drops_them() {
    for (save, expected) in [(true, r#"{"a":1,"b":1}"#), (false, r#"{"a":1}"#)] {
        let (router, _) = with(
            |layer| layer.save_on_server_error(save),
            async |session: Session| {
                session.insert("b", &1)?;
                Ok::<_, Error>(StatusCode::BAD_GATEWAY)
            },
        );
        let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
        assert_eq!(visit(&router, "/", &cookie).await.status(), 502);
        assert_eq!(text(visit(&router, "/look", &cookie).await).await, expected);
    }
    // A logout is kept in any case.
    let (router, store) = with(
        |layer| layer.save_on_server_error(false),
        async |session: Session| {
            session.log_out().await?;
            Ok::<_, Error>(StatusCode::BAD_GATEWAY)
        },
    );
    let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
    assert!(set_cookie(&visit(&router, "/", &cookie).await).unwrap().contains("1970"));
    assert!(store.inner.is_empty());
}

/// The handler reports that the login failed, so the browser must not be logged in after all. A login that
/// was stored before is kept.
#[tokio::test]
async fn a_login_that_could_not_be_stored_is_not_stored_after_a_server_error() {
    let store = Arc::<RecordingStore>::default();
    for (saves, is_stored) in [(true, false), (false, false), (true, true), (false, true)] {
        let outage = Arc::clone(&store);
        let visits = async move |session: Session| -> Result<StatusCode, Error> {
            session.log_in("al", &[]).await?;
            if is_stored {
                session.save().await?;
                session.insert("later", &1)?;
            }
            outage.set_unavailable(true);
            let saved = session.save().await;
            outage.set_unavailable(false);
            assert_eq!(saved.unwrap_err().kind(), ErrorKind::Unavailable);
            Ok(StatusCode::SERVICE_UNAVAILABLE)
        };
        let layer = SessionLayer::builder(store.clone(), [SECRET]).save_on_server_error(saves);
        let routes = crate::app::routes().route("/fails", get(visits));
        let router: Router = routes.layer(layer.build().unwrap());
        store.calls();
        let response = visit(&router, "/fails", "").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(set_cookie(&response).is_some(), saves || is_stored);
        // The layer tries once more if the session is kept.
        let of_handler = 1 + usize::from(is_stored);
        assert_eq!(store.calls().len(), of_handler + usize::from(saves || is_stored));
    }
}

/// Operations that have already changed the store are kept after a server error, and the browser
/// gets the new cookie, since its old one is no longer valid. Later changes of the handler are
/// discarded.
#[tokio::test]
async fn a_login_or_save_is_kept_after_a_server_error() {
    async fn visits(session: Session, Path(action): Path<String>) -> Result<StatusCode, Error> {
        session.insert("before", &1)?;
        match action.as_str() {
            "log_in" => session.log_in("al", &[&"a"]).await?,
            "renew" => session.renew().await?,
            "save" => session.save().await?,
            "update" => drop(session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await?),
            "save and log_in" => {
                session.save().await?;
                session.log_in("al", &[&"a"]).await?;
            }
            _ => {}
        }
        session.insert("later", &1)?;
        session.set_max_age(Some(DAY))?;
        Ok(StatusCode::BAD_GATEWAY)
    }
    let store = Arc::<RecordingStore>::default();
    let layer = SessionLayer::builder(store.clone(), [SECRET]).save_on_server_error(false);
    let routes = crate::app::routes().route("/do/{action}", get(visits));
    let router: Router = routes.layer(layer.build().unwrap());
    for (action, first_visit, later_visit) in [
        ("nothing", None, r#"{"a":1}"#),
        ("log_in", Some(r#"{"user":"al"}"#), r#"{"a":1,"user":"al"}"#),
        ("renew", None, r#"{"a":1,"before":1}"#),
        ("save", Some(r#"{"before":1}"#), r#"{"a":1,"before":1}"#),
        ("update", Some(r#"{"before":1,"n":1}"#), r#"{"a":1,"before":1,"n":1}"#),
        ("save and log_in", Some(r#"{"user":"al"}"#), r#"{"a":1,"user":"al"}"#),
    ] {
        let path = format!("/do/{}", action.replace(' ', "%20"));
        let response = visit(&router, &path, "").await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        match first_visit {
            None => assert_eq!(set_cookie(&response), None, "{action}"),
            Some(expected) => {
                let cookie = cookie_pair(&response);
                assert!(!set_cookie(&response).unwrap().contains("Expires"), "{action}");
                let all = text(visit(&router, "/look", &cookie).await).await;
                assert_eq!(all, expected, "{action}");
            }
        }
        let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
        let response = visit(&router, &path, &cookie).await;
        let cookie = set_cookie(&response).map_or(cookie, |_| cookie_pair(&response));
        let all = text(visit(&router, "/look", &cookie).await).await;
        assert_eq!(all, later_visit, "{action}");
    }
}

/// The response of `on_failure` may have another status than the failure.
#[tokio::test]
async fn changes_are_discarded_whatever_status_on_failure_returns() {
    let layer = SessionLayer::builder(MemoryStore::new(), [SECRET])
        .save_on_server_error(false)
        .on_failure(|_: &Error| -> Response { "sorry".into_response() });
    let failing = get(async |session: Session| {
        session.insert("b", &1)?;
        session.get::<String>("a").map(Option::unwrap_or_default)
    });
    let routes = crate::app::routes().route("/", failing);
    let router: Router = routes.layer(layer.build().unwrap());
    let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
    assert_eq!(text(visit(&router, "/", &cookie).await).await, "sorry");
    assert_eq!(text(visit(&router, "/look", &cookie).await).await, r#"{"a":1}"#);
}

/// The session may fail in the extractor, in a handler that returns the error, or at the end of the
/// request.
#[tokio::test]
async fn on_failure_sets_the_response_to_each_failure() {
    let store = Arc::<RecordingStore>::default();
    let layer = SessionLayer::builder(store.clone(), [SECRET])
        .on_failure(|error: &Error| -> Response {
            (error.status(), format!("sorry: {error}")).into_response()
        })
        .build()
        .unwrap();
    let own = get(async |session: Result<Session, Error>| session.map_or("my own", |_| "fine"));
    let router: Router = crate::app::routes().route("/own", own).layer(layer);
    let cookie = cookie_pair(&visit(&router, "/set/a", "").await);
    store.set_unavailable(true);
    for (path, cookie) in [("/look", &cookie[..]), ("/destroy", &cookie), ("/set/a", "")] {
        let response = visit(&router, path, cookie).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(body, "sorry: the store is not available", "{path}");
    }
    assert_eq!(text(visit(&router, "/own", &cookie).await).await, "my own");
}

#[tokio::test]
async fn a_handler_can_take_account_sessions_as_an_argument() {
    let handler = async |accounts: AccountSessions, session: Session| {
        let user: String = session.get("user")?.unwrap_or_default();
        accounts.list(&user).await.map(|sessions| sessions.len().to_string())
    };
    let layer = SessionLayer::builder(MemoryStore::new(), [SECRET]).account_sessions("user");
    let layer = layer.build().unwrap();
    let router: Router = crate::app::routes().route("/", get(handler)).layer(layer);
    let cookie = cookie_pair(&visit(&router, "/login/al", "").await);
    visit(&router, "/login/al", "").await;
    assert_eq!(text(visit(&router, "/", &cookie).await).await, "2");
    let (router, _) = with(|layer| layer, handler);
    assert_eq!(visit(&router, "/", "").await.status(), 500, "the layer has no index");
}

#[tokio::test]
async fn shut_down_waits_for_background_touches() {
    let app = app(|layer| layer);
    let store = app.store.clone();
    let layer = SessionLayer::builder(store.clone(), [SECRET]).touch_after(0.0).build().unwrap();
    let router: Router = crate::app::routes().layer(layer.clone());
    let cookie = app.cookie().await;
    store.pass_time(DAY / 2);
    visit(&router, "/look", &cookie).await;
    layer.shut_down().await;
    assert_eq!(app.stored(&cookie).await.unwrap().time_left, DAY, "it was touched");
}
