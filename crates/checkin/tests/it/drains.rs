//! Services that are told to stop, and go on for a while.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use testkit::{Client, Program, Signal, wait_until};

use crate::harness::{COOKIE, PATIENCE, Site, expect_plain, expect_problem, log_in};

/// Longer than a test.
const LONG: [&str; 2] = ["--drain", "1h"];

/// A connection that stays open.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Connection(BufReader::new(stream))
    }

    /// The head of the answer, in lower case.
    fn get(&mut self, path: &str, more: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        head
    }

    /// What comes until the service closes the connection.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn says_close(head: &str) -> bool {
    head.contains("\r\nconnection: close\r\n")
}

/// A service that drains: it has said so at `/readyz`.
async fn drains(program: &Program, clients: &[Client]) {
    program.signal(Signal::SIGTERM);
    program.wait_for_line("Draining for 1h.", PATIENCE);
    for client in clients {
        let ready = client.clone().get("/readyz").await;
        expect_problem(&ready, 503, &[]);
        assert!(ready.text().contains("the service is stopping"), "{}", ready.text());
        assert!(ready.header("retry-after").is_some());
        let alive = client.clone().get("/healthz").await;
        expect_plain(&alive, 200, "OK");
        assert_eq!(alive.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_service_goes_on_while_it_drains() {
    let site = Site::sqlite();
    let mut auth = site.auth(&LONG);
    let (mut idle, mut busy) = (Connection::open(auth.port()), Connection::open(auth.port()));
    let new = Connection::open(auth.port());
    for connection in [&mut idle, &mut busy] {
        assert!(!says_close(&connection.get("/readyz", "")));
    }
    drains(&auth.program, &[auth.client()]).await;
    // It was idle, and is closed when it is used.
    for mut connection in [busy, new, Connection::open(auth.port())] {
        let head = connection.get("/healthz", "");
        assert!(head.starts_with("http/1.1 200 ") && says_close(&head), "{head}");
        assert_eq!(connection.rest(), "");
    }
    let login = log_in(&mut auth.client()).await;
    expect_plain(&login, 200, "OK");
    assert_eq!(login.header("connection"), Some("close"));
    assert!(auth.program.is_running());
    // The other one is as it was.
    assert!(says_close(&idle.get("/healthz", "")));
    // A second signal ends it at once.
    auth.program.signal(Signal::SIGINT);
    assert_eq!(auth.program.wait(PATIENCE).code(), Some(130));

    // Without the setting, everything ends at the first signal.
    let mut other = site.auth(&[]);
    let mut idle = Connection::open(other.port());
    assert!(!says_close(&idle.get("/readyz", "")));
    assert_eq!(other.program.stop().code(), Some(0));
    assert_eq!(idle.rest(), "");
}

#[tokio::test]
async fn every_port_drains() {
    let site = Site::sqlite();
    let (up, services) = site.up_everywhere(&LONG);
    drains(&up, &services.map(|(_, url)| Client::new(url))).await;
    drop(up);
    // A processor has only its probes to drain. Others take over its partitions at once.
    let mut processor = site.processor(&["--listen", "127.0.0.1:0", LONG[0], LONG[1]]);
    let line = processor.wait_for_line("listening on port", PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    let holds = |count: u8| {
        let line = format!("checkin_partitions{{service=\"processor\"}} {count}\n");
        testkit::until("it holds its partitions", {
            let client = client.clone();
            async move || client.clone().get("/metrics").await.text().contains(&line)
        })
    };
    holds(1).await;
    drains(&processor, std::slice::from_ref(&client)).await;
    holds(0).await;
    assert!(processor.is_running());
    let mut without = site.processor(&LONG);
    assert_eq!(without.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_lasts_as_long_as_the_drain() {
    let site = Site::sqlite();
    let al = site.auth(&[]).logged_in().await;
    let mut api = site.api(&["--drain", "1s"]);
    let cookie = format!("cookie: {COOKIE}={}\r\n", al.jar().get(COOKIE).unwrap());
    let mut before = Connection::open(api.port());
    assert!(!says_close(&before.get("/api/checkins/stream", &cookie)));
    let begun = Instant::now();
    api.program.signal(Signal::SIGTERM);
    api.program.wait_for_line("Draining for 1s.", PATIENCE);
    let mut meanwhile = Connection::open(api.port());
    let head = meanwhile.get("/api/checkins/stream", &cookie);
    assert!(head.starts_with("http/1.1 200 ") && says_close(&head), "{head}");
    for stream in [before, meanwhile] {
        // Its last chunk, so that a proxy knows that it is whole.
        assert!(stream.rest().ends_with("\r\n0\r\n\r\n"));
    }
    assert_eq!(api.program.wait(PATIENCE).code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_signal_during_the_start_is_no_crash() {
    let site = Site::empty_sqlite();
    // Nobody answers here, and the service would wait for longer than the test.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("redis://{}", silent.local_addr().unwrap());
    let secret = "a secret of more than thirty-two bytes";
    let mut auth = site
        .start("auth", &["--store", &store, "--session-secret", secret, "--store-timeout", "10m"]);
    let status = format!("/proc/{}/status", auth.pid());
    wait_until("it handles SIGTERM", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        caught & (1 << (Signal::SIGTERM as u32 - 1)) != 0
    });
    assert_eq!(auth.stop().code(), Some(0));
}
