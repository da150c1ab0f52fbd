//! The authentication service: who logs in gets a session, who logs out loses it.

mod account;
mod bodies;
mod logged_in;
mod login;
mod problems;
mod routes;
mod sessions;
mod state;

pub use routes::{AuthSettings, router};
