//! Clients without cookies send and receive the signed value in headers.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE};
use axum::http::{HeaderName, Request, Response};

use crate::app::{App, app, set_cookie, signed_value, text};

const HEADER: HeaderName = HeaderName::from_static("session-token");

fn token_app() -> App {
    app(|layer| layer.token_header(HEADER))
}

fn token(response: &Response<Body>) -> Option<&str> {
    response.headers().get(HEADER).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_client_logs_in_without_cookies() {
    let app = token_app();
    let login = app.send(Request::get("/login/al").header(HEADER, "")).await;
    assert_eq!(set_cookie(&login), None);
    assert_eq!(login.headers()[CACHE_CONTROL], "no-store");
    let encoded = token(&login).unwrap().to_owned();
    let raw = testkit::signature::decode(&encoded).unwrap();
    for value in [&encoded, &raw] {
        for request in [
            Request::get("/look").header(HEADER, value),
            Request::get("/look").header(AUTHORIZATION, format!("Bearer {value}")),
            Request::get("/look").header(AUTHORIZATION, format!("bearer {value}")),
        ] {
            let response = app.send(request).await;
            assert_eq!((token(&response), set_cookie(&response)), (None, None));
            assert_eq!(text(response).await, r#"{"user":"al"}"#);
        }
    }
    let logout = Request::get("/destroy").header(AUTHORIZATION, format!("Bearer {raw}"));
    let logout = app.send(logout).await;
    assert_eq!((token(&logout), set_cookie(&logout)), (Some(""), None));
    assert_eq!(text(app.send(Request::get("/look").header(HEADER, &raw)).await).await, "{}");
}

#[tokio::test]
async fn a_request_with_a_token_reads_no_cookie() {
    let app = token_app();
    let cookie = app.cookie().await;
    for token in ["", "s:forged.signature", "nonsense"] {
        let request = Request::get("/look").header(COOKIE, &cookie).header(HEADER, token);
        assert_eq!(text(app.send(request).await).await, "{}", "{token}");
    }
    let forged = Request::get("/look").header(COOKIE, &cookie);
    let forged = forged.header(AUTHORIZATION, "Bearer s:forged.signature");
    assert_eq!(text(app.send(forged).await).await, "{}");
}

#[tokio::test]
async fn a_bearer_token_of_another_kind_does_not_disable_cookies() {
    let app = token_app();
    let cookie = app.cookie().await;
    for other in ["Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "Basic czphOmI=", "Bearer", ""] {
        let request = Request::get("/look").header(COOKIE, &cookie).header(AUTHORIZATION, other);
        assert_eq!(text(app.send(request).await).await, r#"{"a":1}"#, "{other}");
    }
}

#[tokio::test]
async fn tokens_are_off_by_default() {
    let app = app(|layer| layer);
    let raw = signed_value(&app.cookie().await);
    for request in [
        Request::get("/look").header(HEADER, &raw),
        Request::get("/look").header(AUTHORIZATION, format!("Bearer {raw}")),
    ] {
        assert_eq!(text(app.send(request).await).await, "{}");
    }
}
