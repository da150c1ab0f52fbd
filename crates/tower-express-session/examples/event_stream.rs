//! How does a stream of server-sent events end when its session ends?
//!
//! ```console
//! $ cargo run --example event_stream
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in two other terminals:
//!
//! ```console
//! $ curl -c jar -X POST localhost:3000/login/al
//! $ curl -b jar -N localhost:3000/events
//! data: tick 0
//! …
//! ```
//!
//! ```console
//! $ curl -b jar -X POST localhost:3000/logout
//! ```
//!
//! The logout ends the stream within a second. A WebSocket does the same: `tokio::select!` between
//! [`DetachedSession::ended`] and the next message.
//!
//! [`DetachedSession::ended`]: tower_express_session::DetachedSession::ended
//!
//! `PORT` chooses another port. 0 takes a free one.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Path;
use axum::response::sse::{Event, Sse};
use axum::{Router, routing::get, routing::post};
use futures_util::stream::{self, Stream, StreamExt as _};
use tower_express_session::{Error, MemoryStore, Session, SessionLayer};

const SECOND: Duration = Duration::from_secs(1);

/// `detach` fails for a visitor without a stored session.
async fn events(
    session: Session,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let session = session.detach().await?;
    let ended = async move { session.ended(SECOND).await };
    Ok(Sse::new(ticks().take_until(Box::pin(ended)).map(Ok)))
}

fn ticks() -> impl Stream<Item = Event> {
    stream::iter(0..).then(async |tick: u64| {
        tokio::time::sleep(if tick == 0 { Duration::ZERO } else { SECOND }).await;
        Event::default().data(format!("tick {tick}"))
    })
}

async fn login(session: Session, Path(name): Path<String>) -> Result<(), Error> {
    session.log_in(&name, &[]).await
}

async fn logout(session: Session) -> Result<(), Error> {
    session.log_out().await
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app = Router::new()
        .route("/login/{name}", post(login))
        .route("/logout", post(logout))
        .route("/events", get(events))
        .layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
