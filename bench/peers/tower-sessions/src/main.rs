//! The routes of `express/service.js` on axum and tower-sessions.
//!
//! It reads the environment variables `STORE` (a Redis URL), `PREFIX` (of the check-in log, default
//! `ncc`), `PASSWORD` (of every account, default `secret123`), `CONNECTIONS` (to Redis, default 6,
//! as in the store's documentation) and `ALWAYS_SAVE` (`true`: each request restarts the time to
//! live of its session, as on Express; default `false`, as in the library).

use std::env;

use anyhow::Result;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use fred::prelude::{ClientLike, Config, Pool, StreamsInterface};
use serde::Deserialize;
use serde_json::json;
use time::Duration;
use tokio::net::TcpListener;
use tower_sessions::cookie::Key;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;

const USER: &str = "user";
const MAX_RATING: u8 = 5;
const CHECKIN_ID: HeaderName = HeaderName::from_static("checkin-id");

/// The lifetime of a session, the default of connect-redis.
const LIFETIME: Duration = Duration::days(1);

#[tokio::main]
async fn main() -> Result<()> {
    let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let config = Config::from_url(&or("STORE", "redis://127.0.0.1:6379"))?;
    let redis = Pool::new(config, None, None, None, or("CONNECTIONS", "6").parse()?)?;
    drop(redis.connect());
    redis.wait_for_connect().await?;
    let log = format!("{}:checkins", or("PREFIX", "ncc"));
    let peer = Peer { redis, log, password: or("PASSWORD", "secret123") };
    let sessions = SessionManagerLayer::new(RedisStore::new(peer.redis.clone()))
        .with_name("checkinapp")
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(LIFETIME))
        .with_always_save(or("ALWAYS_SAVE", "false").parse()?)
        .with_signed(Key::generate());
    let app = Router::new()
        .route("/login", post(login))
        .route("/session", get(show))
        .route("/api/checkin", post(checkin))
        .layer(sessions)
        .route("/plain", get(async || "OK"))
        .with_state(peer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}

#[derive(Clone)]
struct Peer {
    redis: Pool,
    log: String,
    password: String,
}

#[derive(Deserialize)]
struct Login {
    email: String,
    password: String,
}

async fn login(
    State(peer): State<Peer>,
    session: Session,
    Json(login): Json<Login>,
) -> Result<Response, Failed> {
    if login.password != peer.password {
        return Ok((StatusCode::UNAUTHORIZED, "Invalid login.").into_response());
    }
    session.cycle_id().await?;
    session.insert(USER, login.email).await?;
    Ok("OK".into_response())
}

async fn show(session: Session) -> Result<Response, Failed> {
    match session.get::<String>(USER).await? {
        Some(user) => Ok(Json(json!({ "user": user, "all": { "user": user } })).into_response()),
        None => Ok(unauthenticated()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkin {
    user_id: u64,
    location_id: u64,
    star_rating: u8,
}

async fn checkin(
    State(peer): State<Peer>,
    session: Session,
    Json(checkin): Json<Checkin>,
) -> Result<Response, Failed> {
    if session.get::<String>(USER).await?.is_none() {
        return Ok(unauthenticated());
    }
    if checkin.user_id == 0 || checkin.location_id == 0 || checkin.star_rating > MAX_RATING {
        return Ok((StatusCode::BAD_REQUEST, "Invalid check-in.").into_response());
    }
    let fields = vec![
        ("userId", checkin.user_id.to_string()),
        ("locationId", checkin.location_id.to_string()),
        ("starRating", checkin.star_rating.to_string()),
    ];
    let id: String = peer.redis.xadd(&peer.log, false, None, "*", fields).await?;
    Ok((StatusCode::ACCEPTED, [(CHECKIN_ID, id)]).into_response())
}

fn unauthenticated() -> Response {
    (StatusCode::UNAUTHORIZED, "Authentication required.").into_response()
}

/// A failure of the session or of Redis.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        eprintln!("{:#}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
