//! How do login, flash message, cart and the devices of an account work together on Redis?
//!
//! ```console
//! $ STORE=redis://127.0.0.1:6379 cargo run --example redis --features redis
//! listening on 127.0.0.1:3000
//! ```
//!
//! Then, in another terminal:
//!
//! ```console
//! $ curl -b jar -c jar -X POST localhost:3000/cart/tea
//! $ curl -b jar -c jar -X POST localhost:3000/login/al
//! $ curl -b jar -c jar localhost:3000
//! welcome, al
//! cart: ["tea"]
//! $ curl -b jar -c jar localhost:3000/devices
//! curl/8.5.0
//! ```
//!
//! `PORT` chooses another port. 0 takes a free one.

#![expect(clippy::print_stdout, reason = "prints where it listens")]

use axum::extract::Path;
use axum::{Router, routing::get, routing::post};
use tower_express_session::store::redis::RedisStore;
use tower_express_session::{AccountSessions, Error, Key, Session, SessionLayer};

const USER: Key<String> = Key::new("user");
const FLASH: Key<String> = Key::new("flash");
const CART: Key<Vec<String>> = Key::new("cart");

async fn login(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.log_in(&user, &[&CART]).await?; // a new id; only the cart is kept
    session.insert(FLASH, &format!("welcome, {user}"))
}
async fn home(session: Session) -> Result<String, Error> {
    let message = session.take(FLASH)?.unwrap_or_default(); // shown once
    Ok(format!("{message}\ncart: {:?}\n", session.get(CART)?.unwrap_or_default()))
}
async fn add(session: Session, Path(item): Path<String>) -> Result<(), Error> {
    let add = |cart: Option<Vec<String>>| [cart.unwrap_or_default(), vec![item.clone()]].concat();
    session.update(CART, add).await.map(drop) // atomic, so parallel requests lose no item
}
async fn devices(session: Session, sessions: AccountSessions) -> Result<String, Error> {
    let user = session.get(USER)?.unwrap_or_default();
    let devices = sessions.list(&user).await?;
    Ok(devices.into_iter().map(|device| device.device + "\n").collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("STORE").unwrap_or("redis://127.0.0.1:6379".to_owned());
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let store = RedisStore::open(&redis)?;
    let layer = SessionLayer::builder(store, ["keyboard cat"]).account_sessions("user").build()?;
    let app = Router::new().route("/login/{user}", post(login)).route("/", get(home));
    let app = app.route("/cart/{item}", post(add)).route("/devices", get(devices)).layer(layer);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
