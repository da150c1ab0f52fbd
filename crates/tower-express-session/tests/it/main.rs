//! Tests against real Redis and real Express, in one program.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

mod express_interop;
mod middleware;
mod programs;
mod stores;
mod tidy;
