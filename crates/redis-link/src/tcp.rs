//! How sockets are set up.

use std::time::Duration;

/// Commands are small, so nothing waits to fill a packet; a peer that went away without a word is
/// found out within seconds.
pub(crate) fn settings() -> redis::io::tcp::TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    redis::io::tcp::TcpSettings::default().set_nodelay(true).set_keepalive(keepalive)
}
