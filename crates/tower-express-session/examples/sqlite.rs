//! Sessions in an SQLite file, which outlive the program and need no server:
//!
//! ```console
//! $ cargo run -p tower-express-session --example sqlite
//! listening on 127.0.0.1:3000, sessions in sessions.db
//! ```
//!
//! Then, in another terminal; the second request works after a restart, too:
//!
//! ```console
//! $ curl -b jar -c jar -X POST localhost:3000/login/al
//! welcome, al
//! $ curl -b jar -c jar localhost:3000/me
//! al
//! ```
//!
//! `STORE` chooses another file, `PORT` another port.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
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
    Ok(format!("{user}\n"))
}

async fn logout(session: Session) -> Result<&'static str, Error> {
    session.log_out().await?;
    Ok("bye\n")
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "says where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::var_os("STORE").map_or_else(|| "sessions.db".into(), PathBuf::from);
    // A login lasts while it is used at least once a week, and a month at most.
    let store = SqliteStore::open(&path).await?.absolute_timeout(30 * DAY);
    let cookie = CookieOptions::new().max_age(7 * DAY);
    let sessions =
        SessionLayer::builder(store, ["keyboard cat"]).cookie(cookie).rolling(true).build()?;
    let app = Router::new()
        .route("/login/{name}", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}, sessions in {}", listener.local_addr()?, path.display());
    axum::serve(listener, app).await?;
    Ok(())
}
