//! Sessions for tower and axum that speak express-session's cookie and connect-redis's Redis
//! format, so that Rust and Express services share logins in the same deployment.
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
//! let sessions = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
//! let app: Router = Router::new().route("/", get(visit)).layer(sessions);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | gives | default |
//! | --- | --- | --- |
//! | `axum` | [`Session`] and [`LazySession`] as arguments of handlers | yes |
//! | `redis` | a store in Redis, shared with connect-redis | no |
//! | `sqlite` | a store in an SQLite file, for one machine | no |
//! | `conformance` | the suite that every [`Store`] passes | no |
//!
//! The memory store is always there.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod accounts;
mod cookie;
mod detached;
mod error;
mod event;
mod id;
mod layer;
mod lazy;
mod options;
mod session;
mod signature;
pub mod store;

#[cfg(feature = "axum")]
mod axum;
mod context;
mod header;
mod js;
mod merge;
mod policy;
mod record;
mod service;
mod state;
mod timestamp;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(feature = "axum")]
pub use self::axum::{FreshSession, SessionRejection};
pub use accounts::{AccountSession, Accounts, ClientAddress};
pub use cookie::Cookie;
pub use detached::DetachedSession;
pub use error::{ConfigError, Error, ErrorKind};
pub use event::Event;
pub use id::SessionId;
pub use layer::{SecureTransport, SessionLayer};
pub use lazy::LazySession;
pub use options::{CookieOptions, Priority, SameSite, Secure, Unset, WhenAway};
pub use service::{ResponseFuture, SessionService};
pub use session::Session;
pub use signature::Secrets;
pub use store::{AccountStore, MemoryStore, Store};

/// The README's example compiles.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
