//! The operations: the state of a deployment, and what operators do about it. Only the port of the console has
//! these routes.

mod dead_letters;
mod diagnosis;
mod operator;
mod overview;
mod routes;
mod security_events;
mod state;
mod views;

pub use routes::router;
pub use state::{Diagnose, Parts};
