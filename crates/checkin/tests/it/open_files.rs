//! A service that may open no more files and connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::{Program, Stream};

use crate::chaos::processes::NoFiles;
use crate::harness::{PATIENCE, Site};
use crate::metrics::value;

const WARNING: &str = "cannot accept a connection";

/// Many times the pause after a connection that could not be accepted.
const MANY_ATTEMPTS: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn a_service_without_file_descriptors_waits_for_them() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let mut al = auth.logged_in().await;
    let limit = NoFiles::of(auth.program.pid());
    let mut waiting = TcpStream::connect(("127.0.0.1", auth.port())).unwrap();
    waiting.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    auth.program.wait_for_line(WARNING, PATIENCE);
    let (begin, before) = (Instant::now(), processor_time(&auth.program));
    // What it does meanwhile is what this test is about.
    std::thread::sleep(MANY_ATTEMPTS);
    let spent = processor_time(&auth.program) - before;
    assert!(spent < begin.elapsed() / 3, "{spent:?} of processor time");
    let log = auth.program.text(Stream::Stdout);
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    assert_eq!(al.get("/session").await.status, 200);
    let metrics = al.get("/metrics").await;
    for name in ["open", "max"] {
        assert_eq!(value(&metrics, &format!("process_{name}_fds{{")), 3.0);
    }
    limit.end();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Returns the processor time that a program has used, to a hundredth of a second.
fn processor_time(program: &Program) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap();
    // The fields after the name, which may contain spaces.
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum::<u64>();
    Duration::from_millis(ticks * 10)
}
