//! A check-in service: people check in at locations and rate them; operators run, monitor and scale
//! it.
//!
//! The services share only the storage, so they run unchanged in one process or each in its own.
//! Read from the outside in: `cli` parses a command and opens a port, `app` puts the parts
//! together, `http` is common to all services, `services` contains the services, `input` reads
//! requests, `usecases` are the operations without HTTP, `storage` keeps the data, and `domain`
//! defines the terms.

pub mod app;
pub mod cli;
pub mod concurrency;
pub mod config;
pub mod generate;
pub mod http;
pub mod lifecycle;
pub mod mail;
pub mod metrics;
pub mod passwords;
pub mod services;
pub mod session_secret;
pub mod signals;
pub mod slow_store;
pub mod telemetry;
pub mod traces;
mod usecases;

pub mod demo;
pub mod export;
pub mod import;

pub use checkin_domain as domain;
pub use checkin_storage as storage;

mod connection;
#[cfg(any(test, feature = "internals"))]
#[doc(hidden)]
pub mod fuzzing;
mod input;
mod random;
mod second_factor;
