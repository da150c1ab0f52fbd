//! How do parallel requests change the same attribute without losing a change?
//!
//! ```console
//! $ cargo run --example shopping_cart
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal, three requests of one browser at the same time:
//!
//! ```console
//! $ curl -c jar -X POST localhost:3000/cart/tea
//! 1 in your cart
//! $ for item in milk sugar cups; do curl -s -b jar -X POST localhost:3000/cart/$item & done; wait
//! …
//! $ curl -b jar localhost:3000/cart
//! ["tea","sugar","milk","cups"]
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

use axum::extract::Path;
use axum::{Json, Router, routing::get, routing::post};
use tower_express_session::{Error, Key, MemoryStore, Session, SessionLayer};

const CART: Key<Vec<String>> = Key::new("cart");

/// `get`, a change and `insert` would be enough for one request at a time. If two requests add an
/// item at the same time, one of the items would be lost.
async fn add(session: Session, Path(item): Path<String>) -> Result<String, Error> {
    let add = |cart: Option<Vec<String>>| {
        let mut cart = cart.unwrap_or_default();
        cart.push(item.clone());
        cart
    };
    let cart = session.update(CART, add).await?;
    Ok(format!("{} in your cart\n", cart.len()))
}

async fn cart(session: Session) -> Result<Json<Vec<String>>, Error> {
    Ok(Json(session.get(CART)?.unwrap_or_default()))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints where it listens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    let app =
        Router::new().route("/cart", get(cart)).route("/cart/{item}", post(add)).layer(sessions);

    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
