//! The defaults of the layer that differ from Express on purpose.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use tower::ServiceExt;
use tower_express_session::accounts::AccountOptions;
use tower_express_session::raw::Unset;
use tower_express_session::request::SecureTransport;
use tower_express_session::store::Freshness;
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::{
    CookieOptions, Error, ErrorKind, LazySession, MemoryStore, SameSite, Secure, Session,
    SessionLayer, Store,
};

use crate::app::{CLEARED, SECRET, app, cookie_pair, id_in, set_cookie, text};
use crate::recording_store::RecordingStore;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_empty_session_is_not_stored_and_sends_no_cookie() {
    let app = app(|layer| layer);
    for path in ["/plain", "/look", "/destroy", "/unset"] {
        let response = app.get(path, "").await;
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None), "{path}");
    }
    assert_eq!((app.store.calls(), app.store.inner.len()), (vec![], 0));
    let response = app.get("/set/a", "").await;
    assert!(set_cookie(&response).unwrap().ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert_eq!((app.store.calls(), app.store.inner.len()), (vec!["create"], 1));
}

#[tokio::test]
async fn a_handler_without_a_session_does_not_read_the_store() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    app.get("/plain", &cookie).await;
    assert!(app.store.calls().is_empty());
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1}"#);
    assert_eq!(app.store.calls(), ["load"], "the session is not touched again so soon");
}

#[tokio::test]
async fn changes_of_parallel_requests_are_merged() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    let other = async {
        app.arrived.notified().await;
        app.get("/set/c", &cookie).await;
        app.go_on.notify_one();
    };
    let (slow, ()) = tokio::join!(app.get("/slow/b", &cookie), other);
    assert_eq!(slow.status(), StatusCode::OK);
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1,"c":1,"b":1}"#);
}

#[tokio::test]
async fn a_session_that_ends_during_a_request_is_not_restored() {
    for end in ["/destroy", "/regenerate", "/login/al"] {
        let app = app(|layer| layer);
        let cookie = app.cookie().await;
        let other = async {
            app.arrived.notified().await;
            app.get(end, &cookie).await;
            app.go_on.notify_one();
        };
        let (slow, ()) = tokio::join!(app.get("/slow/b", &cookie), other);
        assert_eq!(
            set_cookie(&slow),
            None,
            "{end}: the response may arrive after the cookie of a new login"
        );
        assert_eq!(text(slow).await, "done", "the handler's response is sent");
        assert_eq!(text(app.get("/look", &cookie).await).await, "{}", "{end}");
    }
}

#[tokio::test]
async fn the_cookie_is_cleared_with_the_attributes_that_it_had() {
    let cookie = CookieOptions::new().domain("example.com").same_site(SameSite::Strict);
    let app = app(|layer| layer.name("sid").cookie(cookie.max_age(Duration::from_secs(60))));
    let cookie = app.cookie().await;
    let cleared = app.get("/destroy", &cookie).await;
    let expected = "sid=; Domain=example.com; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Strict";
    assert_eq!(set_cookie(&cleared), Some(expected));
    assert!(app.store.inner.is_empty());
}

#[tokio::test]
async fn the_option_unset_keeps_or_destroys_the_session() {
    for (unset, left) in [(Unset::Keep, 1), (Unset::Destroy, 0)] {
        let app = app(|layer| layer.unset(unset));
        let cookie = app.cookie().await;
        assert_eq!(set_cookie(&app.get("/unset", &cookie).await), Some(CLEARED));
        assert_eq!(app.store.inner.len(), left);
    }
}

#[tokio::test]
async fn an_unavailable_store_is_a_503_and_never_a_new_session() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    app.store.set_unavailable(true);
    for (path, cookie) in
        [("/look", cookie.as_str()), ("/set/b", &cookie), ("/destroy", &cookie), ("/set/a", "")]
    {
        let response = app.get(path, cookie).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(set_cookie(&response), None, "{path}");
        assert_eq!(response.headers()[RETRY_AFTER], "1", "{path}");
    }
    assert_eq!(
        app.get("/look", "").await.status(),
        StatusCode::OK,
        "a request without a cookie does not read the store"
    );
    app.store.set_unavailable(false);
    assert_eq!(
        text(app.get("/look", &cookie).await).await,
        r#"{"a":1}"#,
        "the session survived the outage"
    );
}

#[tokio::test]
async fn a_corrupt_value_is_replaced_by_a_new_session() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    let id = id_in(&cookie);
    for corrupt in ["not JSON", "{}", r#"{"cookie":{"originalMaxAge":"60000"}}"#] {
        app.store.inner.overwrite(&id, corrupt.into(), Duration::from_secs(9)).await.unwrap();
        let response = app.get("/set/b", &cookie).await;
        assert_ne!(cookie_pair(&response), cookie, "the new session has a new id");
        let kept = app.stored(&cookie).await.unwrap().value;
        assert_eq!(kept, corrupt, "the corrupt value is kept for inspection");
    }
}

#[tokio::test]
async fn several_cookies_of_the_name_are_tried() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    let gone = cookie_pair(&app.get("/set/a", "").await);
    app.get("/destroy", &gone).await;
    for first in ["connect.sid=", "connect.sid=s%3Aforged.signature", &gone] {
        let header = format!("{first}; {cookie}");
        assert_eq!(text(app.get("/look", &header).await).await, r#"{"a":1}"#, "{first}");
    }
    // Their number is limited.
    let many = format!("{}{cookie}", "connect.sid=x; ".repeat(1000));
    assert_eq!(text(app.get("/look", &many).await).await, "{}");
}

#[tokio::test]
async fn a_change_during_a_save_is_kept() {
    let store = Arc::<RecordingStore>::default();
    let layer = SessionLayer::builder(store.clone(), [SECRET]).build().unwrap();
    let router: Router = Router::new()
        .route(
            "/",
            get(async |session: Session| {
                session.insert("a", &1)?;
                let change = async { session.insert("b", &2) };
                let (saved, changed) = tokio::join!(biased; session.save(), change);
                saved.and(changed)
            }),
        )
        .layer(layer);
    let request = Request::get("/").body(Body::empty()).unwrap();
    let cookie = cookie_pair(&router.oneshot(request).await.unwrap());
    let id = id_in(&cookie);
    let stored = store.inner.load(&id, Freshness::Latest).await.unwrap().unwrap().value;
    assert!(stored.ends_with(br#","a":1,"b":2}"#), "{stored:?}");
}

#[tokio::test]
async fn regenerating_ends_the_old_id() {
    let app = app(|layer| layer);
    let old = app.cookie().await;
    let new = cookie_pair(&app.get("/regenerate", &old).await);
    assert_ne!(old, new);
    assert_eq!(text(app.get("/look", &old).await).await, "{}");
    assert_eq!(app.store.inner.len(), 1);
}

#[tokio::test]
async fn attributes_that_are_added_on_the_wire_are_not_stored() {
    let app = app(|layer| layer.proxy(true));
    let plain = app.get("/set/a", "").await;
    assert!(set_cookie(&plain).unwrap().ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    let request = Request::get("/set/a")
        .header("x-forwarded-proto", "HTTPS, http")
        .body(Body::empty())
        .unwrap();
    let secure = app.router.clone().oneshot(request).await.unwrap();
    assert!(set_cookie(&secure).unwrap().ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax"));
    let stored = app.stored(&cookie_pair(&secure)).await.unwrap().value;
    assert_eq!(
        stored,
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"a":1}"#
    );
}

#[tokio::test]
async fn stored_attributes_take_precedence_on_the_wire_and_strict_adds_none() {
    let own = CookieOptions::new().same_site(SameSite::Strict).secure(Secure::No);
    let stored = app(|layer| layer.proxy(true).cookie(own));
    let off = app(|layer| layer.proxy(true).same_site_on_wire(None).secure_on_wire(false));
    let strict = app(|layer| layer.proxy(true).strict());
    for (app, end) in [
        (stored, "; Path=/; HttpOnly; SameSite=Strict"),
        (off, "; Path=/; HttpOnly"),
        (strict, "; Path=/; HttpOnly"),
    ] {
        let request = Request::get("/set/a").header("x-forwarded-proto", "https");
        let request = request.body(Body::empty()).unwrap();
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert!(set_cookie(&response).unwrap().ends_with(end), "{:?}", set_cookie(&response));
    }
}

#[tokio::test]
async fn a_secure_cookie_is_sent_only_over_tls() {
    let app = app(|layer| layer.cookie(CookieOptions::new().secure(Secure::Yes)));
    let forwarded =
        Request::get("/set/a").header("x-forwarded-proto", "https").body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(forwarded).await.unwrap();
    assert_eq!(set_cookie(&response), None, "the header is not trusted by default");
    let mut request = Request::get("/set/a").body(Body::empty()).unwrap();
    request.extensions_mut().insert(SecureTransport);
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert!(set_cookie(&response).unwrap().ends_with("; HttpOnly; Secure; SameSite=Lax"));
}

#[tokio::test]
async fn an_inner_layer_does_not_replace_the_session() {
    let app = app(|layer| layer);
    let inner = SessionLayer::builder(MemoryStore::new(), ["another secret"]).name("other");
    let router: Router = Router::new()
        .route("/", get(async |session: Session| session.insert("a", &1)))
        .layer(inner.build().unwrap())
        .layer(SessionLayer::builder(app.store.clone(), [SECRET]).build().unwrap());
    let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
    assert_eq!(app.store.inner.len(), 1);
}

#[tokio::test]
async fn there_is_no_session_outside_the_cookies_path() {
    let layer = SessionLayer::builder(MemoryStore::new(), [SECRET])
        .cookie(CookieOptions::new().path("/in"))
        .build()
        .unwrap();
    let router: Router = Router::new()
        .route("/in", get(async |_: LazySession| "in"))
        .route("/out", get(async |_: LazySession| "out"))
        .layer(layer);
    for (path, status) in [("/in", StatusCode::OK), ("/out", StatusCode::INTERNAL_SERVER_ERROR)] {
        let response =
            router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn names_that_node_drops_and_numbers_that_it_rounds_are_rejected() {
    let layer = SessionLayer::builder(MemoryStore::new(), [SECRET]).build().unwrap();
    let router: Router = Router::new()
        .route(
            "/",
            get(async |session: Session| {
                let kind = |result: Result<(), Error>| result.unwrap_err().kind();
                assert_eq!(kind(session.insert("id", &1)), ErrorKind::ReservedName);
                assert_eq!(kind(session.insert("cookie", &1)), ErrorKind::ReservedName);
                assert_eq!(kind(session.insert("n", &u64::MAX)), ErrorKind::Encode);
                assert_eq!(kind(session.raw().insert_json("n", "{")), ErrorKind::Encode);
                session.insert("n", &[1.0, -0.0, 1e21, f64::NAN]).unwrap();
                assert_eq!(session.raw().get_json("n").unwrap().unwrap(), "[1,0,1e+21,null]");
                assert_eq!(session.get::<String>("n").unwrap_err().kind(), ErrorKind::Decode);
                assert!(session.remove("n").unwrap() && !session.remove("n").unwrap());
            }),
        )
        .layer(layer);
    let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn options_that_no_browser_accepts_are_rejected_by_build() {
    let layer = || SessionLayer::builder(MemoryStore::new(), [SECRET]);
    let now = SystemTime::now();
    for (layer, name) in [
        (layer().name("a b"), "name"),
        (layer().name(&"a".repeat(4000)), "name"),
        (layer().name("__Host-sid"), "cookie.secure"),
        (layer().ttl(Duration::from_millis(999)), "ttl"),
        (layer().touch_after(1.5), "touch_after"),
        (layer().token_header(SET_COOKIE), "token_header"),
        (layer().account_sessions(""), "account_sessions"),
        (layer().account_sessions("cookie"), "account_sessions"),
        (layer().account_sessions(AccountOptions::new("user").max_sessions(0)), "max_sessions"),
        (layer().account_sessions(AccountOptions::new("user").max_sessions(101)), "max_sessions"),
        (layer().same_site_on_wire(SameSite::Auto), "same_site_on_wire"),
        (layer().same_site_on_wire(SameSite::None), "cookie.sameSite"),
        (layer().cookie(CookieOptions::new().same_site(SameSite::None)), "cookie.sameSite"),
        (layer().cookie(CookieOptions::new().same_site(SameSite::Auto)), "cookie.sameSite"),
        (layer().cookie(CookieOptions::new().partitioned(true)), "cookie.partitioned"),
        (layer().cookie(CookieOptions::new().max_age(Duration::ZERO)), "cookie.maxAge"),
        (layer().cookie(CookieOptions::new().max_age(401 * DAY)), "cookie.maxAge"),
        (layer().cookie(CookieOptions::new().expires(UNIX_EPOCH)), "cookie.expires"),
        (layer().cookie(CookieOptions::new().expires(now + 401 * DAY)), "cookie.expires"),
        (layer().cookie(CookieOptions::new().path("app")), "cookie.path"),
        (layer().cookie(CookieOptions::new().path("/;x")), "cookie.path"),
        (layer().cookie(CookieOptions::new().domain("a;b")), "cookie.domain"),
    ] {
        assert!(layer.build().unwrap_err().to_string().starts_with(&format!("option {name}:")));
    }
    let store = MemoryStore::new().absolute_timeout(Duration::from_millis(999));
    let error = SessionLayer::builder(Arc::new(store), [SECRET]).build().unwrap_err();
    assert_eq!(error.to_string(), "option absolute_timeout: must be at least one second");
    let redis = || RedisStore::open("redis://127.0.0.1:1").unwrap();
    let mut hasty = CacheOptions::default();
    hasty.heartbeat = hasty.lease;
    for (store, name) in [
        (redis().absolute_timeout(Duration::ZERO), "absolute_timeout"),
        (redis().prefix("a:").account_prefix("a:b:"), "account_prefix"),
        (redis().cached(hasty), "cached"),
    ] {
        let error = SessionLayer::builder(store, [SECRET]).build().unwrap_err();
        assert!(error.to_string().starts_with(&format!("option {name}:")), "{error}");
    }
    assert!(CookieOptions::from_json(r#"{"maxAge":"1000"}"#).is_err());
    let everywhere = CookieOptions::new().same_site(SameSite::None).partitioned(true);
    for layer in [
        layer(),
        layer().cookie(CookieOptions::new().max_age(400 * DAY)),
        layer().cookie(CookieOptions::new().expires(now + DAY)),
        layer().cookie(everywhere.clone().secure(Secure::Auto)).name("__Host-Http-sid"),
        // Values that Express accepts.
        layer().cookie(everywhere.path("app")).name("a b").strict(),
    ] {
        layer.build().unwrap();
    }
}

#[tokio::test]
async fn a_change_to_a_cookie_that_no_browser_accepts_is_rejected() {
    let app = |strict: bool| {
        let layer = SessionLayer::builder(MemoryStore::new(), [SECRET]);
        let handler = async |session: Session| {
            let set = |name: &str, json: &str| session.raw().set_cookie_field(name, json).is_ok();
            let taken = [
                set("sameSite", r#""none""#),
                set("partitioned", "true"),
                set("path", r#""app""#),
                set("domain", r#""a;b""#),
                set("maxAge", "34560000001"),
                set("maxAge", "60000"),
                set("secure", "true"),
                set("sameSite", r#""none""#),
                set("secure", "false"),
            ];
            format!("{taken:?}")
        };
        let layer = if strict { layer.strict() } else { layer }.build().unwrap();
        Router::new().route("/", get(handler)).layer(layer)
    };
    for (strict, taken) in
        [(false, [false, false, false, false, false, true, true, true, false]), (true, [true; 9])]
    {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = app(strict).oneshot(request).await.unwrap();
        assert_eq!(crate::app::text(response).await, format!("{taken:?}"), "{strict}");
    }
}

/// A stored session has its own cookie attributes, even if those of the layer have changed.
#[tokio::test]
async fn the_end_of_a_session_clears_the_cookie_with_its_stored_attributes() {
    let own = "Domain=.example.com; Path=/shop; ";
    let flags = "HttpOnly; Secure; Partitioned; SameSite=None";
    let gone = format!("connect.sid=; {own}Expires=Thu, 01 Jan 1970 00:00:00 GMT; {flags}");
    let value = r#"{"cookie":{"originalMaxAge":null,"partitioned":true,"expires":null,"secure":true,
        "httpOnly":true,"domain":".example.com","path":"/shop","sameSite":"none"},"a":1}"#;
    for (path, cleared) in [
        ("/destroy", &gone[..]),
        ("/unset", &gone),
        ("/regenerate", &gone),
        ("/login/ann", &gone),
        ("/set/b", ""),
        ("/look", ""),
    ] {
        let app = app(|layer| layer);
        let cookie = app.cookie().await;
        let value = Bytes::from_static(value.as_bytes());
        app.store.inner.overwrite(&id_in(&cookie), value, DAY).await.unwrap();
        let response = app.get(path, &cookie).await;
        let lines: Vec<&str> = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .map(|line| line.to_str().unwrap())
            .filter(|line| line.contains("1970"))
            .collect();
        let expected: Vec<&str> =
            Some(cleared).filter(|line| !line.is_empty()).into_iter().collect();
        assert_eq!(lines, expected, "{path}");
    }
    // A cookie that could never be sent does not prevent the logout.
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    let odd = Bytes::from_static(br#"{"cookie":{"originalMaxAge":null,"sameSite":"auto"},"a":1}"#);
    app.store.inner.overwrite(&id_in(&cookie), odd, DAY).await.unwrap();
    assert_eq!(set_cookie(&app.get("/destroy", &cookie).await), Some(CLEARED));
    assert!(app.stored(&cookie).await.is_none());
}

/// A handle that outlives its request, as in a streaming body or a spawned task.
#[tokio::test]
async fn a_change_after_the_response_has_started_is_rejected() {
    for (asked_for_before, strict) in [(true, false), (false, false), (true, true)] {
        let (give, mut given) = tokio::sync::mpsc::unbounded_channel();
        let layer = SessionLayer::builder(MemoryStore::new(), [SECRET]);
        let layer = if strict { layer.strict() } else { layer }.build().unwrap();
        let handler = async move |lazy: LazySession| {
            if asked_for_before {
                lazy.session().await.unwrap().insert("a", &1).unwrap();
            }
            give.send(lazy).unwrap();
        };
        let router: Router = Router::new().route("/", get(handler)).layer(layer);
        router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        let session = given.recv().await.unwrap().session().await.unwrap();
        let kind = |result: Result<(), Error>| result.err().map(|error| error.kind());
        let expected = (!strict).then_some(ErrorKind::Answered);
        assert_eq!(kind(session.insert("b", &1)), expected);
        assert_eq!(kind(session.raw().insert_json("b", "1")), expected);
        assert_eq!(kind(session.remove("a").map(drop)), expected);
        assert_eq!(kind(session.clear()), expected);
        assert_eq!(kind(session.set_max_age(Some(DAY))), expected);
        assert_eq!(kind(session.raw().set_cookie_field("path", r#""/a""#)), expected);
        assert_eq!(kind(session.raw().touch()), expected);
        if strict {
            continue;
        }
        assert_eq!(kind(session.raw().regenerate().await), expected);
        assert_eq!(kind(session.log_out().await), expected);
        session.raw().unset();
        assert_eq!(session.get::<u32>("a").unwrap(), asked_for_before.then_some(1));
        if asked_for_before {
            let detached = session.detach().await.unwrap();
            detached.update("b", |_: Option<u32>| 1).await.unwrap();
            session.reload().await.unwrap();
            assert_eq!(session.get::<u32>("b").unwrap(), Some(1));
        }
    }
}
