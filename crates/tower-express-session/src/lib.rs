//! Sessions for tower and axum that speak express-session's cookie and connect-redis's Redis
//! format, so that Rust and Express services share logins in the same deployment.
//!
//! This page is a tutorial; read it once from top to bottom. Who comes from Express finds every
//! option and method in `docs/migrating-from-express.md` of the repository.
//!
//! 1. [A first session](#a-first-session)
//! 2. [Login and logout](#login-and-logout)
//! 3. [Redis, beside Express](#redis-beside-express)
//! 4. [What happens when](#what-happens-when)
//! 5. [Parallel requests](#parallel-requests)
//! 6. [Lifetimes](#lifetimes)
//! 7. [The sessions of an account](#the-sessions-of-an-account)
//! 8. [New secrets](#new-secrets)
//! 9. [Programs without cookies](#programs-without-cookies)
//! 10. [Sockets and streams](#sockets-and-streams)
//! 11. [When the store is away](#when-the-store-is-away)
//! 12. [Metrics and tracing](#metrics-and-tracing)
//! 13. [Forged requests from other sites](#forged-requests-from-other-sites)
//! 14. [Before it goes live](#before-it-goes-live)
//! 15. [Features](#features)
//!
//! # A first session
//!
//! A session is a set of attributes under names, one for each visitor. Take [`Session`] as an
//! argument of a handler, and put a [`SessionLayer`] around the routes:
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
//! The attributes lie in a [`store`], here in the memory of the process. The browser gets a
//! cookie with the session's id, signed with the secret `keyboard cat`, so that nobody can make up
//! one. An attribute is anything that serde can write as JSON.
//!
//! [`Error`] is a response in axum, so that `?` does what is right: 503 when the store is away, 500
//! for a bug. Without axum, the layer puts a [`LazySession`] into the extensions of each request.
//!
//! # Login and logout
//!
//! ```
//! use tower_express_session::{Error, Session};
//!
//! async fn login(session: Session) -> Result<&'static str, Error> {
//!     // The password was right.
//!     session.regenerate().await?;
//!     session.insert("user", "al@example.com")?;
//!     Ok("welcome")
//! }
//!
//! async fn me(session: Session) -> Result<String, Error> {
//!     Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
//! }
//!
//! async fn logout(session: Session) -> Result<&'static str, Error> {
//!     session.destroy().await?;
//!     Ok("bye")
//! }
//! ```
//!
//! Call [`regenerate`](Session::regenerate) at each login. It ends the session that the browser came
//! with and goes on with an empty one under a fresh id. Otherwise somebody who planted a cookie in the
//! browser beforehand, of a session of his own, is logged in along with its owner. What is to survive
//! the login, such as a shopping cart, is read before and inserted after.
//!
//! [`destroy`](Session::destroy) ends the session in the store, and clears the cookie. Requests of the
//! same session that are still under way cannot bring it back.
//!
//! # Redis, beside Express
//!
//! With the feature `redis`, the same with another store:
//!
//! ```no_run
//! use redis_link::Client;
//! use tower_express_session::SessionLayer;
//! use tower_express_session::store::redis::RedisStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::new(Client::open("redis://127.0.0.1:6379")?);
//! let sessions = SessionLayer::new(store, ["keyboard cat"])?;
//! # Ok(())
//! # }
//! ```
//!
//! An Express service with the same secret, cookie name and prefix now has the same sessions:
//!
//! ```js
//! app.use(session({
//!   secret: 'keyboard cat',                 // SessionLayer::new
//!   name: 'connect.sid',                    // SessionLayer::name, and the default of both
//!   store: new RedisStore({
//!     client,
//!     prefix: 'sess:',                      // RedisStore::prefix, and the default of both
//!     ttl: 86400                            // SessionLayer::ttl, and the default of both
//!   }),
//!   resave: false,
//!   saveUninitialized: false
//! }))
//! ```
//!
//! The stored value is the JSON that Express writes, byte for byte; there is nothing of ours in it.
//! `cargo run -p tower-express-session --example shared_with_express` in the repository shows it, with
//! a real Express service, in one command.
//!
//! `redis-sentinel://` and `redis-cluster://` addresses work, too, each with TLS as `rediss`: with the
//! features `redis-sentinel`, `redis-cluster` and `redis-tls`. For TLS the program installs a rustls
//! [crypto provider](https://docs.rs/redis-link#tls); no library does.
//!
//! Reading from Redis for every request can be spared by a bounded cache in the process:
//!
//! ```no_run
//! use redis_link::Client;
//! use tower_express_session::store::redis::{CacheOptions, RedisStore};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::open("redis://127.0.0.1:6379")?;
//! let store = RedisStore::new(client).cached(CacheOptions::default());
//! # Ok(())
//! # }
//! ```
//!
//! Redis itself keeps it right (RESP3 client tracking), whoever writes. It answers only under a lease
//! of 250 ms that a heartbeat renews; so no answer is further behind than that, even when the process
//! is cut off from Redis. `FreshSession` and [`LazySession::fresh`] go past it, for a change of
//! password, say. `RedisStore::destroy_waits` makes a logout wait for one lease before it is answered,
//! so that no process takes the session after it. In front of a Redis Cluster nothing is cached.
//!
//! # What happens when
//!
//! 1. A request comes. Its cookie is verified; this asks nobody. A cookie that nobody signed is no
//!    cookie, and a request without one never waits for the store.
//! 2. A handler asks for the session: now it is loaded. A route that does not ask never waits for the
//!    store, and does not count as a use of the session.
//! 3. The handler reads and changes attributes. This is local and immediate.
//! 4. The handler returns. If an attribute changed, the session is stored, and *then* the response
//!    leaves: the next request finds what this one wrote. If storing fails, the response is a 503 and
//!    the handler's is dropped.
//! 5. If nothing changed, but a tenth of the session's time has gone by since it was last written, the
//!    store is told to keep it for its whole time again (a *touch*). No response waits for that.
//! 6. The cookie is set when the session is new, has a new id, or has a `max_age` and changed; on each
//!    response with [`rolling`](SessionLayer::rolling). It is cleared when the session ended.
//!
//! So a visitor to whom nothing was noted down is not stored and gets no cookie.
//!
//! # Parallel requests
//!
//! A browser sends several requests at once. Each loads the session, changes something and stores it;
//! in Express the last one overwrites the others. Here a write is made only onto what was read. If
//! another request was faster, the changes of both are merged: each top-level attribute that this
//! request set or removed is set or removed in what the other left. Where both changed the same
//! attribute, the last one wins.
//!
//! For an attribute that depends on its old value, such as a counter or a cart, take
//! [`update`](Session::update). No other request of these services comes in between:
//!
//! ```
//! use tower_express_session::{Error, Session};
//!
//! async fn add_to_cart(session: Session) -> Result<String, Error> {
//!     let items = session.update("items", |items: Option<u32>| items.unwrap_or(0) + 1).await?;
//!     Ok(format!("{items} in your cart"))
//! }
//! ```
//!
//! An Express service still writes without looking. A change that is made here between its load and
//! its save is lost, and nothing on this side can prevent that.
//!
//! # Lifetimes
//!
//! | | idle timeout | absolute timeout | cookie lifetime | tombstone |
//! | --- | --- | --- | --- | --- |
//! | **answers** | unused for too long? | in use for too long? | until when does the browser keep it? | may Express bring it back? |
//! | **set at** | [`SessionLayer::ttl`], 24 hours; [`max_age`](CookieOptions::max_age) instead, if there is one | `absolute_timeout` of the store; none | [`CookieOptions::max_age`]; as long as the browser runs | `RedisStore::tombstones`; on |
//! | **counted from** | the last use | when the session was made; of one that Express made, when it was first seen here | when the cookie was sent | the end of the session |
//! | **renewed by** | a request that stores the session; a request that reads it, once [`touch_after`](SessionLayer::touch_after) of the time has gone by, a tenth | nothing; `regenerate` makes a new session | a response that sends the cookie: the session changed, or `rolling` | nothing |
//! | **the browser sees** | nothing: its cookie is worth nothing from then on | the same | `Expires` of the cookie | the cookie is cleared by the logout itself |
//! | **Redis shows** | `TTL <prefix><id>` | `GET {<prefix><id>}:created`, in milliseconds; and the TTL is no longer than what is left | `cookie.expires` in the value, as it was last stored | `{<prefix><id>}:revoked`, for the idle timeout and an hour |
//!
//! Three settings that make sense:
//!
//! ```
//! use std::time::Duration;
//! use tower_express_session::{CookieOptions, MemoryStore, SessionLayer};
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! const MINUTE: Duration = Duration::from_secs(60);
//! const DAY: Duration = Duration::from_secs(24 * 60 * 60);
//! let secrets = ["keyboard cat"];
//!
//! // A bank: ends after 15 minutes without use, and when the browser is closed.
//! SessionLayer::new(MemoryStore::new(), secrets)?.ttl(15 * MINUTE);
//!
//! // A shop: stays for 30 days after the last visit.
//! let cookie = CookieOptions::new().max_age(30 * DAY);
//! SessionLayer::new(MemoryStore::new(), secrets)?.cookie(cookie).rolling(true);
//!
//! // A tool for work: as long as it is used, but log in again every week.
//! SessionLayer::new(MemoryStore::new().absolute_timeout(7 * DAY), secrets)?;
//! # Ok(())
//! # }
//! ```
//!
//! Without `rolling`, a cookie with a `max_age` is sent again only when the session changes: the
//! browser drops it that long after the last change, however much the session is used. That is
//! express-session's rule.
//!
//! # The sessions of an account
//!
//! "Where am I logged in?" and "log out everywhere" take an index from accounts to sessions. Name the
//! attribute that says whose a session is, and [`Accounts`] keeps one in the store:
//!
//! ```
//! use std::sync::Arc;
//! use tower_express_session::{
//!     Accounts, Error, FreshSession, MemoryStore, Secrets, Session, SessionLayer,
//! };
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let store = Arc::new(MemoryStore::new());
//! let accounts = Accounts::new(store.clone(), "user");
//! let secrets = Secrets::new(["keyboard cat"])?;
//! let sessions = SessionLayer::with_shared_store(store, secrets).accounts(accounts.clone());
//! # Ok(())
//! # }
//!
//! // Handlers get `accounts` as state.
//! async fn devices(accounts: Accounts, session: Session) -> Result<Vec<String>, Error> {
//!     let user: String = session.get("user")?.unwrap_or_default();
//!     Ok(accounts.list(&user).await?.into_iter().map(|session| session.device).collect())
//! }
//!
//! async fn change_password(
//!     accounts: Accounts,
//!     FreshSession(session): FreshSession,
//! ) -> Result<usize, Error> {
//!     let user: String = session.get("user")?.unwrap_or_default();
//!     accounts.end_others(&user, &session.id()).await
//! }
//! ```
//!
//! A session has a [`handle`](AccountSession::handle) for pages and URLs, from which nobody can find
//! its id. The layer notes a session when it is given the attribute, and when it is touched. An
//! Express service notes nothing: [`find`](Accounts::find) and what ends sessions look through all of
//! them, so that none is left out, and [`rebuild`](Accounts::rebuild) does so once for all. Where no
//! Express service makes sessions, say so with [`all_are_noted`](Accounts::all_are_noted).
//!
//! A login that is under way meanwhile is stored after that. Where it must not live on, as after a
//! change of the password, give accounts a counter and sessions an
//! [epoch](Session::regenerate_in_epoch).
//!
//! # New secrets
//!
//! The first secret signs, each verifies. To change it without logging anybody out, put the new one
//! first, and take the old one away when the sessions that it signed are over:
//!
//! ```
//! use tower_express_session::{MemoryStore, Secrets, SessionLayer};
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let secrets = Secrets::new(["the old one"])?;
//! let sessions = SessionLayer::with_parts(MemoryStore::new(), secrets.clone());
//! // Later, in the running service:
//! secrets.replace(["the new one", "the old one"])?;
//! # Ok(())
//! # }
//! ```
//!
//! A browser whose cookie the old secret signed gets one that the new secret signed with its next
//! response. All services must know the new secret before one of them signs with it: first add it
//! *behind* the old one everywhere, then move it to the front.
//!
//! # Programs without cookies
//!
//! ```
//! use http::HeaderName;
//! # use tower_express_session::{MemoryStore, SessionLayer};
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let sessions = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?
//!     .token_header(HeaderName::from_static("session-token"));
//! # Ok(())
//! # }
//! ```
//!
//! A program sends the header empty with its login, and gets a token in it. It sends the token with
//! every later request, in the same header or as `Authorization: Bearer s%3A…`. The token is what a
//! browser would have in its cookie; its session is one like any other.
//!
//! # Sockets and streams
//!
//! A [`Session`] belongs to its request, and refuses changes afterwards ([`ErrorKind::Answered`]), since
//! nothing would store them. What goes on after the response has begun, a socket or a
//! stream of server-sent events, takes a [`DetachedSession`] along, and closes when the session ends:
//!
//! ```
//! use std::time::Duration;
//! use tower_express_session::{Error, Session};
//!
//! async fn follow(session: Session) -> Result<(), Error> {
//!     let session = session.detach().await?;
//!     tokio::spawn(async move {
//!         tokio::select! {
//!             () = session.ended(Duration::from_secs(1)) => {} // logged out: close
//!             () = talk() => {}
//!         }
//!     });
//!     Ok(())
//! }
//! # async fn talk() {}
//! ```
//!
//! It does not keep the session alive by itself; [`touch`](DetachedSession::touch) does.
//!
//! # When the store is away
//!
//! No request waits long: a Redis command 250 ms, a connection 500 ms (`Timeouts`), and after a failed
//! attempt to connect requests fail at once for a moment. SQLite waits for 5 s.
//!
//! A request whose session cannot be read or stored is answered 503 with `Retry-After: 1`; its cookie
//! stays as it is. An error is never read as "nobody is logged in", and nobody is logged out. Requests
//! without a session cookie, and routes that do not ask for the session, are served as ever.
//!
//! A page that is worth showing to a stranger may take [`WhenAway::Anonymous`]: the handler gets an
//! empty session of which nothing can be stored.
//!
//! ```
//! use tower_express_session::{MemoryStore, SessionLayer, WhenAway};
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let sessions = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?
//!     .when_away(WhenAway::Anonymous);
//! # Ok(())
//! # }
//! ```
//!
//! Handlers that call the store themselves tell errors apart by [`Error::kind`].
//!
//! # Metrics and tracing
//!
//! [`on_event`](SessionLayer::on_event) tells of each [`Event`]: sessions found, made, stored, touched,
//! ended, and failures by their kind. Nothing in it names a session.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//! use tower_express_session::{Event, MemoryStore, SessionLayer};
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let failures = Arc::new(AtomicU64::new(0));
//! let counter = failures.clone();
//! let sessions = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?.on_event(move |event| {
//!     if matches!(event, Event::Failed(_)) {
//!         counter.fetch_add(1, Relaxed);
//!     }
//! });
//! # Ok(())
//! # }
//! ```
//!
//! Each call to the store is a `tracing` span at `debug`: `session.load`, `session.save`,
//! `session.touch`, `session.destroy`. Failures are logged at `error` and `warn`. Of an id at most the
//! first four characters are shown; cookies, secrets and attributes never are.
//!
//! # Forged requests from other sites
//!
//! A page of another site can make a browser send a form to yours, along with the cookie. Two defences
//! belong together:
//!
//! - `SameSite=Lax` keeps the cookie from such requests. [`CookieOptions::same_site`] writes it into
//!   the stored session too, for Express services to read; [`SessionLayer::same_site_on_wire`] only
//!   sends it.
//! - A guard that refuses requests from other sites. tower-http (0.7, feature `csrf`) has one that goes
//!   by the headers `Sec-Fetch-Site` and `Origin`, without tokens in forms. axum_csrf has the classic
//!   one, with a token in each form.
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_express_session::{CookieOptions, MemoryStore, SameSite, SessionLayer};
//! use tower_http::csrf::CsrfLayer;
//!
//! # fn main() -> Result<(), tower_express_session::ConfigError> {
//! let sessions = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?
//!     .cookie(CookieOptions::new().same_site(SameSite::Lax));
//! let app: Router = Router::new()
//!     .route("/transfer", post(|| async { "done" }))
//!     .layer(sessions)
//!     .layer(CsrfLayer::new());
//! # Ok(())
//! # }
//! ```
//!
//! Both leave `GET` alone, so no `GET` may change anything: logout is a `POST`. A request that brings a
//! [token](SessionLayer::token_header) needs no defence, since no browser sends one by itself.
//!
//! # Before it goes live
//!
//! - A secret of 32 random bytes or more, from outside the program. Who knows it can sign any id.
//! - Over TLS, [`Secure::Yes`] in the cookie, and [`proxy`](SessionLayer::proxy) behind a proxy that
//!   sets `X-Forwarded-Proto`: otherwise no cookie is sent at all.
//! - [`check`](SessionLayer::check) at the end of the builder, so that a cookie which no browser would
//!   take is found when the service starts.
//! - `maxmemory-policy noeviction` in Redis: any other ends sessions when memory is full.
//! - The layer outside of [`Router::nest`](https://docs.rs/axum/latest/axum/struct.Router.html), if the
//!   cookie's path is not `/`: inside, it sees the path without the nest's.
//!
//! # Features
//!
//! | feature | gives | default |
//! | --- | --- | --- |
//! | `axum` | [`Session`] and [`LazySession`] as arguments of handlers, [`Error`] as a response | yes |
//! | `redis` | a store in Redis, shared with connect-redis, over a client of the crate `redis-link` | no |
//! | `redis-tls` `redis-sentinel` `redis-cluster` | `rediss`, `redis-sentinel` and `redis-cluster` addresses for it | no |
//! | `sqlite` | a store in an SQLite file of the crate `sqlite-writer`, for one machine | no |
//! | `conformance` | the suite that every [`Store`] passes, for stores of your own | no |
//!
//! The memory store is always there. It is for tests and trying things out: sessions end with the
//! process, and no other process sees them.

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
mod browser;
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
