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
//! - All clones of a [`Client`] share one connection, which carries the commands of many tasks at
//!   the same time. Commands of the same moment are sent together, in one write. A lost connection
//!   is replaced: one task connects, and after a failed attempt all commands fail at once for a
//!   short time.
//! - Every command returns within its [`Timeouts`], and is sent once: it is never repeated
//!   automatically.
//! - An [`Address`] names a single server, the master that Sentinels know, or a Cluster, each with
//!   or without TLS.
//! - The sentinels are watched: the connection to a master is dropped before they replace it, and
//!   commands fail until there is a new master.
//! - The [kind](Error::kind) of an [`Error`] tells what the caller can do. Its [`Obstacle`] tells
//!   why Redis cannot be used, and whether that is permanent until a setting changes, or temporary.
//!   [`Client::check`] reports it before the first command.
//! - An outage is logged once when it begins and once when it ends (target `outage_log`).
//! - [`Client::track`] is notified of each change of a key, for a cache in front of Redis.
//! - [`Client::replicated`] gives writes that return when replicas have them.
//! - [`Client::observe`] reports each request and each new connection, for metrics and traces.
//! - [`Client::scan`] lists the keys of all primaries, and [`Client::call_each`] sends each of them the same command.
//! - [`Client::from_connection`] reuses a connection of redis-rs that the program already has.
//!
//! # TLS
//!
//! The feature `tls` enables addresses that begin with `rediss`. The TLS library, rustls, takes its
//! cryptography from a provider that the program chooses once for the whole process. This crate
//! installs none, and [`Client::open`] returns [`ErrorKind::Unsupported`] as long as none is
//! installed. A program that depends on `rustls` with the feature `ring` starts with:
//!
//! ```
//! rustls::crypto::ring::default_provider().install_default().expect("it is the first one");
//! # assert!(redis_link::Client::open("rediss://localhost").is_ok());
//! ```
//!
//! Certificates are checked against the system's certificate authorities. The environment variable
//! `SSL_CERT_FILE` names a file with other authorities to use instead.
//!
//! # Features
//!
//! | feature | adds | default |
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
#[cfg(feature = "cluster")]
mod cluster;
mod connection;
mod connector;
mod each_server;
mod error;
mod keys;
mod link;
mod observer;
mod obstacle;
mod replicated;
mod reply;
mod request;
mod scan;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod sentinel_view;
mod tcp;
mod timeouts;
mod tls;
mod together;
mod tracking;

pub use address::Address;
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use keys::{companion_key, glob_escaped, hash_slot, hash_tag};
pub use observer::{Failure, Observed};
pub use obstacle::Obstacle;
pub use redis;
pub use replicated::{Replicated, Topology};
pub use reply::Reply;
pub use scan::Scan;
pub use script::Script;
pub use sentinel_view::SentinelView;
pub use timeouts::Timeouts;
pub use tracking::{Heartbeat, Slots, Tracked};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
