//! Sends check-ins at a steady rate to a running receiver, as real users.
//!
//! The load is open: the time of each check-in is fixed before the first one is sent, and latencies
//! are measured from that time. If the service stops responding for a while, the latencies of all
//! check-ins of that time show it. A client that waits for each response would send fewer requests
//! and not measure the delay (coordinated omission). A check-in that cannot be sent because too
//! many wait for their responses is counted as missed.
//!
//! Each check-in has an idempotency key. It is sent again with the same key if there was no
//! response, or a 503, and is stored once.

mod client;
mod pace;
mod plan;
mod retry;
mod run;
mod sessions;
mod tally;

pub use client::{Cookie, HttpClient, LoginError};
pub use pace::Pace;
pub use plan::Plan;
pub use run::{MAX_IN_FLIGHT, Sender, run};
pub use sessions::{LoggedIn, log_in_all, log_out_all};
pub use tally::{Outcome, Report};
