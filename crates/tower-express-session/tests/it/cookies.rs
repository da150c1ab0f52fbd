//! Ids and cookie attributes that the application sets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::http::header::COOKIE;
use axum::http::{Request, StatusCode};
use testkit::signature::{encode, sign};
use tower_express_session::request::SecureTransport;
use tower_express_session::{CookieOptions, Priority, SameSite, Secrets, Secure};

use crate::app::{app, app_with, cookie_pair, set_cookie, signed_value, text};

#[tokio::test]
async fn invalid_secrets_are_rejected() {
    let secrets = Secrets::new(["old"]).unwrap();
    let app = app_with(secrets.clone(), |layer| layer);
    let cookie = app.cookie().await;
    assert!(secrets.replace([""]).is_err());
    assert!(secrets.replace(["new", ""]).is_err());
    assert!(secrets.replace(Vec::<String>::new()).is_err());
    assert_eq!(text(app.get("/look", &cookie).await).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn genid_generates_the_ids() {
    let made = AtomicUsize::new(0);
    let app = app(|layer| {
        layer.genid(move || format!("tenant-7.{}", made.fetch_add(1, Ordering::Relaxed)))
    });
    let secrets = Secrets::new([crate::app::SECRET]).unwrap();
    let id = |cookie: &str| secrets.unsign(&signed_value(cookie)).unwrap();
    let first = app.cookie().await;
    assert_eq!(id(&first).as_str(), "tenant-7.0");
    assert_eq!(text(app.get("/look", &first).await).await, r#"{"a":1}"#);
    let second = cookie_pair(&app.get("/login/ann", &first).await);
    assert_eq!(id(&second).as_str(), "tenant-7.1", "also for the new session after a login");
}

#[tokio::test]
async fn an_id_that_is_already_taken_is_a_conflict() {
    let app = app(|layer| layer.genid(|| "always the same".to_owned()));
    let cookie = app.cookie().await;
    let response = app.get("/set/b", "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(set_cookie(&response), None, "the other visitor gets no cookie");
    assert_eq!(
        text(app.get("/look", &cookie).await).await,
        r#"{"a":1}"#,
        "the existing session is not changed"
    );
}

#[tokio::test]
async fn the_cookie_may_depend_on_the_request() {
    let app = app(|layer| {
        layer.cookie(CookieOptions::new().path("/never")).cookie_with(|request| {
            let path = if request.headers.contains_key("x-tenant") { "/set" } else { "/" };
            CookieOptions::new().path(path).same_site(SameSite::Strict)
        })
    });
    let cookie = app.get("/set/a", "").await;
    assert!(set_cookie(&cookie).unwrap().ends_with("; Path=/; HttpOnly; SameSite=Strict"));
    let cookie = cookie_pair(&cookie);
    let tenants = app.send(Request::get("/set/a").header("x-tenant", "7")).await;
    assert!(set_cookie(&tenants).unwrap().ends_with("; Path=/set; HttpOnly; SameSite=Strict"));
    let outside = app.send(Request::get("/look").header("x-tenant", "7")).await;
    assert_eq!(
        outside.status(),
        StatusCode::INTERNAL_SERVER_ERROR,
        "the path is outside the cookie's path"
    );
    let cleared = app.get("/destroy", &cookie).await;
    let expected =
        "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Strict";
    assert_eq!(set_cookie(&cleared), Some(expected));
}

/// A session keeps the cookie that it was created with, whichever request uses it later.
#[tokio::test]
async fn cookie_with_applies_to_the_sessions_that_the_request_creates() {
    let app = app(|layer| {
        layer.rolling(true).cookie_with(|request| {
            let is_tenants = request.headers.contains_key("x-tenant");
            CookieOptions::new().domain(if is_tenants { "tenant.example" } else { "example.com" })
        })
    });
    let cookie = cookie_pair(&app.get("/set/a", "").await);
    let tenants = |path: &str| Request::get(path).header("x-tenant", "7").header(COOKIE, &cookie);
    let used = app.send(tenants("/look")).await;
    assert!(set_cookie(&used).unwrap().contains("; Domain=example.com;"));
    let regenerated = app.send(tenants("/login/ann")).await;
    assert!(set_cookie(&regenerated).unwrap().contains("; Domain=tenant.example;"));
}

#[tokio::test]
async fn secure_auto_depends_on_the_request_that_creates_the_session() {
    for (is_tls, secure) in [(false, r#""secure":false"#), (true, r#""secure":true"#)] {
        let options = CookieOptions::new().secure(Secure::Auto).same_site(SameSite::Auto);
        let app = app(|layer| layer.cookie_with(move |_| options.clone()));
        let request = Request::get("/set/a");
        let request = if is_tls { request.extension(SecureTransport) } else { request };
        let response = app.send(request).await;
        assert_eq!(set_cookie(&response).unwrap().contains("; Secure"), is_tls);
        let stored = app.stored(&cookie_pair(&response)).await.unwrap().value;
        let stored = String::from_utf8(stored.to_vec()).unwrap();
        assert!(stored.contains(secure), "{stored}");
        let same_site = if is_tls { r#""sameSite":"none""# } else { r#""sameSite":"lax""# };
        assert!(stored.contains(same_site), "{stored}");
    }
}

#[tokio::test]
async fn a_priority_is_sent_and_stored() {
    for (priority, sent, stored) in [
        (Priority::Low, "; Priority=Low", r#""priority":"low""#),
        (Priority::Medium, "; Priority=Medium", r#""priority":"medium""#),
        (Priority::High, "; Priority=High", r#""priority":"high""#),
    ] {
        let app = app(|layer| layer.cookie(CookieOptions::new().priority(priority)));
        let response = app.get("/set/a", "").await;
        assert!(set_cookie(&response).unwrap().contains(sent));
        let value = app.stored(&cookie_pair(&response)).await.unwrap().value;
        assert!(String::from_utf8(value.to_vec()).unwrap().contains(stored), "{value:?}");
    }
}

#[tokio::test]
async fn all_cookies_may_expire_at_one_date() {
    // Not a whole second, because fractions are cut off.
    let whole = UNIX_EPOCH.elapsed().unwrap().as_secs() + 200 * 86_400;
    let day = UNIX_EPOCH + Duration::from_millis(whole * 1000 + 500);
    let app = app(|layer| layer.cookie(CookieOptions::new().expires(day)));
    let response = app.get("/set/a", "").await;
    let line = set_cookie(&response).unwrap();
    assert!(line.contains(&format!("; Expires={};", httpdate::fmt_http_date(day))), "{line}");
    let stored = app.stored(&cookie_pair(&response)).await.unwrap();
    let left = day.elapsed().unwrap_err().duration();
    assert!(
        stored.time_left.abs_diff(left) < Duration::from_secs(60),
        "the store has the same expiry"
    );
    let past = self::app(|layer| layer.cookie_with(|_| CookieOptions::new().expires(UNIX_EPOCH)));
    past.get("/set/a", "").await;
    assert!(past.store.inner.is_empty(), "an expired session is not stored");
}

#[tokio::test]
async fn a_signature_depends_only_on_the_id() {
    let app = app(|layer| layer);
    let cookie = app.cookie().await;
    let id = crate::app::id_in(&cookie);
    let signed = sign(id.as_str(), crate::app::SECRET);
    assert_eq!(cookie, format!("connect.sid={}", encode(&signed)));
}
