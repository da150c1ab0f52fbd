//! Tests against real Redis and real Express, in one program.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

mod account_stores;
mod backend;
mod cached;
mod examples;
mod express_interop;
mod middleware;
mod msrv;
mod programs;
mod races;
mod staleness;
mod stores;
mod tidy;
