//! The read API: users, locations and check-ins, and the stream of new check-ins.

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

#[cfg(any(test, feature = "internals"))]
pub(crate) use paging::is_canonical;
pub use routes::{ApiSettings, router};
pub use state::Stores;
