//! Clients that take their time, or take none.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use testkit::Method;

use crate::harness::Site;

/// Longer than a client may take for its headers, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(25);

#[tokio::test]
async fn who_sends_nothing_or_too_slowly_is_let_go_and_nobody_else_waits() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let connect = || TcpStream::connect(("127.0.0.1", auth.port())).unwrap();
    let silent = connect();
    let mut slow = connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ").unwrap();
    let dripping = thread::spawn(move || {
        let started = Instant::now();
        // One byte after the other, for as long as somebody listens.
        while started.elapsed() < PATIENCE && slow.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
        started.elapsed()
    });
    let mut client = auth.client();
    assert_eq!(client.request(Method::GET, "/healthz").send().await.status, 200);
    let ended = tokio::task::spawn_blocking(move || ended(silent)).await.unwrap();
    assert!(ended < PATIENCE, "a silent connection stays open");
    let dripped = tokio::task::spawn_blocking(|| dripping.join().unwrap()).await.unwrap();
    assert!(dripped < PATIENCE, "a slow connection stays open");
    assert_eq!(client.request(Method::GET, "/healthz").send().await.status, 200);
}

/// How long the other side keeps a connection open.
fn ended(mut connection: TcpStream) -> Duration {
    let started = Instant::now();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 1024];
    loop {
        match connection.read(&mut buffer) {
            Ok(0) => return started.elapsed(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return PATIENCE;
            }
            Err(_) => return started.elapsed(),
            Ok(_) => {}
        }
    }
}
