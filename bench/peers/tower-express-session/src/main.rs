//! The routes of `express/service.js` on axum with the session layer of this project, to measure
//! the layer without the check-in services.
//!
//! It reads the environment variables `STORE` (a Redis URL), `SECRET` (signs the cookie), `PREFIX`
//! (default `ncc`), `PASSWORD` (of every account, default `secret123`), `TOUCH_AFTER` (the fraction
//! of a session's lifetime after which it is touched, default 0.1) and `CACHED` (`true`: sessions
//! are cached in the process).

use std::env;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use redis_link::{Client, Reply, Timeouts};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::{Session, SessionLayer};

const USER: &str = "user";
const MAX_RATING: u8 = 5;
const CHECKIN_ID: HeaderName = HeaderName::from_static("checkin-id");

/// Long, because other load on the machine may delay Redis, and the other peers have no time-out.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let timeouts = Timeouts { connect: STORE_TIMEOUT, response: STORE_TIMEOUT };
    let redis = Client::with_timeouts(&or("STORE", "redis://127.0.0.1:6379"), timeouts)?;
    let prefix = or("PREFIX", "ncc");
    let mut store = RedisStore::new(redis.clone()).prefix(&format!("{prefix}:session:"));
    if or("CACHED", "false") == "true" {
        store = store.cached(CacheOptions::default());
    }
    let touch_after =
        or("TOUCH_AFTER", "0.1").parse().context("TOUCH_AFTER must be a number from 0 to 1")?;
    let sessions = SessionLayer::builder(store, [env::var("SECRET")?])
        .name("checkinapp")
        .touch_after(touch_after)
        .build()?;
    let log = format!("{prefix}:checkins");
    let peer = Arc::new(Peer { redis, log, password: or("PASSWORD", "secret123") });
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

struct Peer {
    redis: Client,
    log: String,
    password: String,
}

#[derive(Deserialize)]
struct Login {
    email: String,
    password: String,
}

async fn login(
    State(peer): State<Arc<Peer>>,
    session: Session,
    Json(login): Json<Login>,
) -> Result<Response, Failed> {
    if login.password != peer.password {
        return Ok((StatusCode::UNAUTHORIZED, "Invalid login.").into_response());
    }
    session.log_in(&login.email, &[]).await?;
    Ok("OK".into_response())
}

async fn show(session: Session) -> Result<Response, Failed> {
    match session.get::<String>(USER)? {
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
    State(peer): State<Arc<Peer>>,
    session: Session,
    Json(checkin): Json<Checkin>,
) -> Result<Response, Failed> {
    if session.get::<String>(USER)?.is_none() {
        return Ok(unauthenticated());
    }
    if checkin.user_id == 0 || checkin.location_id == 0 || checkin.star_rating > MAX_RATING {
        return Ok((StatusCode::BAD_REQUEST, "Invalid check-in.").into_response());
    }
    let (user, location) = (checkin.user_id.to_string(), checkin.location_id.to_string());
    let stars = checkin.star_rating.to_string();
    let words = ["XADD", &peer.log, "*", "userId", &user, "locationId", &location, "starRating"];
    let mut words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    words.push(stars.as_bytes());
    let Reply::Bytes(id) = peer.redis.call(&words).await? else {
        return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    let id = HeaderValue::from_maybe_shared(id).context("XADD returned no id")?;
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
