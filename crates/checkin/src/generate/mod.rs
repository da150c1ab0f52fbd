//! Check-ins at a steady rate, sent to a running receiver by real users.
//!
//! The load is open: when each check-in is due is fixed before the first one is sent, and its
//! latency counts from then. A service that stands still so shows in the latencies of all that came
//! due meanwhile, where a client that waits for each answer would send less and measure nothing
//! (coordinated omission). What cannot be sent because too many wait for their answers already is
//! counted as missed.
//!
//! Each check-in has an idempotency key and is sent again under it when there was no answer, or a
//! 503: it is stored once.

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
