//! One shared connection to a Redis deployment, for services that must answer in time.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redis_link::{Client, Reply, Script};
//!
//! let client = Client::open("redis://127.0.0.1:6379")?; // connects when it is first needed
//! client.call(&[b"SET", b"greeting", b"hello"]).await?;
//! let greeting = client.call(&[b"GET", b"greeting"]).await?;
//! assert_eq!(greeting, Reply::Bytes("hello".into()));
//!
//! let both = client.pipeline(&[&[b"INCR", b"visits"], &[b"TTL", b"visits"]]).await?;
//! assert_eq!(both[1], Reply::Int(-1));
//!
//! let take = Script::new("return redis.call('GETDEL', KEYS[1])");
//! client.run(&take, &[b"greeting"], &[]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - All clones of a [`Client`] share one connection, over which commands of many tasks go at the same
//!   time. It is made again when it is lost; one task connects, and after a failure all fail at once
//!   for a while.
//! - Every command is answered within its [`Timeouts`], and is sent once: nothing is repeated behind the
//!   caller's back.
//! - One server, the master behind Sentinels, or a Cluster, each with TLS: an [`Address`] says which.
//! - An [`Error`] says what to do about it by its [kind](Error::kind), and what is in the way by its
//!   [`Obstacle`], which tells what stays until somebody changes a setting from what may pass.
//!   [`Client::check`] finds it out before the first command.
//! - An outage is logged once when it begins and once when it ends (target `outage_log`).
//! - [`Client::track`] hears of each change of keys, for a cache in front of Redis.
//! - [`Client::scan`] looks through the keys of all primaries.
//! - A program that has a connection of redis-rs already hands it in:
//!   [`Client::from_connection`].
//!
//! # TLS
//!
//! With the feature `tls`, addresses that begin with `rediss` work. The TLS library, rustls, takes its
//! cryptography from a provider that the program chooses once for the whole process. This crate installs
//! none: [`Client::open`] answers [`ErrorKind::Unsupported`] as long as there is none. A program that
//! depends on `rustls` with the feature `ring` begins with:
//!
//! ```
//! rustls::crypto::ring::default_provider().install_default().expect("it is the first one");
//! # assert!(redis_link::Client::open("rediss://localhost").is_ok());
//! ```
//!
//! Certificates are checked against the system's authorities; `SSL_CERT_FILE` names a file of others.
//!
//! # Features
//!
//! | feature | gives | default |
//! | --- | --- | --- |
//! | `tls` | addresses that begin with `rediss` | no |
//! | `sentinel` | `redis-sentinel://` addresses | no |
//! | `cluster` | `redis-cluster://` addresses, and `Client::from_cluster_connection` | no |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod address;
mod cause;
mod check;
mod client;
mod connection;
mod error;
mod keys;
mod link;
mod obstacle;
mod reply;
mod request;
mod scan;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod source;
mod tcp;
mod timeouts;
mod tls;
mod tracking;

pub use address::Address;
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use keys::{companion_key, glob_escaped, hash_slot, hash_tag};
pub use obstacle::Obstacle;
pub use redis;
pub use reply::Reply;
pub use scan::Scan;
pub use script::Script;
pub use timeouts::Timeouts;
pub use tracking::Tracked;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
