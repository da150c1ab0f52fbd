//! How do I reject forms that another site makes a browser send? (Cross-site request forgery.)
//!
//! ```console
//! $ cargo run --example csrf
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal. Browsers send `Sec-Fetch-Site` automatically:
//!
//! ```console
//! $ curl -c jar -X POST -H 'Sec-Fetch-Site: same-origin' localhost:3000/login/al
//! welcome, al
//! $ curl -b jar -X POST -H 'Sec-Fetch-Site: same-origin' localhost:3000/transfer
//! transferred by al
//! $ curl -b jar -X POST -H 'Sec-Fetch-Site: cross-site' -i localhost:3000/transfer
//! HTTP/1.1 403 Forbidden
//! …
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use axum::extract::Path;
use axum::{Router, routing::post};
use tower_express_session::{Error, MemoryStore, Session, SessionLayer};
use tower_http::csrf::CsrfLayer;

/// A real service checks a password first.
async fn login(session: Session, Path(name): Path<String>) -> Result<String, Error> {
    session.log_in(&name, &[]).await?;
    Ok(format!("welcome, {name}\n"))
}

/// A POST, because neither defence covers GET. So no GET may change anything.
async fn transfer(session: Session) -> Result<String, Error> {
    let user = session.get("user")?.unwrap_or_else(|| "nobody".to_owned());
    Ok(format!("transferred by {user}\n"))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The first defence: the cookie is sent with `SameSite=Lax`, unless the layer says otherwise.
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app = Router::new()
        .route("/login/{name}", post(login))
        .route("/transfer", post(transfer))
        .layer(sessions)
        // The second defence, for browsers without `SameSite` and for pages of the same site with
        // another origin.
        .layer(CsrfLayer::new());

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
