//! The authentication service: who logs in gets a session, who logs out loses it.

mod account;
mod document;
mod login;
mod problems;
mod routes;
mod sessions;

pub use routes::{Settings, router};
