//! How do I store my own types in a session, and use them as arguments of handlers?
//!
//! ```console
//! $ cargo run --example typed_session
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal:
//!
//! ```console
//! $ curl -b jar -c jar -i localhost:3000/me
//! HTTP/1.1 401 Unauthorized
//! …
//! $ curl -b jar -c jar -X POST localhost:3000/login/al
//! welcome
//! $ curl -b jar -c jar localhost:3000/me
//! al, in the theme Dark, visit number 1
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use axum::extract::{FromRequestParts, Path};
use axum::http::{StatusCode, request::Parts};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get, routing::post};
use serde::{Deserialize, Serialize};
use tower_express_session::{Error, Key, MemoryStore, Session, SessionLayer};

/// Names and types in one place. A misspelt constant or another type does not compile.
const USER: Key<User> = Key::new("user");
const VISITS: Key<u32> = Key::new("visits");

#[derive(Deserialize, Serialize)]
struct User {
    name: String,
    theme: Theme,
}

#[derive(Debug, Deserialize, Serialize)]
enum Theme {
    Dark,
}

/// A handler that takes a `User` serves only visitors who are logged in.
impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await;
        let user = session.and_then(|session| session.get(USER));
        let user = user.map_err(IntoResponse::into_response)?;
        user.ok_or_else(|| StatusCode::UNAUTHORIZED.into_response())
    }
}

async fn login(session: Session, Path(name): Path<String>) -> Result<&'static str, Error> {
    session.log_in(&User { name, theme: Theme::Dark }, &[]).await?;
    Ok("welcome\n")
}

async fn me(user: User, session: Session) -> Result<String, Error> {
    let visits = session.update(VISITS, |visits| visits.unwrap_or(0) + 1).await?;
    Ok(format!("{}, in the theme {:?}, visit number {visits}\n", user.name, user.theme))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app =
        Router::new().route("/login/{name}", post(login)).route("/me", get(me)).layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
