//! The commands that the services send for `GET /session` and for a check-in, on axum and redis-rs
//! alone: what a request needs at least with these two. There is no middleware, no signature is
//! verified, nothing is checked, and there is only one account.
//!
//! It reads the environment variables `STORE` (a Redis URL), `PREFIX` (default `ncc`) and `ACCOUNT`
//! (the id of the account).

use std::env;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

const COOKIE: &str = "checkinapp=s%3A";
const CHECKIN_ID: HeaderName = HeaderName::from_static("checkin-id");

/// The fields of an account.
const FIELDS: [&str; 8] = [
    "id",
    "firstName",
    "lastName",
    "email",
    "password",
    "numCheckins",
    "lastCheckin",
    "lastSeenAt",
];

/// Appends a check-in, and replies as the script of the receiver does. Most arguments are not used.
const APPEND: &str = "local id = redis.call('XADD', KEYS[1], '*', 'userId', ARGV[12], 'locationId', \
    ARGV[13], 'starRating', ARGV[14]) return {redis.call('XLEN', KEYS[1]), 0, id}";

#[tokio::main]
async fn main() -> Result<()> {
    let client = redis::Client::open(env::var("STORE")?)?;
    let redis = client.get_multiplexed_async_connection().await?;
    let append = redis::Script::new(APPEND).load_async(&mut redis.clone()).await?;
    let prefix = env::var("PREFIX").unwrap_or_else(|_| "ncc".to_owned());
    let peer = Arc::new(Peer { redis, append, prefix, account: env::var("ACCOUNT")? });
    let app = Router::new()
        .route("/session", get(show))
        .route("/api/checkin", post(checkin))
        .with_state(peer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}

struct Peer {
    redis: MultiplexedConnection,
    /// The hash of [`APPEND`].
    append: String,
    prefix: String,
    account: String,
}

#[derive(Deserialize)]
struct Session {
    user: String,
}

#[derive(Serialize)]
struct Account {
    user: User,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: u64,
    first_name: String,
    last_name: String,
    email: String,
    num_checkins: u64,
    last_checkin: Option<u64>,
    last_seen_at: Option<u64>,
}

/// Returns the id of the session that a request names.
fn session_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let signed = cookies.split("; ").find_map(|cookie| cookie.strip_prefix(COOKIE))?;
    signed.split('.').next()
}

type Texts = Vec<Option<String>>;

async fn show(State(peer): State<Arc<Peer>>, headers: HeaderMap) -> Result<Response, Failed> {
    let Some(id) = session_of(&headers) else {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    };
    let session = [&peer.prefix, ":session:", id].concat();
    let user = [&peer.prefix, ":user:", &peer.account].concat();
    let beside = |key: &str, name: &str| ["{", key, "}:", name].concat();
    let mut commands = redis::pipe();
    commands.cmd("MGET").arg(&session);
    commands.arg(beside(&session, "revoked")).arg(beside(&session, "epoch"));
    commands.cmd("PTTL").arg(&session);
    commands.cmd("HMGET").arg(&user).arg(&FIELDS);
    commands.cmd("MGET");
    for name in ["epoch", "kept", "status", "role"] {
        commands.arg(beside(&user, name));
    }
    let (session, _left, user, _standing): (Texts, i64, Texts, Texts) =
        commands.query_async(&mut peer.redis.clone()).await?;
    let session = session.into_iter().next().flatten().context("there is no session")?;
    let session: Session = serde_json::from_str(&session)?;
    let user = <[Option<String>; 8]>::try_from(user).ok().context("HMGET replies with 8 values")?;
    let [id, first_name, last_name, email, _password, num_checkins, last_checkin, place] = user;
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let user = User {
        id: number(id).context("the account has no id")?,
        first_name: first_name.unwrap_or_default(),
        last_name: last_name.unwrap_or_default(),
        email: email.filter(|email| *email == session.user).unwrap_or_default(),
        num_checkins: number(num_checkins).unwrap_or_default(),
        last_checkin: number(last_checkin),
        last_seen_at: number(place),
    };
    Ok(Json(Account { user }).into_response())
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
    Json(checkin): Json<Checkin>,
) -> Result<Response, Failed> {
    let log = [&peer.prefix, ":checkins"].concat();
    let beside = |name: &str| ["{", &log, "}:", name].concat();
    let mut append = redis::cmd("EVALSHA");
    append.arg(&peer.append).arg(6).arg(&log);
    for name in ["checkpoint", "times", "recent:1000:100:1", "keys:100:0", "keys:100:1"] {
        append.arg(beside(name));
    }
    // As many settings as those of the receiver.
    append.arg(&["5", "86400000", "0", "0", "1", "0", "1000", "1700000000000", "0", "1", "0"]);
    append.arg(checkin.user_id).arg(checkin.location_id).arg(checkin.star_rating);
    append.arg("").arg("12 bytes key");
    let (_length, _has_old, id): (i64, i64, String) =
        append.query_async(&mut peer.redis.clone()).await?;
    let id = HeaderValue::try_from(id)?;
    Ok((StatusCode::ACCEPTED, [(CHECKIN_ID, id)]).into_response())
}

/// A failure of Redis, or of what is stored.
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
