//! Commands, scripts and their errors.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use redis_link::{Client, Error, ErrorKind, Observed, Obstacle, Reply, Script, Timeouts};
use socket2::{Domain, Socket, Type};
use testkit::{PATIENCE, Proxy, RedisCluster, RedisServer};

/// Returns a client with long time-outs: these tests check replies, not the speed of a busy
/// machine.
pub(crate) fn patient(url: &str) -> Client {
    let patience = Duration::from_secs(10);
    Client::with_timeouts(url, Timeouts { connect: patience, response: patience }).unwrap()
}

#[tokio::test]
async fn commands_pipelines_and_scripts_on_one_server_and_on_a_cluster() {
    let (server, cluster) = (RedisServer::start(), RedisCluster::start(1));
    for url in [server.url(), cluster.url()] {
        let client = patient(&url);
        client.call(&[b"SET", b"{a}key", b"value"]).await.unwrap();
        let replies = client.pipeline(&[&[b"GET", b"{a}key"], &[b"DEL", b"{a}key"]]).await.unwrap();
        assert_eq!(replies, [Reply::Bytes("value".into()), Reply::Int(1)]);
        let script = Script::new("return {KEYS[1], ARGV[1]}");
        for _ in 0..2 {
            let answer = client.run(&script, &[b"key"], &[b"argument"]).await.unwrap();
            let expected = ["key", "argument"].map(|text| Reply::Bytes(text.into()));
            assert_eq!(answer, Reply::Array(expected.to_vec()));
        }
        assert_eq!(client.is_cluster(), url.starts_with("redis-cluster"));
    }
}

/// On a slow network each time-out costs the connection.
#[tokio::test]
async fn a_command_and_the_connection_that_it_waits_for_have_the_time_of_a_command() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.delay(2000..=2000, testkit::random());
    let timeouts = Timeouts { connect: PATIENCE, response: Duration::from_secs(6) };
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let client = Client::with_timeouts(&url, timeouts).unwrap();
    let began = Instant::now();
    let error = client.call(&[b"GET", b"key"]).await.unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.obstacle(), Some(Obstacle::TimedOut));
    assert!(took < Duration::from_millis(7800), "{took:?}");
    // The connection is there for the next one.
    assert_eq!(client.call(&[b"GET", b"key"]).await.unwrap(), Reply::Nil);
}

/// The server does not know the script, and does not get it in time.
#[tokio::test]
async fn a_script_that_is_sent_again_has_the_time_of_a_command() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let timeouts = Timeouts { connect: PATIENCE, response: Duration::from_secs(8) };
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let client = Client::with_timeouts(&url, timeouts).unwrap();
    let replicated = client.replicated(1, Duration::from_secs(1)).unwrap();
    let port = server.port().to_string();
    let _replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let write: &[&[&[u8]]] = &[&[b"SET", b"key", b"value"]];
    testkit::until("the replica follows", async || replicated.pipeline(write).await.is_ok()).await;
    client.call(&[b"PING"]).await.unwrap();
    proxy.delay(1500..=1500, testkit::random());
    let sent = async |code: &'static str| {
        let script = Script::new(code);
        match code {
            "return 1" => client.run(&script, &[b"key"], &[]).await,
            _ => replicated.run(&script, &[b"key"], &[]).await,
        }
    };
    for code in ["return 1", "return 2"] {
        proxy.freeze_before(b"\r\nEVAL\r\n");
        let began = Instant::now();
        let error = sent(code).await.unwrap_err();
        let took = began.elapsed();
        assert!(proxy.is_frozen());
        assert_eq!(error.obstacle(), Some(Obstacle::TimedOut));
        assert!(took < Duration::from_secs(10), "{took:?}");
        proxy.thaw();
    }
}

/// Everything that a server tells about itself takes longer than a command may.
#[tokio::test]
async fn a_server_is_checked_over_a_slow_network() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.narrow(12_000);
    let client = Client::open(&format!("redis://127.0.0.1:{}", proxy.port())).unwrap();
    testkit::until("it is checked", async || client.check().await.is_ok()).await;
}

/// The code of all of them would be too much for a slow network.
#[tokio::test]
async fn of_many_runs_of_a_new_script_one_sends_its_code() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    let replicated = client.replicated(0, Duration::ZERO).unwrap();
    let script = Arc::new(Script::new("return ARGV[1]"));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (client, replicated, script) = (client.clone(), replicated.clone(), script.clone());
        tasks.spawn(async move {
            let own = n.to_string();
            let arguments: &[&[u8]] = &[own.as_bytes()];
            let reply = match n % 2 {
                0 => client.run(&script, &[b"key"], arguments).await,
                _ => replicated.run(&script, &[b"key"], arguments).await,
            };
            assert_eq!(reply.unwrap(), Reply::Bytes(own.into()));
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let Reply::Bytes(counts) = client.call(&[b"INFO", b"commandstats"]).await.unwrap() else {
        panic!("a text");
    };
    let counts = String::from_utf8_lossy(&counts);
    assert!(counts.contains("cmdstat_eval:calls=1,"), "{counts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_of_the_same_moment_are_sent_together_and_each_gets_its_own_reply() {
    // On the worker, which runs a task that was just woken before the others.
    tokio::spawn(send_300_requests()).await.unwrap();
}

async fn send_300_requests() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    client.call(&[b"SET", b"key", b"value"]).await.unwrap();
    let before = reads(&client).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..300 {
        let client = client.clone();
        tasks.spawn(async move {
            let text = n.to_string();
            let [own, echo] = [Reply::Bytes(text.clone().into()), Reply::Bytes("echo".into())];
            let echo_own: &[&[u8]] = &[b"ECHO", text.as_bytes()];
            match n % 3 {
                0 => assert_eq!(client.call(echo_own).await.unwrap(), own),
                1 => {
                    let replies = client.pipeline(&[echo_own, &[b"ECHO", b"echo"]]).await;
                    assert_eq!(replies.unwrap(), [own, echo]);
                }
                _ => {
                    let error = client.call(&[b"LPUSH", b"key", b"x"]).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::WrongType);
                }
            }
        });
    }
    // One that is dropped takes nobody's reply.
    let dropped = client.call(&[b"ECHO", b"dropped"]);
    drop(tokio::time::timeout(Duration::ZERO, dropped).await);
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert!(reads(&client).await - before < 30, "300 requests were sent one by one");
}

/// Returns how often the server has read from a connection.
#[tokio::test]
async fn a_request_whose_future_is_left_alone_delays_no_other() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    client.call(&[b"PING"]).await.unwrap();
    let words: &[&[u8]] = &[b"ECHO", b"left alone"];
    let mut left_alone = std::pin::pin!(client.call(words));
    let begun = std::future::poll_fn(|context| Poll::Ready(left_alone.as_mut().poll(context)));
    assert!(begun.await.is_pending());
    for text in ["one", "two"] {
        let reply = client.call(&[b"ECHO", text.as_bytes()]).await.unwrap();
        assert_eq!(reply, Reply::Bytes(text.into()));
    }
    assert_eq!(left_alone.await.unwrap(), Reply::Bytes("left alone".into()));
}

async fn reads(client: &Client) -> u64 {
    let stats = client.call(&[b"INFO", b"stats"]).await.unwrap().into_bytes().unwrap();
    let stats = String::from_utf8(stats.to_vec()).unwrap();
    let reads = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    reads.unwrap().parse().unwrap()
}

#[tokio::test]
async fn errors_say_what_the_caller_can_do() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    client.call(&[b"SET", b"key", b"value"]).await.unwrap();
    let wrong_type = client.call(&[b"LPUSH", b"key", b"x"]).await.unwrap_err();
    assert_eq!(wrong_type.kind(), ErrorKind::WrongType);
    let unknown = client.call(&[b"NO-SUCH-COMMAND"]).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.is_logged()), (ErrorKind::Server, false));

    drop(server);
    let unavailable = client.call(&[b"PING"]).await.unwrap_err();
    assert_eq!((unavailable.kind(), unavailable.is_logged()), (ErrorKind::Unavailable, true));
    assert!(!unavailable.obstacle().unwrap().is_lasting());
    assert_eq!(unavailable.to_string(), "Redis is not available");
    // The obstacle is found through an error that wraps it.
    let wrapped = std::io::Error::other(Wrapped(unavailable));
    assert!(Obstacle::of(&wrapped).is_some());
}

#[tokio::test]
async fn denials_are_logged_by_the_caller_unless_the_program_does() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    client.call(&[b"ACL", b"SETUSER", b"default", b"-get"]).await.unwrap();
    let in_script = Script::new("return redis.call('GET', KEYS[1])");
    let dedicated = client.dedicated().unwrap();
    let are_logged = async || {
        let denied =
            [client.call(&[b"GET", b"key"]).await, dedicated.run(&in_script, &[b"key"], &[]).await];
        denied.map(|denied| {
            let denied = denied.unwrap_err();
            assert_eq!(denied.obstacle(), Some(Obstacle::NoPermission));
            denied.is_logged()
        })
    };
    assert_eq!(are_logged().await, [false, false]);
    client.leave_denials_to_observer();
    assert_eq!(are_logged().await, [true, true]);
    let unknown = client.call(&[b"NO-SUCH-COMMAND"]).await.unwrap_err();
    assert!(!unknown.is_logged());
}

/// Redis 6.2 names the place in the script before the reason.
#[tokio::test]
async fn a_write_that_is_refused_in_a_script_has_the_reason_of_any_write() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    let set = async |setting: &str, value: &str| {
        client.call(&[b"CONFIG", b"SET", setting.as_bytes(), value.as_bytes()]).await.unwrap();
    };
    client.call(&[b"LPUSH", b"list", b"x"]).await.unwrap();
    let write = Script::new("return redis.call('APPEND', KEYS[1], 'x')");
    let caught = Script::new(
        "local is_fine, error = pcall(function() redis.call('APPEND', KEYS[1], 'x') end) \
         return {err = string.match(error, '^%u+ .*') or 'ERR ' .. error}",
    );
    let returned = Script::new("return redis.pcall('APPEND', KEYS[1], 'x')");
    for script in [&write, &caught, &returned] {
        let refused = async |key: &[u8]| client.run(script, &[key], &[]).await.unwrap_err();
        assert_eq!(refused(b"list").await.kind(), ErrorKind::WrongType);
        for (setting, wrong, right, obstacle) in [
            ("maxmemory", "1", "0", Obstacle::MemoryFull),
            ("min-replicas-to-write", "1", "0", Obstacle::WritesStopped),
        ] {
            set(setting, wrong).await;
            let error = refused(b"key").await;
            let found = (error.kind(), error.obstacle());
            assert_eq!(found, (ErrorKind::Unavailable, Some(obstacle)), "{error:?}");
            set(setting, right).await;
        }
        client.call(&[b"REPLICAOF", b"127.0.0.1", b"1"]).await.unwrap();
        let error = refused(b"key").await;
        let found = (error.kind(), error.obstacle());
        assert_eq!(found, (ErrorKind::Unavailable, Some(Obstacle::ReadOnly)), "{error:?}");
        client.call(&[b"REPLICAOF", b"NO", b"ONE"]).await.unwrap();
    }
}

#[derive(Debug)]
struct Wrapped(Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wrapped")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn a_scan_visits_all_servers() {
    let (server, cluster) = (RedisServer::start(), RedisCluster::start(3));
    for url in [server.url(), cluster.url()] {
        a_scan_finds_all_keys(&patient(&url)).await;
    }
}

/// Scans for a prefix that contains the special characters of patterns.
pub(crate) async fn a_scan_finds_all_keys(client: &Client) {
    for number in 0..60 {
        client.call(&[b"SET", format!("a[1]*:{number}").as_bytes(), b""]).await.unwrap();
        client.call(&[b"SET", format!("a1:{number}").as_bytes(), b""]).await.unwrap();
    }
    let pattern = format!("{}:*", redis_link::glob_escaped("a[1]*"));
    let mut scan = client.scan(&pattern, 10).await.unwrap();
    let mut found = std::collections::BTreeSet::new();
    while let Some(keys) = scan.next().await.unwrap() {
        found.extend(keys);
    }
    assert_eq!(found.len(), 60);
    assert!(found.iter().all(|key| key.starts_with(b"a[1]*:")));
}

#[tokio::test]
async fn requests_and_connections_are_observed() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    client.observe(move |observed| {
        let line = match observed {
            Observed::Request { operation, commands, failure, .. } => {
                format!("{operation} {commands} {failure:?}")
            }
            other => format!("{other:?}"),
        };
        sees.lock().unwrap().push(line);
    });
    client.observe(|_| panic!("only the first call has an effect"));
    client.call(&[b"SET", b"key", b"value"]).await.unwrap();
    client.pipeline(&[&[b"GET", b"key"], &[b"TTL", b"key"]]).await.unwrap();
    client.run(&Script::named("one", "return 1"), &[b"key"], &[]).await.unwrap();
    client.call(&[b"INCR", b"key"]).await.unwrap_err();
    client.dedicated().unwrap().call(&[b"PING"]).await.unwrap();
    let expected = [
        "Connected",
        "SET 1 None",
        "pipeline 2 None",
        "one 1 None",
        "INCR 1 Some(Refused)",
        "Connected",
        "PING 1 None",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// The kernel of the client keeps what the network does not take, also when the client has given the command up and closed
/// its connection.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_command_that_the_network_holds_up_for_long_never_arrives() {
    let server = RedisServer::start();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // So the rest of the command stays with the client.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let listener = TcpListener::from(socket);
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let is_held_up = Arc::new((Mutex::new(false), Condvar::new()));
    let (port, held_up) = (server.port(), Arc::clone(&is_held_up));
    let network = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut redis = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut replies, mut back) = (redis.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut replies, &mut back));
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            drop(held_up.1.wait_while(held_up.0.lock().unwrap(), |is_held_up| *is_held_up));
            redis.write_all(&buffer[..length]).unwrap();
        }
    });
    let timeouts = Timeouts { connect: PATIENCE, response: Duration::from_secs(2) };
    let client = Client::with_timeouts(&url, timeouts).unwrap();
    client.call(&[b"PING"]).await.unwrap();
    *is_held_up.0.lock().unwrap() = true;
    let error = client.call(&[b"SET", b"key", &[b'x'; 100_000]]).await.unwrap_err();
    assert_eq!(error.obstacle(), Some(Obstacle::TimedOut));
    drop(client);
    // The time of the kernel.
    tokio::time::sleep(Duration::from_secs(8)).await;
    *is_held_up.0.lock().unwrap() = false;
    is_held_up.1.notify_all();
    tokio::task::spawn_blocking(|| network.join().unwrap()).await.unwrap();
    assert_eq!(patient(&server.url()).call(&[b"EXISTS", b"key"]).await.unwrap(), Reply::Int(0));
}
