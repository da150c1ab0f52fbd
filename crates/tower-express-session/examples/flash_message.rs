//! How do I show a message once, on the page after a redirect?
//!
//! ```console
//! $ cargo run --example flash_message
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal:
//!
//! ```console
//! $ curl -b jar -c jar -L -d '' localhost:3000/save
//! Your changes are saved.
//! $ curl -b jar -c jar localhost:3000/
//! nothing new
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use axum::response::Redirect;
use axum::{Router, routing::get, routing::post};
use tower_express_session::{Error, Key, MemoryStore, Session, SessionLayer};

const FLASH: Key<String> = Key::new("flash");

/// The redirect is sent after the session is stored, so the next page always finds the message.
async fn save(session: Session) -> Result<Redirect, Error> {
    session.insert(FLASH, "Your changes are saved.")?;
    Ok(Redirect::to("/"))
}

async fn home(session: Session) -> Result<String, Error> {
    Ok(session.take(FLASH)?.unwrap_or_else(|| "nothing new".to_owned()) + "\n")
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app = Router::new().route("/", get(home)).route("/save", post(save)).layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
