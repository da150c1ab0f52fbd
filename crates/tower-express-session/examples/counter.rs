//! Counts each visitor's visits, in memory:
//!
//! ```console
//! $ cargo run -p tower-express-session --example counter
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal:
//!
//! ```console
//! $ curl -b jar -c jar localhost:3000
//! visit number 1
//! $ curl -b jar -c jar localhost:3000
//! visit number 2
//! ```
//!
//! `PORT` chooses another port.

use axum::{Router, routing::get};
use tower_express_session::{Error, MemoryStore, Session, SessionLayer};

async fn visit(session: Session) -> Result<String, Error> {
    let visits: u64 = session.get("visits")?.unwrap_or(0) + 1;
    session.insert("visits", &visits)?;
    Ok(format!("visit number {visits}\n"))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "says where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app = Router::new().route("/", get(visit)).layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
