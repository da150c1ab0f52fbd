//! How do sessions survive a restart of the program, without a server? In an SQLite file:
//!
//! ```console
//! $ STORE=sessions.db cargo run --example sqlite --features sqlite
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal; restart the program between the two requests:
//!
//! ```console
//! $ curl -b jar -c jar -X POST localhost:3000/login/al
//! welcome, al
//! $ curl -b jar -c jar localhost:3000/me
//! al
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use std::time::Duration;

use axum::extract::Path;
use axum::{Router, routing::get, routing::post};
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{CookieOptions, Error, Session, SessionLayer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A real service checks a password first.
async fn login(session: Session, Path(name): Path<String>) -> Result<String, Error> {
    session.log_in(&name, &[]).await?;
    Ok(format!("welcome, {name}\n"))
}

async fn me(session: Session) -> Result<String, Error> {
    let user = session.get("user")?.unwrap_or_else(|| "nobody".to_owned());
    Ok(user + "\n")
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::var("STORE").unwrap_or_else(|_| "sessions.db".to_owned());
    // A login lasts as long as it is used at least once a week, and at most a month.
    let store = SqliteStore::open(&file).await?.absolute_timeout(30 * DAY);
    let cookie = CookieOptions::new().max_age(7 * DAY);
    let sessions =
        SessionLayer::builder(store, ["keyboard cat"]).cookie(cookie).rolling(true).build()?;
    let app =
        Router::new().route("/login/{name}", post(login)).route("/me", get(me)).layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
