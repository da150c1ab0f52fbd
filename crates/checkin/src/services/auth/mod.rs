//! The authentication service: a login opens a session, a logout ends it.

mod account;
mod bodies;
mod checked;
mod logged_in;
mod login;
mod operator;
mod passkeys;
mod password_reset;
mod problems;
mod proofs;
mod routes;
mod second_factor;
mod sessions;
mod settings;
mod state;

pub use routes::{AuthSettings, Parts, router};
