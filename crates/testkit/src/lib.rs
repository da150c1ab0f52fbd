//! Starts the real servers that the tests use, and sends requests to them.
//!
//! This crate never skips a test: if `redis-server` or `node` is missing, it panics with its name. A test may ask what
//! the server that `REDIS_SERVER` names lacks ([`server_has_tls`]), and then says that it is left out. Every
//! server listens on 127.0.0.1, unless a test gives it another host, and is killed when its handle is dropped.

mod client;
mod engine;
mod express;
mod host;
mod jar;
mod port;
mod program;
mod proxy;
mod random;
mod redis_cluster;
mod redis_server;
mod sentinel;
pub mod signature;
mod wait;

pub use client::{Client, Request, Response};
pub use engine::{server_has_tls, server_release};
pub use express::{Express, ExpressProbes};
pub use host::Host;
pub use jar::Jar;
pub use port::free_port;
pub use program::{Line, Program, Stream};
pub use proxy::Proxy;
pub use random::{Rng, random, seed};
pub use redis_cluster::RedisCluster;
pub use redis_server::{RedisServer, server_program};
pub use sentinel::Sentinel;
pub use wait::{PATIENCE, until, wait_for, wait_until};

pub use nix::sys::signal::Signal;
pub use reqwest::Method;
