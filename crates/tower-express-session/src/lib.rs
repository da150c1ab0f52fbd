//! Sessions for tower and axum. Cookies and stored values are compatible with express-session and
//! connect-redis, so that Rust and Express services can share logins in one deployment.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_express_session::{Error, MemoryStore, Session, SessionLayer};
//!
//! async fn visit(session: Session) -> Result<String, Error> {
//!     let visits: u64 = session.get("visits")?.unwrap_or(0) + 1;
//!     session.insert("visits", &visits)?;
//!     Ok(format!("visit number {visits}"))
//! }
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let sessions = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
//! let app: Router = Router::new().route("/", get(visit)).layer(sessions);
//! # Ok(())
//! # }
//! ```
//!
//! The [`tutorial`] leads from here to a service in production. To find one particular thing:
//!
//! | you want to | look at |
//! | --- | --- |
//! | build a layer | [`SessionLayer::builder`], [`SessionLayerBuilder`] |
//! | read and change a session | [`Session`], [`Key`] |
//! | log in and out | [`Session::log_in`], [`Session::log_out`] |
//! | set how long sessions last | [`SessionLayerBuilder::ttl`], [`CookieOptions::max_age`], [all lifetimes](tutorial#lifetimes) |
//! | list and revoke the sessions of an account | [`AccountSessions`] |
//! | choose a store, or write one | [`store`] |
//! | keep a WebSocket's session | [`DetachedSession`] |
//! | handle errors | [`Error`], [`ErrorKind`], [`SessionLayerBuilder::on_failure`] |
//! | match an Express service exactly | [`raw`], [`SessionLayerBuilder::strict`] |
//!
//! # Features
//!
//! | feature | adds | default |
//! | --- | --- | --- |
//! | `axum` | [`Session`], [`LazySession`] and [`AccountSessions`] as arguments of handlers, [`Error`] as a response | yes |
//! | `redis` | a store in Redis, shared with connect-redis, over a client of the crate `redis-link` | no |
//! | `redis-tls`, `redis-sentinel`, `redis-cluster` | addresses that begin with `rediss`, `redis-sentinel` and `redis-cluster` | no |
//! | `encryption` | a store around another one that hashes ids and encrypts values | no |
//! | `sqlite` | a store in an SQLite file of the crate `sqlite-writer`, for one machine | no |
//! | `conformance` | the test suite that every [`Store`] passes, for authors of stores | no |
//!
//! The memory store is always available. It is for tests and experiments: sessions end with the
//! process, and no other process sees them.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

pub mod accounts;
pub mod key;
pub mod raw;
pub mod request;
pub mod service;
pub mod store;

mod builder;
mod cookie_options;
mod detached;
mod error;
mod event;
mod id;
mod layer;
mod lazy;
mod login;
mod options;
mod session;
mod signature;

mod active;
mod at_once;
#[cfg(feature = "axum")]
mod axum;
mod browser;
mod commit;
mod context;
mod cookie;
mod failure;
mod header;
mod js;
mod merge;
mod policy;
mod recent_cookie;
mod recent_uses;
mod record;
mod shared_record;
mod state;
mod timestamp;
mod verified;

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;

#[cfg(feature = "axum")]
pub use self::axum::FreshSession;
#[doc(inline)]
pub use accounts::AccountSessions;
pub use builder::SessionLayerBuilder;
pub use cookie_options::{CookieOptions, Priority, SameSite, Secure};
pub use detached::DetachedSession;
pub use error::{ConfigError, Error, ErrorKind};
pub use event::Event;
pub use id::SessionId;
#[doc(inline)]
pub use key::Key;
pub use layer::SessionLayer;
pub use lazy::LazySession;
pub use options::WhenUnavailable;
pub use session::Session;
pub use signature::Secrets;
#[doc(inline)]
pub use store::{MemoryStore, Store};

#[doc = include_str!("../docs/tutorial.md")]
pub mod tutorial {
    #[expect(unused_imports, reason = "the tutorial's links are resolved here")]
    use super::*;
}

/// The README's example compiles.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
