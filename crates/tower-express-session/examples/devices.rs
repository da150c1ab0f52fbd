//! Where is a visitor logged in, and how do they end those sessions? In Redis:
//!
//! ```console
//! $ STORE=redis://127.0.0.1:6379 cargo run --example devices --features redis
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal, from two browsers:
//!
//! ```console
//! $ curl -b laptop -c laptop -A laptop -X POST localhost:3000/login/al
//! welcome, al
//! $ curl -b phone -c phone -A phone -X POST localhost:3000/login/al
//! welcome, al
//! $ curl -b phone -c phone localhost:3000/devices
//! [{"address":"127.0.0.1","device":"phone","handle":"…","isThis":true,"lastSeen":1795494578031},…]
//! $ curl -b phone -c phone -X DELETE localhost:3000/devices/HANDLE-OF-THE-LAPTOP
//! 1 sessions ended
//! $ curl -b laptop -c laptop -X DELETE localhost:3000/devices
//! log in first
//! $ curl -b phone -c phone -X DELETE localhost:3000/devices
//! 1 sessions ended
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, Request};
use axum::middleware::map_request;
use axum::{Json, Router, routing::delete, routing::get, routing::post};
use serde_json::{Value, json};
use tower_express_session::request::ClientAddress;
use tower_express_session::store::redis::RedisStore;
use tower_express_session::{AccountSessions, Error, FreshSession, Key, Session, SessionLayer};

const USER: Key<String> = Key::new("user");

/// A real service checks a password first.
async fn login(session: Session, Path(name): Path<String>) -> Result<String, Error> {
    session.log_in(&name, &[]).await?;
    Ok(format!("welcome, {name}\n"))
}

async fn list(session: Session, sessions: AccountSessions) -> Result<Json<Value>, Error> {
    let Some(user) = session.get(USER)? else { return Ok(Json(json!([]))) };
    let this = session.id().handle();
    // `scan` also finds logins at an Express service; `list` is faster.
    let devices = sessions.scan(&user).await?.into_iter().map(|device| {
        json!({
            "handle": device.handle,
            "isThis": device.handle == this,
            "device": device.device,
            "address": device.address,
            "lastSeen": device.last_seen_ms,
        })
    });
    Ok(Json(devices.collect()))
}

async fn revoke(
    session: Session,
    sessions: AccountSessions,
    Path(handle): Path<String>,
) -> Result<String, Error> {
    let Some(user) = session.get(USER)? else { return Ok("log in first\n".to_owned()) };
    let ended = sessions.revoke(&user, &handle).await?;
    Ok(format!("{} sessions ended\n", u8::from(ended)))
}

/// `FreshSession` bypasses a cache, so that a session that was just revoked cannot revoke others.
async fn revoke_all(
    FreshSession(session): FreshSession,
    sessions: AccountSessions,
) -> Result<String, Error> {
    let Some(user) = session.get(USER)? else { return Ok("log in first\n".to_owned()) };
    let ended = sessions.revoke_all(&user).await?;
    Ok(format!("{ended} sessions ended\n"))
}

/// Passes the client's address to the session layer. Behind a proxy, take it from the proxy's header.
async fn add_address(mut request: Request) -> Request {
    let peer = request.extensions().get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip());
    if let Some(address) = peer {
        request.extensions_mut().insert(ClientAddress(address));
    }
    request
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("STORE").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let store = RedisStore::open(&url)?;
    let layer = SessionLayer::builder(store, ["keyboard cat"]).account_sessions("user").build()?;
    let app = Router::new()
        .route("/login/{name}", post(login))
        .route("/devices", get(list).delete(revoke_all))
        .route("/devices/{handle}", delete(revoke))
        .layer(layer)
        // The layer that is added last runs first: the session layer finds the address.
        .layer(map_request(add_address))
        .into_make_service_with_connect_info::<SocketAddr>();

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
