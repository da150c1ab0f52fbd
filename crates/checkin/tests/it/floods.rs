//! Floods by clients without a session: what they take of the memory, and whether others are served
//! meanwhile. `make floods` sends as many as a process lets in, and prints a table.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use testkit::{Client, Program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{COOKIE, Service, Site, memory_kib};

/// The clients of a flood, unless `FLOOD` is another number.
const CLIENTS: usize = 300;

/// How much any flood may take.
const MEMORY_KIB: u64 = 150 << 10;

/// How much an event stream may take beside that.
const STREAM_KIB: u64 = 20;

/// The requests of others in each phase.
const REQUESTS: usize = 40;

/// The number of connections that are opened at the same time, so that they fit into the queue of the port.
const AT_ONCE: usize = 64;

/// What each client of a flood does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flood {
    /// It connects and sends nothing.
    Silence,
    /// It sends 31 KiB of headers that do not end.
    Headers,
    /// It sends half of the body of a login.
    Bodies,
    /// It asks for 68 KB, again and again, and reads nothing.
    Unread,
    /// It sends 8 KiB of unknown parameters, again and again.
    Parameters,
    /// It tries passwords, one after the other.
    Logins,
    /// It opens an event stream of a session, and reads nothing.
    Streams,
}

const FLOODS: [Flood; 7] = [
    Flood::Silence,
    Flood::Headers,
    Flood::Bodies,
    Flood::Unread,
    Flood::Parameters,
    Flood::Logins,
    Flood::Streams,
];

impl Flood {
    /// Returns what a client sends, and whether it then reads and sends it again.
    fn request(self, cookie: &str) -> (String, bool) {
        let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n");
        let login = "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        let guess = r#"{"email":"nobody@example.com","password":"not the one"}"#;
        match self {
            Self::Silence => (String::new(), false),
            Self::Headers => (format!("{}x: {}", get("/healthz"), "x".repeat(31 << 10)), false),
            Self::Bodies => {
                (format!("{login}content-length: 4096\r\n\r\n{}", "x".repeat(4000)), false)
            }
            Self::Unread => (format!("{}\r\n", get("/openapi.json")).repeat(20), false),
            Self::Parameters => {
                let unknown: String = (0..1500).map(|number| format!("u{number}=1&")).collect();
                (format!("{}\r\n", get(&format!("/api/location/1?{}", &unknown[..8000]))), true)
            }
            Self::Logins => {
                (format!("{login}content-length: {}\r\n\r\n{guess}", guess.len()), true)
            }
            Self::Streams => {
                (format!("{}cookie: {cookie}\r\n\r\n", get("/api/checkins/stream")), false)
            }
        }
    }
}

/// Where the clients of a flood are.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// All have one address, to which the limits for an address apply.
    OneAddress,
    /// Each has an address of its own, so that only the limits of the process apply.
    ManyAddresses,
}

impl Origin {
    fn address(self, client: usize) -> Ipv4Addr {
        let number = match self {
            Self::OneAddress => 0,
            Self::ManyAddresses => u32::try_from(client).unwrap(),
        };
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
    }
}

/// A client of a flood, until it is dropped or its connection ends.
async fn attack(
    from: Ipv4Addr,
    address: SocketAddr,
    request: String,
    is_repeated: bool,
) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((from, 0).into()).ok()?;
    let mut connection = socket.connect(address).await.ok()?;
    loop {
        connection.write_all(request.as_bytes()).await.ok()?;
        if !is_repeated {
            return Some(connection);
        }
        let read = connection.read(&mut [0; 4096]).await.ok()?;
        if read == 0 {
            return None;
        }
    }
}

/// What others saw, and what the process took meanwhile.
#[derive(Debug, Default)]
struct Phase {
    times: Vec<Duration>,
    memory_kib: u64,
}

impl Phase {
    /// Sends a request of somebody who is logged in.
    async fn ask(&mut self, client: &mut Client, program: &Program) {
        let started = Instant::now();
        let response = client.get("/api/user/77").await;
        self.times.push(started.elapsed());
        assert_eq!(response.status, 200, "{}", response.text());
        self.memory_kib = self.memory_kib.max(memory_kib(program, "VmRSS"));
    }

    async fn of(client: &mut Client, program: &Program) -> Self {
        let mut phase = Self::default();
        for _ in 0..REQUESTS {
            phase.ask(client, program).await;
        }
        phase
    }

    /// The median and the longest time, in milliseconds.
    fn times(&mut self) -> String {
        self.times.sort();
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        format!(
            "{:.1} / {:.1}",
            ms(&self.times[self.times.len() / 2]),
            ms(&self.times[self.times.len() - 1])
        )
    }
}

/// Floods a process, and returns a row of the table.
async fn flood(flood: Flood, origin: Origin, clients: usize) -> String {
    let site = Site::sqlite();
    // The streams have one session, which may have 20 of them otherwise.
    let streams = ["--max-streams-per-session", "10000", "--unlimited-networks", "127.0.0.1"];
    let console: Service = site.console(&streams);
    let mut al = console.logged_in().await;
    let cookie = format!("{COOKIE}={}", al.jar().get(COOKIE).unwrap());
    let address = SocketAddr::from(([127, 0, 0, 1], console.port()));
    let program = &console.program;
    let mut before = Phase::of(&mut al, program).await;

    let (request, is_repeated) = flood.request(&cookie);
    // A task for each client, so that nothing that the test waits for holds them up.
    let start = |number| {
        let from = origin.address(number);
        let client = attack(from, address, request.clone(), is_repeated);
        AbortOnDropHandle::new(tokio::spawn(client))
    };
    let mut during = Phase::default();
    let mut attackers = Vec::new();
    while attackers.len() < clients {
        let next = attackers.len()..clients.min(attackers.len() + AT_ONCE);
        attackers.extend(next.map(start));
        during.ask(&mut al, program).await;
    }
    for _ in 0..REQUESTS {
        during.ask(&mut al, program).await;
    }
    let held = match is_repeated {
        true => clients,
        false => join_all(attackers.iter_mut()).await.into_iter().flatten().flatten().count(),
    };
    during.ask(&mut al, program).await;
    drop(attackers);
    let mut after = Phase::of(&mut al, program).await;

    let grown = during.memory_kib.max(after.memory_kib).saturating_sub(before.memory_kib);
    let streams = if flood == Flood::Streams { held as u64 * STREAM_KIB } else { 0 };
    let row = format!(
        "| {flood:?} | {origin:?} | {held} | {} | {} | {} | {} | {} | {} |",
        before.memory_kib >> 10,
        during.memory_kib >> 10,
        after.memory_kib >> 10,
        before.times(),
        during.times(),
        after.times(),
    );
    assert!(grown < MEMORY_KIB + streams, "{grown} KiB more: {row}");
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_take_little_memory_and_keep_nobody_out() {
    // The first three cost little processor time, so that they run among the other tests.
    let (floods, clients) = match std::env::var("FLOOD") {
        Ok(number) => (&FLOODS[..], number.parse().unwrap()),
        Err(_) => (&FLOODS[..3], CLIENTS),
    };
    // Both ends of the connections are on this machine.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    println!(
        "| flood | from | clients | MiB before | during | after | ms before | during | after |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for each in floods {
        for origin in [Origin::OneAddress, Origin::ManyAddresses] {
            println!("{}", flood(*each, origin, clients).await);
        }
    }
}
