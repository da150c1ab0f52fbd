use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux takes the local ports of outgoing connections, so that a
/// server that was stopped finds its port still free when it starts again.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Returns a port on which no program listens. Another process may take it before the caller does, so
/// callers try again with another port if their server does not start.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes run at the same time, so each begins with a different port.
    let start = (std::process::id().wrapping_mul(2_654_435_761) >> 8) as u16;
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT);
}
