//! Tests against real Redis, in one program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod own_connection;
mod tracking;
