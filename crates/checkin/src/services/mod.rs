//! The services. They depend on the use cases, the storage traits and the session, and never on each other.

pub mod api;
pub mod auth;
pub mod console;
pub mod operations;
pub mod processor;
pub mod receiver;
mod retention;

mod identity;
mod processor_metrics;
