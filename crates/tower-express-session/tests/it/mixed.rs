//! A Rust service and an Express service with our store, passport, connect-flash and csurf: one deployment.

use axum::Router;
use axum::extract::Path;
use axum::http::Request;
use axum::http::header::{COOKIE, USER_AGENT};
use axum::routing::get;
use testkit::{Client as Browser, Express, Method, RedisServer};
use tower_express_session::accounts::AccountOptions;
use tower_express_session::store::redis::RedisStore;
use tower_express_session::{AccountSessions, Error, Session, SessionLayer};

use crate::app::{send, text};
use crate::backend::patient;
use crate::programs::SECRET;

/// The two services, which share their sessions.
struct Deployment {
    express: Express,
    router: Router,
    accounts: AccountSessions,
    _redis: RedisServer,
}

impl Deployment {
    fn start() -> Deployment {
        let redis = RedisServer::start();
        let variables = [("STORE", &*redis.url()), ("SECRET", SECRET)];
        let express = Express::start_with_store("mixed.js", &variables);
        let options = AccountOptions::new("passport").named_by(|json| {
            let passport: serde_json::Value = serde_json::from_str(json).ok()?;
            Some(passport["user"].as_str()?.to_owned())
        });
        let layer = SessionLayer::builder(RedisStore::new(patient(&redis.url())), [SECRET])
            .account_sessions(options.all_are_indexed())
            .build()
            .unwrap();
        let accounts = layer.account_sessions().unwrap();
        let router = Router::new()
            .route("/set/{value}", get(set))
            .route("/login/{user}", get(log_in))
            .route("/me", get(async |session: Session| session.raw().to_json()))
            .layer(layer);
        Deployment { express, router, accounts, _redis: redis }
    }

    fn browser(&self) -> Browser {
        Browser::new(self.express.url())
    }

    /// Sends a request with the browser's cookie to the Rust service.
    async fn at_rust(&self, browser: &Browser, path: &str) -> String {
        let cookies = browser.jar().header().unwrap_or_default();
        text(send(&self.router, Request::get(path).header(COOKIE, cookies)).await).await
    }
}

async fn set(session: Session, Path(value): Path<String>) -> Result<(), Error> {
    session.insert("rust", &value)
}

async fn log_in(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.raw().regenerate().await?;
    session.insert("passport", &serde_json::json!({ "user": user }))
}

async fn post(browser: &mut Browser, path: &str) -> String {
    let answer = browser.request(Method::POST, path).send().await;
    assert_eq!(answer.status, 200, "{path}");
    answer.text().to_owned()
}

async fn show(browser: &mut Browser, path: &str) -> String {
    browser.request(Method::GET, path).send().await.text().to_owned()
}

#[tokio::test]
async fn passport_flash_and_csurf_work_beside_a_rust_service() {
    let deployment = Deployment::start();
    let mut browser = deployment.browser();
    post(&mut browser, "/login/al").await;
    assert!(deployment.at_rust(&browser, "/me").await.contains(r#""passport":{"user":"al"}"#));

    let token = show(&mut browser, "/token").await;
    post(&mut browser, "/flash").await;
    deployment.at_rust(&browser, "/set/1").await;
    assert_eq!(show(&mut browser, "/me").await, r#"["al","1"]"#);
    assert_eq!(show(&mut browser, "/flash").await, r#"["saved"]"#);
    deployment.at_rust(&browser, "/set/2").await;
    assert_eq!(show(&mut browser, "/flash").await, "[]");
    let guarded = browser.request(Method::POST, "/guarded").header("X-Token", &token).send().await;
    assert_eq!(guarded.status, 200);

    post(&mut browser, "/logout").await;
    assert_eq!(show(&mut browser, "/me").await, "[null,null]");
    assert!(!deployment.at_rust(&browser, "/me").await.contains("al"));
}

#[tokio::test]
async fn each_side_lists_and_ends_the_sessions_of_the_other() {
    let deployment = Deployment::start();
    let (mut first, mut second) = (deployment.browser(), deployment.browser());
    post(&mut first, "/login/al").await;
    post(&mut second, "/login/al").await;
    let login = Request::get("/login/al").header(USER_AGENT, "Rust's browser");
    let at_rust = send(&deployment.router, login).await;
    let cookie = at_rust.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let me = async || {
        text(send(&deployment.router, Request::get("/me").header(COOKIE, &cookie)).await).await
    };

    let listed = deployment.accounts.list("al").await.unwrap();
    let devices: serde_json::Value =
        serde_json::from_str(&show(&mut first, "/devices").await).unwrap();
    let handles = |name: fn(&serde_json::Value) -> Option<&str>| {
        let mut found: Vec<_> =
            devices.as_array().unwrap().iter().filter_map(name).map(str::to_owned).collect();
        found.sort();
        found
    };
    let mut expected: Vec<_> = listed.iter().map(|session| session.handle.clone()).collect();
    expected.sort();
    assert_eq!(expected.len(), 3);
    assert_eq!(handles(|device| device["handle"].as_str()), expected);
    assert!(handles(|device| device["device"].as_str()).contains(&"Rust's browser".to_owned()));

    // Express ends the others, also that of Rust.
    assert_eq!(post(&mut first, "/end-others").await, "2");
    assert_eq!(show(&mut second, "/me").await, "[null,null]");
    assert_eq!(me().await, "{}");
    assert_eq!(show(&mut first, "/me").await, r#"["al",null]"#);

    // Rust ends that of Express.
    assert_eq!(deployment.accounts.revoke_all("al").await.unwrap(), 1);
    assert_eq!(show(&mut first, "/me").await, "[null,null]");
}
