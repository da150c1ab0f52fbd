//! How long to wait.

use std::time::Duration;

/// How long a [`Client`](crate::Client) waits for Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to come about. Default: 500 ms.
    pub connect: Duration,
    /// For the answer to a command. Default: 250 ms.
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_millis(500), response: Duration::from_millis(250) }
    }
}
