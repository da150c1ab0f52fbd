//! The settings of TCP sockets.

use std::time::Duration;

/// Returns settings that send small commands without delay and that detect a vanished peer within
/// seconds.
pub(crate) fn settings() -> redis::io::tcp::TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    redis::io::tcp::TcpSettings::default().set_nodelay(true).set_keepalive(keepalive)
}
