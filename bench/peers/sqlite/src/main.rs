//! The routes of `express/service.js` on axum and SQLite, as one writes them at first: sessions in a
//! table, and one transaction for each check-in, with the same guarantees as the embedded store of
//! the check-in services (write-ahead log, each commit synced).
//!
//! It reads the environment variables `STORE` (the path of the database) and `PASSWORD` (of every
//! account, default `secret123`).

use std::env;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::extract::State;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

const NAME: &str = "checkinapp=";
const MAX_RATING: u8 = 5;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE sessions (id TEXT PRIMARY KEY, user TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE checkins (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL
) STRICT;
";

#[tokio::main]
async fn main() -> Result<()> {
    let database = Connection::open(env::var("STORE")?)?;
    database.execute_batch(SCHEMA)?;
    let password = env::var("PASSWORD").unwrap_or_else(|_| "secret123".to_owned());
    let peer = Arc::new(Peer { database: Mutex::new(database), password });
    let app = Router::new()
        .route("/login", post(login))
        .route("/session", get(show))
        .route("/api/checkin", post(checkin))
        .route("/plain", get(async || "OK"))
        .with_state(peer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}

struct Peer {
    database: Mutex<Connection>,
    password: String,
}

impl Peer {
    /// Runs this on a thread that may block.
    async fn with_database<T: Send + 'static>(
        self: Arc<Self>,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let run = move || run(&self.database.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(spawn_blocking(run).await??)
    }

    async fn user(self: Arc<Self>, headers: &HeaderMap) -> Result<Option<String>> {
        let cookie = headers.get(COOKIE).and_then(|cookie| cookie.to_str().ok());
        let Some(id) = cookie.and_then(|cookie| cookie.strip_prefix(NAME)) else { return Ok(None) };
        let id = id.to_owned();
        self.with_database(move |database| {
            let mut find = database.prepare_cached("SELECT user FROM sessions WHERE id = ?1")?;
            find.query_row([id], |row| row.get(0)).optional()
        })
        .await
    }
}

#[derive(Deserialize)]
struct Login {
    email: String,
    password: String,
}

async fn login(
    State(peer): State<Arc<Peer>>,
    Json(login): Json<Login>,
) -> Result<Response, Failed> {
    if login.password != peer.password {
        return Ok((StatusCode::UNAUTHORIZED, "Invalid login.").into_response());
    }
    let insert = "INSERT INTO sessions VALUES (hex(randomblob(24)), ?1) RETURNING id";
    let id = peer
        .with_database(|database| {
            database.query_row(insert, [login.email], |row| row.get::<_, String>(0))
        })
        .await?;
    Ok(([(SET_COOKIE, format!("{NAME}{id}; Path=/; HttpOnly"))], "OK").into_response())
}

async fn show(State(peer): State<Arc<Peer>>, headers: HeaderMap) -> Result<Response, Failed> {
    match peer.user(&headers).await? {
        Some(user) => Ok(Json(json!({ "user": user, "all": { "user": user } })).into_response()),
        None => Ok(unauthenticated()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkin {
    user_id: u32,
    location_id: u32,
    star_rating: u8,
}

async fn checkin(
    State(peer): State<Arc<Peer>>,
    headers: HeaderMap,
    Json(checkin): Json<Checkin>,
) -> Result<Response, Failed> {
    if peer.clone().user(&headers).await?.is_none() {
        return Ok(unauthenticated());
    }
    if checkin.user_id == 0 || checkin.location_id == 0 || checkin.star_rating > MAX_RATING {
        return Ok((StatusCode::BAD_REQUEST, "Invalid check-in.").into_response());
    }
    let insert = "INSERT INTO checkins (user_id, location_id, stars) VALUES (?1, ?2, ?3)";
    let id = peer
        .with_database(move |database| {
            let values = (checkin.user_id, checkin.location_id, checkin.star_rating);
            database.prepare_cached(insert)?.insert(values)
        })
        .await?;
    Ok((StatusCode::ACCEPTED, [("checkin-id", id.to_string())]).into_response())
}

fn unauthenticated() -> Response {
    (StatusCode::UNAUTHORIZED, "Authentication required.").into_response()
}

/// A failure of the database.
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
