//! Does this crate behave like express-session? This example runs programs of session operations.
//! Conformance tests run the same programs against express-session.
//!
//! It reads the environment variables `PORT` (0 chooses a free one), `STORE` (a store's URL),
//! `PREFIX`, `TTL` (seconds) and `OPTIONS` (a JSON object with express-session's option names). A
//! `POST` to any path has a JSON array of operations as its body; the example runs them on the
//! request's session and responds with the array of their results. Conformance tests send the same
//! programs to an Express service and compare everything that can be seen from outside.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use redis_link::{Client, Timeouts};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use serde_json::value::RawValue;
use sqlite_writer::Database;
use tower_express_session::raw::Unset;
use tower_express_session::store::redis::RedisStore;
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{
    CookieOptions, ErrorKind, LazySession, MemoryStore, Session, SessionLayer, SessionLayerBuilder,
    Store,
};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let prefix = env::var("PREFIX").unwrap_or_else(|_| "sess:".to_owned());
    let store = open_store(&variable("STORE").ok_or("STORE is not set")?, &prefix).await?;
    let mut layer = layer(store, &variable("OPTIONS").unwrap_or_else(|| "{}".to_owned()))?;
    let ttl: u64 = variable("TTL").map_or(Ok(0), |seconds| seconds.parse())?;
    if ttl > 0 {
        // connect-redis also treats 0 as the default.
        layer = layer.ttl(Duration::from_secs(ttl));
    }
    let port: u16 = variable("PORT").map_or(Ok(0), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, Router::new().fallback(run).layer(layer.build()?)).await?;
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);

async fn open_store(url: &str, prefix: &str) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    Ok(match url.split_once(':') {
        Some(("sqlite", path)) => {
            let database = Database::open(Path::new(path))?;
            Arc::new(SqliteStore::new(database).await?.prefix(prefix))
        }
        Some(("memory", _)) => Arc::new(MemoryStore::new()),
        // An Express service waits for Redis without a limit.
        _ => {
            let timeouts = Timeouts { connect: PATIENCE, response: PATIENCE };
            let client = Client::with_timeouts(url, timeouts)?;
            // An Express service stores no keys other than its sessions.
            Arc::new(RedisStore::new(client).prefix(prefix).tombstones(false))
        }
    })
}

/// The options of express-session, with the same names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options<'a> {
    name: Option<String>,
    secret: Secret,
    resave: Option<bool>,
    rolling: Option<bool>,
    save_uninitialized: Option<bool>,
    unset: Option<String>,
    proxy: Option<bool>,
    #[serde(borrow)]
    cookie: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Secret {
    One(String),
    Several(Vec<String>),
}

fn layer(
    store: Arc<dyn Store>,
    options: &str,
) -> Result<SessionLayerBuilder<Arc<dyn Store>>, Box<dyn Error>> {
    let options: Options<'_> = serde_json::from_str(options)?;
    let secrets = match options.secret {
        Secret::One(secret) => vec![secret],
        Secret::Several(secrets) => secrets,
    };
    let mut layer = SessionLayer::builder(store, secrets)
        .strict()
        // The default of express-session.
        .resave(options.resave.unwrap_or(true))
        .save_uninitialized(options.save_uninitialized.unwrap_or(true))
        .rolling(options.rolling.unwrap_or(false))
        .proxy(options.proxy.unwrap_or(false));
    if let Some(name) = options.name.filter(|name| !name.is_empty()) {
        layer = layer.name(&name);
    }
    if let Some(cookie) = options.cookie {
        layer = layer.cookie(CookieOptions::from_json(cookie.get())?);
    }
    match options.unset.as_deref() {
        Some("destroy") => layer = layer.unset(Unset::Destroy),
        None | Some("keep" | "") => {}
        Some(other) => return Err(format!("unset must be keep or destroy, not {other}").into()),
    }
    Ok(layer)
}

const NO_SESSION: &str = r#"{"error":"no session"}"#;
const FAILED: &str = r#"{"error":"failed"}"#;

/// Runs a program. If there is no session because the path is outside the cookie's path, each
/// operation that needs one returns an error.
async fn run(session: Option<Extension<LazySession>>, body: Bytes) -> impl IntoResponse {
    let session = match session {
        Some(Extension(lazy)) => match lazy.session().await {
            Ok(session) => Some(session),
            Err(error) => return error.into_response(),
        },
        None => None,
    };
    let Ok(program) = serde_json::from_slice::<Vec<Vec<&RawValue>>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut status = StatusCode::OK;
    let mut results = Vec::new();
    for operation in program {
        let words: Vec<&str> = operation.iter().map(|word| word.get()).collect();
        results.push(step(session.as_ref(), &words, &mut status).await);
    }
    let json = [("content-type", "application/json; charset=utf-8")];
    (status, json, format!("[{}]", results.join(","))).into_response()
}

/// Runs one operation and returns its result as JSON.
async fn step(session: Option<&Session>, words: &[&str], status: &mut StatusCode) -> String {
    let text = |at: usize| words.get(at).and_then(|word| serde_json::from_str::<String>(word).ok());
    // Read as bytes, because a name may contain lone surrogates.
    let name = words
        .get(1)
        .and_then(|word| serde_json::from_str::<ByteBuf>(word).ok())
        .unwrap_or_default();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let operation = text(0).unwrap_or_default();
    match operation.as_str() {
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(number(1))).await;
            return "null".to_owned();
        }
        "status" => {
            *status = u16::try_from(number(1))
                .ok()
                .and_then(|code| code.try_into().ok())
                .unwrap_or(*status);
            return "null".to_owned();
        }
        _ => {}
    }
    let Some(session) = session else { return NO_SESSION.to_owned() };
    let done =
        |result: Result<(), tower_express_session::Error>| result.map(|()| "null".to_owned());
    let result = match operation.as_str() {
        "id" => session.raw().to_json().map(|_| format!("\"{}\"", session.id().as_str())),
        "get" => {
            session.raw().get_json(&name).map(|json| json.unwrap_or_else(|| "null".to_owned()))
        }
        "all" => session.raw().to_json(),
        "set" => match words.get(2) {
            Some(json) => done(session.raw().insert_json(&name, json)),
            // Without a value it is `undefined`, which is not stored.
            None => done(session.raw().remove(&name).map(drop)),
        },
        "remove" => done(session.raw().remove(&name).map(drop)),
        "cookie" => session.raw().cookie_json(),
        "cookie.set" => done(
            session
                .raw()
                .set_cookie_field(&text(1).unwrap_or_default(), words.get(2).unwrap_or(&"null")),
        ),
        "save" => done(session.save().await),
        "reload" => done(session.reload().await),
        "regenerate" => done(session.raw().regenerate().await),
        "destroy" => done(session.log_out().await),
        "touch" => done(session.raw().touch()),
        "unset" => done(session.raw().to_json().map(|_| session.raw().unset())),
        _ => Ok(FAILED.to_owned()),
    };
    result.unwrap_or_else(|error| match error.kind() {
        ErrorKind::NoSession => NO_SESSION.to_owned(),
        _ => FAILED.to_owned(),
    })
}
