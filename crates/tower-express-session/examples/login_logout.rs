//! How do visitors log in and out?
//!
//! ```console
//! $ cargo run --example login_logout
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal:
//!
//! ```console
//! $ curl -b jar -c jar -X POST localhost:3000/login/al/wrong
//! wrong name or password
//! $ curl -b jar -c jar -X POST localhost:3000/login/al/secret123
//! welcome, al
//! $ curl -b jar -c jar localhost:3000/me
//! al
//! $ curl -b jar -c jar -X POST localhost:3000/logout
//! bye
//! $ curl -b jar -c jar localhost:3000/me
//! nobody
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use axum::extract::Path;
use axum::{Router, routing::get, routing::post};
use tower_express_session::{Error, MemoryStore, Session, SessionLayer};

async fn login(
    session: Session,
    Path((user, password)): Path<(String, String)>,
) -> Result<String, Error> {
    // A real service reads both from a form, and stores a hash of the password.
    if (user.as_str(), password.as_str()) != ("al", "secret123") {
        return Ok("wrong name or password\n".to_owned());
    }
    // The new id invalidates a cookie that an attacker planted before the login.
    session.log_in(&user, &[]).await?;
    Ok(format!("welcome, {user}\n"))
}

async fn me(session: Session) -> Result<String, Error> {
    let user = session.get("user")?.unwrap_or_else(|| "nobody".to_owned());
    Ok(user + "\n")
}

/// A logout is a POST. Browsers and proxies may repeat or prefetch a GET.
async fn logout(session: Session) -> Result<&'static str, Error> {
    session.log_out().await?;
    Ok("bye\n")
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app = Router::new()
        .route("/login/{user}/{password}", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
