//! Time-outs of a client.

use std::time::Duration;

/// How long a [`Client`](crate::Client) waits for Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The time limit for connecting to a server, also to each node of a cluster. Default: 500 ms.
    pub connect: Duration,
    /// The time limit for a command: until its reply is there, including the wait for a connection.
    /// Default: 250 ms.
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_millis(500), response: Duration::from_millis(250) }
    }
}
