//! The settings of TCP sockets.

use std::time::Duration;

/// How long the peer may acknowledge nothing of what was sent before the connection ends.
///
/// A command is given up after the time-out of a response, by default 250 ms, but the kernel keeps what the network
/// did not take, even if the connection is closed, and by default sends it again for a quarter of an hour. Redis would
/// carry the command out minutes after its sender has reported a failure. Within five seconds, the kernel sends lost
/// packets again four times, so that a few losses end no connection. If the time-out of a response is longer, commands
/// fail after five seconds if the network takes nothing, or if Redis has read so little that its kernel takes nothing, but
/// not if Redis is only slow to answer. With the keepalive, this ends an idle connection to a vanished peer at the second
/// probe, seven seconds after its last packet.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Returns settings that send small commands without delay, that detect a vanished peer within
/// seconds, and that send nothing late.
pub(crate) fn settings() -> redis::io::tcp::TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    let settings =
        redis::io::tcp::TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}
