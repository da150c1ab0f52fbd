//! Tests against real Redis and real Express, in one program.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

mod account_stores;
mod accounts;
mod app;
mod away;
mod backend;
mod cached;
mod cookies;
mod engine_errors;
mod examples;
mod express_interop;
mod middleware;
mod msrv;
mod outside;
mod programs;
mod races;
mod rotation;
mod session;
mod staleness;
mod stores;
mod tokens;
mod touching;
mod watched;
