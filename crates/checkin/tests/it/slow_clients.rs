//! Clients that take their time, or take none.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use testkit::{Client, Program, until};

use crate::harness::{CHECKIN, COOKIE, Site, at, log_in, memory_kib};

/// Longer than a client may take for its headers or for an answer, on a machine that is busy with
/// other tests.
const PATIENCE: Duration = Duration::from_secs(40);

/// Longer than a request takes that nothing holds up, on such a machine.
const PROMPT: Duration = Duration::from_secs(10);

/// What all unread answers may cost. Usually they cost less than 10 MiB; one that is kept whole is a
/// megabyte and more.
const MEMORY_KIB: u64 = 100 << 10;

/// Longer than a client may take for its headers.
const BEYOND_HEADERS: Duration = Duration::from_secs(12);

const HEALTHZ: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Streams whose clients read nothing: many more than there are readers of an SQLite file.
const UNREAD_STREAMS: usize = 150;

/// Connections that ask for one file after the other and read nothing.
const UNREAD_EXPORTS: usize = 50;

/// A client that reads slowly takes so many bytes a second.
const SLOW_BYTES: usize = 1000;

const DEMO_CHECKINS: usize = 19_735;

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_a_time_limit_and_idle_connections_another() {
    let site = Site::sqlite();
    let (auth, impatient) = (site.auth(&[]), site.auth(&["--keep-alive-timeout", "1s"]));
    let port = auth.port();
    let silent = thread::spawn(move || closed_after(connect(port)));
    let dripping = thread::spawn(move || dripped(connect(port)));
    let dripping_later = thread::spawn(move || {
        let mut connection = connect(port);
        assert!(is_healthy(&mut connection));
        dripped(connection)
    });
    // As a load balancer keeps it.
    let idle = thread::spawn(move || {
        let mut connection = connect(port);
        let first = is_healthy(&mut connection);
        // No less shows that the time limit for headers is not that of idle connections.
        thread::sleep(BEYOND_HEADERS);
        first && is_healthy(&mut connection)
    });
    let half_sent = thread::spawn(move || half_a_body(connect(port)));
    let mut brief = connect(impatient.port());
    assert!(is_healthy(&mut brief));
    let brief = tokio::task::spawn_blocking(move || closed_after(brief)).await.unwrap();
    assert!((Duration::from_millis(900)..Duration::from_secs(9)).contains(&brief), "{brief:?}");

    let mut client = auth.client();
    assert_eq!(client.get("/healthz").await.status, 200);
    tokio::task::spawn_blocking(move || {
        assert!(silent.join().unwrap() < PATIENCE, "a silent connection stays open");
        assert!(dripping.join().unwrap() < PATIENCE, "a slow connection stays open");
        assert!(dripping_later.join().unwrap() < PATIENCE, "a slow second request stays open");
        assert!(idle.join().unwrap(), "an idle connection is closed");
        let answer = half_sent.join().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(head.contains("content-type: application/problem+json"), "{answer}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], 408);
    })
    .await
    .unwrap();
    assert_eq!(client.get("/healthz").await.status, 200);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let site = Site::sqlite();
    let mut auth = site.auth(&["--keep-alive-timeout", "1h"]);
    let mut idle = connect(auth.port());
    assert!(is_healthy(&mut idle));
    let new = connect(auth.port());
    let started = Instant::now();
    assert_eq!(auth.program.stop().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(closed_after(idle) < PATIENCE && closed_after(new) < PATIENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_on_sqlite() {
    unread_answers_hold_up_nobody(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_on_redis() {
    unread_answers_hold_up_nobody(Site::redis()).await;
}

async fn unread_answers_hold_up_nobody(mut site: Site) {
    // glibc keeps what was freed in an arena for each thread, which is more than what is measured here.
    site.variables.push(("MALLOC_ARENA_MAX", "1"));
    let args = ["--duplicate-window", "0", "--checkin-rate", "0"];
    let (program, [(_, auth_url), (_, receiver_url), (_, api_url), _]) = site.up_everywhere(&args);
    let [mut auth, mut receiver, mut api_client] =
        [&auth_url, &receiver_url, &api_url].map(Client::new);
    assert_eq!(log_in(&mut auth).await.status, 200);
    *receiver.jar_mut() = auth.jar().clone();
    *api_client.jar_mut() = auth.jar().clone();
    let api: SocketAddr = api_url.trim_start_matches("http://").parse().unwrap();
    let cookie = format!("{COOKIE}={}", auth.jar().get(COOKIE).unwrap());
    let others = async |receiver: &mut Client, api: &mut Client| {
        let mut slowest = Duration::ZERO;
        for round in 0..5 {
            slowest = slowest.max(prompt("readyz", api.get("/readyz"), 200).await);
            slowest = slowest.max(prompt("user", api.get("/api/user/77"), 200).await);
            slowest = slowest.max(prompt("latest", api.get("/api/checkins/latest"), 200).await);
            let checkin = at(round + 1, 4);
            slowest = slowest.max(prompt("check-in", receiver.post(CHECKIN, &checkin), 202).await);
            let mut visitor = Client::new(&auth_url);
            slowest = slowest.max(prompt("login", log_in(&mut visitor), 200).await);
        }
        slowest
    };
    let before = others(&mut receiver, &mut api_client).await;
    let (memory_before, files_before) = (memory_kib(&program, "VmRSS"), open_files(&program));

    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    let stream = get("/api/checkins/stream?lastEventId=0-0");
    let exports = get("/api/user/77/checkins/export").repeat(100);
    let mut slow = connect_with_small_buffer(api);
    slow.write_all(stream.as_bytes()).unwrap();
    let slow = thread::spawn(move || read_slowly(slow));
    let mut unread: Vec<TcpStream> = (0..UNREAD_STREAMS + UNREAD_EXPORTS)
        .map(|number| {
            let mut connection = connect_with_small_buffer(api);
            let request = if number < UNREAD_STREAMS { &stream } else { &exports };
            connection.write_all(request.as_bytes()).unwrap();
            connection
        })
        .collect();
    let during = others(&mut receiver, &mut api_client).await;
    let memory_during = memory_kib(&program, "VmRSS");

    // All of them are let go by and by, with their connections.
    until("they are let go", async || open_files(&program) <= files_before + UNREAD_STREAMS / 10)
        .await;
    let after = others(&mut receiver, &mut api_client).await;
    let memory_after = memory_kib(&program, "VmRSS");
    eprintln!(
        "{}: slowest of the others {before:?} before, {during:?} during, {after:?} after; memory \
         {memory_before} KiB before, {memory_during} KiB during, {memory_after} KiB after",
        site.store
    );
    let grown = memory_during.max(memory_after).saturating_sub(memory_before);
    assert!(grown < MEMORY_KIB, "{grown} KiB more");
    // A read from a connection that is left would let its answer go on. If the reset is lost, the next bytes to it are
    // answered with another one.
    until("each of them is cut off", async || {
        unread.retain_mut(|connection| connection.write_all(b"\r\n").is_ok());
        unread.is_empty()
    })
    .await;
    // Who reads slowly but steadily is none of them.
    let read = tokio::task::spawn_blocking(|| slow.join().unwrap()).await.unwrap();
    assert_eq!(read, DEMO_CHECKINS);
}

/// Reads so many bytes a second for longer than a client may take nothing, and then all at once up
/// to the last of the demo's check-ins. Answers how many events came.
fn read_slowly(mut connection: TcpStream) -> usize {
    let started = Instant::now();
    let mut text = vec![0; SLOW_BYTES];
    connection.read_exact(&mut text).unwrap();
    while started.elapsed() < Duration::from_secs(20) {
        let mut bytes = [0; SLOW_BYTES];
        connection.read_exact(&mut bytes).unwrap();
        text.extend(bytes);
        // That it takes so long is what makes the client slow.
        thread::sleep(Duration::from_secs(1));
    }
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let lines = BufReader::new(text.as_slice().chain(connection)).lines().map(Result::unwrap);
    lines.filter(|line| line.starts_with("data: ")).take(DEMO_CHECKINS).count()
}

/// How long a request took that must be answered soon, with this status.
async fn prompt(
    what: &str,
    answer: impl Future<Output = testkit::Response>,
    status: u16,
) -> Duration {
    let started = Instant::now();
    let response = answer.await;
    let took = started.elapsed();
    assert_eq!(response.status, status, "{what}: {}", response.text());
    assert!(took < PROMPT, "{what} took {took:?}");
    took
}

fn open_files(program: &Program) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count()
}

fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

fn connect_with_small_buffer(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Sends a request and reads its answer.
fn is_healthy(connection: &mut TcpStream) -> bool {
    let mut answer = Vec::new();
    let mut byte = [0; 1];
    let sent = connection.write_all(HEALTHZ);
    while sent.is_ok() && !answer.ends_with(b"\r\n\r\nOK") {
        match connection.read(&mut byte) {
            Ok(1) => answer.extend(byte),
            _ => return false,
        }
    }
    sent.is_ok()
}

/// How long the other side takes one byte of headers after the other.
fn dripped(mut connection: TcpStream) -> Duration {
    let started = Instant::now();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ").unwrap();
    while started.elapsed() < PATIENCE && connection.write_all(b"x").is_ok() {
        // Slowly enough to be beyond the limit long before the buffers are full.
        thread::sleep(Duration::from_millis(200));
    }
    started.elapsed()
}

/// The answer to a request whose body never ends.
fn half_a_body(mut connection: TcpStream) -> String {
    let head = "POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// How long the other side keeps a connection open.
fn closed_after(mut connection: TcpStream) -> Duration {
    let started = Instant::now();
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
