//! Sessions in Redis, each account's in a list that its owner can see and end:
//!
//! ```console
//! $ STORE=redis://127.0.0.1:6379 cargo run -p tower-express-session --example redis
//! listening on 127.0.0.1:3000, sessions in redis://127.0.0.1:6379
//! ```
//!
//! Then, in another terminal, from two browsers:
//!
//! ```console
//! $ curl -b laptop -c laptop -A laptop -X POST localhost:3000/login/al
//! welcome, al
//! $ curl -b phone -c phone -A phone -X POST localhost:3000/login/al
//! welcome, al
//! $ curl -b phone -c phone localhost:3000/sessions
//! [{"address":"127.0.0.1","device":"phone","handle":"…","isThis":true,"lastSeen":1795494578031},…]
//! $ curl -b phone -c phone -X POST localhost:3000/logout-everywhere
//! 2 sessions ended
//! $ curl -b laptop -c laptop localhost:3000/me
//! nobody
//! ```
//!
//! Without `STORE` it is `redis://127.0.0.1:6379`; `PORT` chooses another port.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, Request};
use axum::middleware::map_request;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_express_session::request::ClientAddress;
use tower_express_session::store::redis::RedisStore;
use tower_express_session::{AccountSessions, Error, FreshSession, Session, SessionLayer};

/// A real service checks a password first.
async fn login(session: Session, Path(name): Path<String>) -> Result<String, Error> {
    session.log_in(&name, &[]).await?;
    Ok(format!("welcome, {name}\n"))
}

async fn me(session: Session) -> Result<String, Error> {
    let user = user(&session)?.unwrap_or_else(|| "nobody".to_owned());
    Ok(format!("{user}\n"))
}

async fn sessions(session: Session, accounts: AccountSessions) -> Result<Json<Value>, Error> {
    let Some(user) = user(&session)? else { return Ok(Json(json!([]))) };
    let this = session.id().handle();
    // `scan` knows of logins at an Express service, too; `list` is faster.
    let list = accounts.scan(&user).await?.into_iter().map(|session| {
        json!({
            "handle": session.handle,
            "isThis": session.handle == this,
            "device": session.device,
            "address": session.address,
            "lastSeen": session.last_seen_ms,
        })
    });
    Ok(Json(list.collect()))
}

async fn end(
    session: Session,
    accounts: AccountSessions,
    Path(handle): Path<String>,
) -> Result<&'static str, Error> {
    let Some(user) = user(&session)? else { return Ok("log in first\n") };
    let ended = accounts.revoke(&user, &handle).await?;
    Ok(if ended { "ended\n" } else { "no such session\n" })
}

async fn logout(session: Session) -> Result<&'static str, Error> {
    session.log_out().await?;
    Ok("bye\n")
}

/// Asks Redis itself who this is, and never a cache: it matters here.
async fn logout_everywhere(
    FreshSession(session): FreshSession,
    accounts: AccountSessions,
) -> Result<String, Error> {
    let Some(user) = user(&session)? else { return Ok("log in first\n".to_owned()) };
    let ended = accounts.revoke_all(&user).await?;
    Ok(format!("{ended} sessions ended\n"))
}

fn user(session: &Session) -> Result<Option<String>, Error> {
    session.get("user")
}

/// Says where a request comes from. Behind a proxy that would be a header of the proxy's.
async fn add_address(mut request: Request) -> Request {
    let peer = request.extensions().get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip());
    if let Some(address) = peer {
        request.extensions_mut().insert(ClientAddress(address));
    }
    request
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "says where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("STORE").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let store = RedisStore::open(&url)?;
    let layer = SessionLayer::builder(store, ["keyboard cat"]).account_sessions("user").build()?;
    let app = Router::new()
        .route("/login/{name}", post(login))
        .route("/me", get(me))
        .route("/sessions", get(sessions))
        .route("/sessions/{handle}", delete(end))
        .route("/logout", post(logout))
        .route("/logout-everywhere", post(logout_everywhere))
        .layer(layer)
        // What is added last runs first: the session layer finds the address.
        .layer(map_request(add_address))
        .into_make_service_with_connect_info::<SocketAddr>();

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}, sessions in {url}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
