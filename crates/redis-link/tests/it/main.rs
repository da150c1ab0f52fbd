//! Tests against real Redis, in one program.

#![expect(clippy::unwrap_used, reason = "a test fails if it cannot continue")]

mod commands;
mod own_connection;
mod topologies;
mod tracking;
