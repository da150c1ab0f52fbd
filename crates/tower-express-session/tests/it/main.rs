//! Integration tests against real Redis and real Express, in one program.

#![expect(clippy::unwrap_used, reason = "a test fails if it cannot continue")]
#![cfg_attr(
    not(feature = "external-tests"),
    expect(dead_code, unused_imports, reason = "used by the tests that this feature adds")
)]

mod account_stores;
mod accounts;
mod app;
mod backend;
#[cfg(feature = "external-tests")]
mod cached;
#[cfg(feature = "external-tests")]
mod cached_cluster;
mod cookies;
mod corpus;
mod encrypted;
mod engine_errors;
mod examples;
#[cfg(feature = "external-tests")]
mod express_interop;
mod middleware;
#[cfg(feature = "external-tests")]
mod mixed;
mod msrv;
mod outside;
mod programs;
mod races;
mod recording_store;
mod rotation;
mod session;
#[cfg(feature = "external-tests")]
mod staleness;
mod stores;
mod tokens;
mod touching;
mod unavailable;
