//! A check-in service: people check in at places and rate them; operators run, watch and scale it.
//!
//! Services meet only in storage, so they run in one process or each in its own, unchanged. Read
//! from the outside in: `cli` parses a command and opens a port, `app` puts the parts together,
//! `http` is what all services do alike, `services` is what each does, `input` reads what they are
//! sent, `usecases` does what is asked, without HTTP, `storage` is where the services meet, `domain`
//! is what it is all about.

pub mod app;
pub mod cli;
pub mod config;
pub mod config_file;
pub mod generate;
pub mod http;
pub mod lifecycle;
pub mod passwords;
pub mod services;
pub mod session_secret;
pub mod telemetry;
mod usecases;

pub mod demo;
pub mod export;
pub mod import;

pub use checkin_domain as domain;
pub use checkin_storage as storage;

mod connection;
mod input;
mod random;
