//! The services. They know the use cases, the storage traits and the session, and never each other.

pub mod api;
pub mod auth;
pub mod processor;
pub mod receiver;

mod identity;
