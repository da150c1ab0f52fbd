//! The read API: users, places and check-ins, and what happens right now.

mod checkins;
mod export;
mod in_task;
mod locations;
mod nearby;
mod paging;
mod parameters;
mod problems;
mod representation;
mod routes;
mod state;
mod statistics;
mod stream;
mod users;
mod visitor;
mod weather;

pub use routes::router;
pub use state::Stores;
