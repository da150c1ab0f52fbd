//! Replacing the secrets logs nobody out.

use tower_express_session::Secrets;

use crate::app::{Builder, app_with, cookie_pair, id_in, set_cookie, signed_value, text};

const NEW: &str = "a new secret";
const OLD: &str = "keyboard cat";

fn secrets(list: &[&str]) -> Secrets {
    Secrets::new(list).unwrap()
}

#[tokio::test]
async fn a_cookie_signed_by_an_old_secret_is_signed_again() {
    let shared = secrets(&[OLD]);
    let app = app_with(shared.clone(), |layer| layer);
    let old = app.cookie().await;
    shared.replace([NEW, OLD]).unwrap();
    let plain = app.get("/plain", &old).await;
    assert_eq!(set_cookie(&plain), None, "the handler does not use the session");
    let renewed = app.get("/look", &old).await;
    let new = cookie_pair(&renewed);
    assert_eq!(text(renewed).await, r#"{"a":1}"#);
    assert_eq!(
        secrets(&[NEW]).unsign(&signed_value(&new)).unwrap(),
        id_in(&old),
        "the same session"
    );
    assert_eq!(set_cookie(&app.get("/look", &new).await), None, "signed again only once");

    shared.replace([NEW]).unwrap();
    assert_eq!(text(app.get("/look", &new).await).await, r#"{"a":1}"#);
    assert_eq!(
        text(app.get("/look", &old).await).await,
        "{}",
        "the old secret is no longer accepted"
    );
}

#[tokio::test]
async fn a_cookie_of_an_ended_session_is_not_signed_again() {
    let shared = secrets(&[OLD]);
    let app = app_with(shared.clone(), |layer| layer);
    let old = app.cookie().await;
    app.get("/destroy", &old).await;
    shared.replace([NEW, OLD]).unwrap();
    assert_eq!(set_cookie(&app.get("/look", &old).await), None);
}

#[tokio::test]
async fn the_strict_mode_does_not_sign_the_cookie_again() {
    let shared = secrets(&[OLD]);
    let app = app_with(shared.clone(), Builder::strict);
    let old = app.cookie().await;
    shared.replace([NEW, OLD]).unwrap();
    let response = app.get("/look", &old).await;
    assert_eq!(set_cookie(&response), None);
    assert_eq!(text(response).await, r#"{"a":1}"#);
}
