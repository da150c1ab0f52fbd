//! Services without their store: at the start, and later. One line when an outage begins, and one
//! when it is over.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use testkit::{
    Client, Program, Proxy, RedisCluster, RedisServer, Sentinel, Stream, free_port, wait_until,
};

use crate::harness::{
    COOKIE, PATIENCE, SECRET, STORE_TIMEOUT, Site, at, checkin, expect_plain, expect_problem,
    log_in, retry_after, until,
};

const AWAY: [&str; 2] = ["WARN", "the store is unavailable"];
const BACK: [&str; 2] = ["INFO", "the store is available"];
const DEMO_CHECKINS: u64 = 19_735;

#[track_caller]
fn logged(program: &Program, words: &[&str]) -> usize {
    let log = program.text(Stream::Stdout);
    log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// One outage was logged, and nothing else was wrong.
#[track_caller]
fn one_outage(program: &Program) {
    let log = program.text(Stream::Stdout);
    let wrong = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert_eq!((logged(program, &AWAY), logged(program, &BACK), wrong), (1, 1, 1), "{log}");
    assert_eq!(program.text(Stream::Stderr), "");
}

async fn is_unready(client: &Client, reason: &str) {
    let ready = client.clone().get("/readyz").await;
    expect_problem(&ready, 503, &[]);
    assert!(retry_after(&ready) >= 1);
    let problem: Value = ready.json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(reason) && !detail.contains("127.0.0.1"), "{detail}");
}

async fn is_ready(client: &Client) {
    let get = async || client.clone().get("/readyz").await;
    until("/readyz", get, |answer| answer.status == 200).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn services_start_before_their_redis() {
    let mut site = Site::lasting_redis();
    site.server_mut().kill();
    let (auth, api, receiver) = (site.auth(&[]), site.api(&[]), site.receiver(&[]));
    let processor = site.processor(&["--listen", "127.0.0.1:0"]);
    let line = processor.wait_for_line("listening on port", PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let probes = Client::new(format!("http://127.0.0.1:{port}"));
    let clients = [auth.client(), api.client(), receiver.client(), probes];
    for client in &clients {
        is_unready(client, "the connection was refused").await;
        expect_plain(&client.clone().get("/healthz").await, 200, "OK");
    }
    for _ in 0..3 {
        for refused in [
            log_in(&mut auth.client()).await,
            receiver.client().post("/api/checkin", &at(1, 1)).await,
            api.client().get("/api/location/1").await,
        ] {
            expect_problem(&refused, 503, &[]);
            assert!(retry_after(&refused) >= 1);
        }
    }
    site.server_mut().restart();
    for client in &clients {
        is_ready(client).await;
    }
    let al = auth.logged_in().await;
    assert_eq!(receiver.client_like(&al).post("/api/checkin", &at(1, 1)).await.status, 202);
    for program in [&auth.program, &api.program, &receiver.program, &processor] {
        program.wait_for_line(BACK[1], PATIENCE);
        one_outage(program);
    }
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn up_loads_its_data_when_redis_comes() {
    let mut site = Site::on(RedisServer::start_with(&["--appendonly", "yes"]));
    site.server_mut().kill();
    let (up, auth, _) = site.up(&[]);
    is_unready(&auth, "refused").await;
    assert_eq!(logged(&up, &["demo login"]), 0);
    site.server_mut().restart();
    up.wait_for_line("demo login", PATIENCE);
    expect_plain(&log_in(&mut auth.clone()).await, 200, "OK");
    one_outage(&up);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_outage_interrupts_the_loading_of_the_data_and_does_not_end_it() {
    let of_all: Vec<(String, redis::Value)> =
        Site::redis().redis_cli(&["XRANGE", "ncc:checkins", "-", "+"]);
    let site = Site::empty_redis().without_logins();
    let proxy = Proxy::start(site.server().port());
    // Some of the check-ins are there, and thousands are not.
    let (id, _) = &of_all[of_all.len() / 2];
    proxy.freeze_before(id.as_bytes());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let (up, auth, _) = site.up(&["--store", &store, "--store-timeout", STORE_TIMEOUT]);
    up.wait_for_line(AWAY[1], PATIENCE);
    assert!(proxy.is_frozen());
    proxy.thaw();
    up.wait_for_line("demo login", PATIENCE);
    let text = up.text(Stream::Stdout);
    assert!(text.contains("not finished"), "the loading was not interrupted: {text}");
    assert_eq!(site.redis_cli::<u64>(&["XLEN", "ncc:checkins"]), DEMO_CHECKINS, "{text}");
    expect_plain(&log_in(&mut auth.clone()).await, 200, "OK");
    up.wait_for_line(BACK[1], PATIENCE);
    one_outage(&up);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_outage_is_two_lines() {
    let mut site = Site::lasting_redis();
    let (up, auth, receiver) = site.up(&[]);
    let mut al = auth.clone();
    expect_plain(&log_in(&mut al).await, 200, "OK");
    site.server_mut().kill();
    // The first reason is that the connection was closed.
    let get = async || receiver.clone().get("/readyz").await;
    until("refused connections", get, |answer| answer.text().contains("refused")).await;
    for _ in 0..10 {
        expect_problem(&al.get("/session").await, 503, &[]);
        expect_problem(&log_in(&mut auth.clone()).await, 503, &[]);
        is_unready(&receiver, "refused").await;
    }
    site.server_mut().restart();
    is_ready(&receiver).await;
    up.wait_for_line(BACK[1], PATIENCE);
    assert_eq!(al.get("/session").await.status, 200);
    one_outage(&up);

    site.server().pause();
    for _ in 0..2 {
        expect_problem(&al.get("/session").await, 503, &[]);
    }
    site.server().resume();
    is_ready(&receiver).await;
}

/// As it is on a connection with little bandwidth, on which each command takes almost as long as it may.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_check_in_waits_no_longer_than_a_command_of_it_may_while_commands_time_out() {
    let site = Site::redis();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let limit = Duration::from_secs(6);
    let receiver = site.receiver(&["--no-auth", "--store", &store, "--store-timeout", "6s"]);
    is_ready(&receiver.client()).await;
    // A command takes 3.6 s, and a check-in several commands.
    proxy.delay(1800..=1800, testkit::random());
    let [first, second] = [1, 2].map(async |user| {
        let began = Instant::now();
        let body = json!({"userId": user, "locationId": 1, "starRating": 3});
        let answer = receiver.client().post("/api/checkin", &body).await;
        (answer, began, Instant::now())
    });
    let later = async |after: u64| tokio::time::sleep(Duration::from_millis(after)).await;
    let second = async {
        later(1600).await;
        second.await
    };
    let freeze = async {
        // The first command of the first check-in is answered, and that of the second is not.
        later(4800).await;
        proxy.freeze();
    };
    let (first, second, ()) = tokio::join!(first, second, freeze);
    for (answer, began, ended) in [&first, &second] {
        expect_problem(answer, 503, &[]);
        assert!(retry_after(answer) >= 1);
        assert!(*ended - *began >= limit, "{:?}", *ended - *began);
    }
    // The time-out of the second one ends both. The next command of the first one has two seconds more.
    let later = first.2.saturating_duration_since(second.2);
    assert!(later < Duration::from_secs(1), "{later:?}");
    proxy.thaw();
}

/// Each of the commands of a check-in may take as long as a command may.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_check_in_may_take_longer_than_a_command_while_none_times_out() {
    let site = Site::redis();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let receiver = site.receiver(&["--no-auth", "--store", &store, "--store-timeout", "4s"]);
    is_ready(&receiver.client()).await;
    proxy.delay(700..=700, testkit::random());
    let body = json!({"userId": 1, "locationId": 1, "starRating": 3});
    let began = Instant::now();
    assert_eq!(receiver.client().post("/api/checkin", &body).await.status, 202);
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
}

/// An attempt that has been counted cannot be given back.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_outage_during_a_login_is_logged_once() {
    let site = Site::redis();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let auth = site.auth(&["--store", &store, "--store-timeout", STORE_TIMEOUT]);
    is_ready(&auth.client()).await;
    proxy.freeze_before(b"\r\nncc:users:email\r\n");
    expect_problem(&log_in(&mut auth.client()).await, 503, &[]);
    assert!(proxy.is_frozen());
    proxy.thaw();
    auth.program.wait_for_line(BACK[1], PATIENCE);
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
    one_outage(&auth.program);
}

/// The account is read once more when the session of a login is stored.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_login_whose_account_cannot_be_read_again_leaves_no_session() {
    let site = Site::redis();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let auth = site.auth(&["--store", &store, "--store-timeout", "2s"]);
    is_ready(&auth.client()).await;
    let epoch = "{ncc:user:77}:epoch";
    let log_in_while = async |stored: &dyn Fn()| {
        let mut client = auth.client();
        proxy.freeze_before(b"\"user\":\"");
        let meanwhile = async {
            testkit::until("the session is to be stored", async || proxy.is_frozen()).await;
            stored();
            proxy.thaw();
        };
        let (answer, ()) = tokio::join!(log_in(&mut client), meanwhile);
        assert_eq!(client.jar().get(COOKIE), None);
        answer
    };
    let unreadable = || site.redis_cli::<()>(&["SET", epoch, "no number"]);
    expect_problem(&log_in_while(&unreadable).await, 503, &[]);
    assert_eq!(site.redis_cli::<Vec<String>>(&["KEYS", "ncc:session:*"]), [""; 0]);
    site.redis_cli::<()>(&["DEL", epoch]);
    // Nor can the session be ended.
    let unreachable = || proxy.freeze_before(epoch.as_bytes());
    expect_problem(&log_in_while(&unreachable).await, 503, &[]);
    proxy.thaw();
}

#[test]
fn what_turns_out_to_stay_wrong_ends_a_service() {
    let site = Site::empty_sqlite();
    let port = free_port();
    let store = format!("redis://127.0.0.1:{port}");
    let mut auth = checkin(site.directory.path());
    auth.args(["auth", "--listen", "127.0.0.1:0", "--store", &store, "--session-secret", SECRET]);
    let mut auth = Program::spawn(auth);
    auth.wait_for_line("listening on port", PATIENCE);
    let other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in other.incoming() {
            use std::io::Write as _;
            let _ = stream.unwrap().write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        }
    });
    assert_eq!(auth.wait(PATIENCE).code(), Some(2));
    assert!(auth.text(Stream::Stderr).contains("is not Redis"), "{auth:?}");
}

#[tokio::test]
async fn a_locked_file_is_an_outage_too() {
    let site = Site::sqlite();
    let (up, auth, _) = site.up(&[]);
    let file = Connection::open(site.store.strip_prefix("sqlite:").unwrap()).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    up.wait_for_line(AWAY[1], PATIENCE);
    expect_problem(&log_in(&mut auth.clone()).await, 503, &[]);
    file.execute_batch("ROLLBACK").unwrap();
    up.wait_for_line(BACK[1], PATIENCE);
    expect_plain(&log_in(&mut auth.clone()).await, 200, "OK");
    one_outage(&up);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn refused_writes_are_one_outage() {
    let site = Site::lasting_redis();
    let server = site.server();
    let set = |setting: &str, value: &str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg(setting).arg(value).exec(&mut server.connection()).unwrap();
    };
    let replicate = |of: [&str; 2]| {
        redis::cmd("REPLICAOF").arg(&of).exec(&mut server.connection()).unwrap();
    };
    let nowhere = free_port().to_string();
    let refuse = |reason: &str, begins: bool| match reason {
        "OOM" => set("maxmemory", if begins { "1" } else { "0" }),
        "accepting writes" => set("min-replicas-to-write", if begins { "1" } else { "0" }),
        _ => replicate(if begins { ["127.0.0.1", &nowhere] } else { ["NO", "ONE"] }),
    };
    for reason in ["OOM", "accepting writes", "READONLY"] {
        let auth = site.auth(&[]);
        let mut al = auth.logged_in().await;
        is_ready(&auth.client()).await;
        refuse(reason, true);
        let log = || auth.program.text(Stream::Stdout);
        // Reads work, for longer than an outage would last that they could end: so time has to pass here.
        let end = std::time::Instant::now() + std::time::Duration::from_millis(3500);
        while std::time::Instant::now() < end {
            let login = log_in(&mut auth.client()).await;
            expect_problem(&login, 503, &[]);
            assert!(!login.text().contains("reached"), "{login:?}");
            is_unready(&auth.client(), reason).await;
            al.get("/session").await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(
            (logged(&auth.program, &AWAY), logged(&auth.program, &BACK)),
            (1, 0),
            "{}",
            log()
        );
        refuse(reason, false);
        is_ready(&auth.client()).await;
        auth.program.wait_for_line(BACK[1], PATIENCE);
        one_outage(&auth.program);
        assert!(!log().contains("after 0."), "{}", log());
        expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
    }
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_script_that_does_not_end_is_named_at_the_start() {
    let site = Site::lasting_redis();
    let server = site.server();
    let set = |value| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("lua-time-limit").arg(value).exec(&mut server.connection()).unwrap();
    };
    set(50);
    let (mut connection, mut other) = (server.connection(), server.connection());
    let script = std::thread::spawn(move || {
        drop(redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut connection));
    });
    while redis::cmd("PING").exec(&mut other).is_ok() {}
    let auth = site.auth(&[]);
    is_unready(&auth.client(), "BUSY").await;
    redis::cmd("SCRIPT").arg("KILL").exec(&mut other).unwrap();
    script.join().unwrap();
    is_ready(&auth.client()).await;
    auth.program.wait_for_line("BUSY", PATIENCE);
    let log = auth.program.text(Stream::Stdout);
    assert_eq!(
        (logged(&auth.program, &["WARN", "BUSY"]), logged(&auth.program, &["WARN"])),
        (1, 1),
        "{log}"
    );
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_redis_that_cannot_save_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    let server = RedisServer::start_with(&["--dir", at]);
    let mut snapshots = redis::cmd("CONFIG");
    snapshots.arg("SET").arg("save").arg("3600 1").exec(&mut server.connection()).unwrap();
    let save = |wanted: &str| {
        let mut connection = server.connection();
        redis::cmd("BGSAVE").exec(&mut connection).unwrap();
        wait_until(&format!("the snapshot is {wanted}"), || {
            let info: String =
                redis::cmd("INFO").arg("persistence").query(&mut connection).unwrap();
            info.contains("rdb_bgsave_in_progress:0")
                && info.contains(&format!("rdb_last_bgsave_status:{wanted}\r"))
        });
    };
    // What is to be replaced by the snapshot cannot be.
    let in_the_way = directory.path().join("dump.rdb");
    std::fs::create_dir(&in_the_way).unwrap();
    save("err");
    let store = server.url();
    let auth = |args: &[&str]| {
        let mut auth = checkin(directory.path());
        auth.args(["auth", "--listen", "127.0.0.1:0", "--store", &store]);
        auth.args(["--session-secret", SECRET]).args(args);
        let auth = Program::spawn(auth);
        let line = auth.wait_for_line("listening on port", PATIENCE);
        let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        (auth, Client::new(format!("http://127.0.0.1:{port}")))
    };
    let (program, client) = auth(&[]);
    is_unready(&client, "stopped accepting writes").await;
    std::fs::remove_dir(&in_the_way).unwrap();
    save("ok");
    is_ready(&client).await;
    // And while it runs.
    std::fs::remove_file(&in_the_way).unwrap();
    std::fs::create_dir(&in_the_way).unwrap();
    save("err");
    is_unready(&client, "stopped accepting writes").await;
    std::fs::remove_dir(&in_the_way).unwrap();
    save("ok");
    is_ready(&client).await;
    assert_eq!(program.text(Stream::Stderr), "");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_redis_that_is_loading_is_waited_for() {
    let mut site = Site::lasting_redis();
    let server = site.server_mut();
    // A millisecond for each of some twenty thousand commands, and a look at its clients now and then.
    server.restart_loading(&["--key-load-delay", "1000"]);
    let auth = site.auth(&[]);
    is_unready(&auth.client(), "LOADING").await;
    match testkit::server_release() {
        // It refuses the setting while it loads.
        (6, _) => site.server_mut().restart_loading(&["--key-load-delay", "0"]),
        _ => {
            let mut go_on = redis::cmd("CONFIG");
            go_on.arg("SET").arg("key-load-delay").arg("0");
            go_on.exec(&mut site.server().connection()).unwrap();
        }
    }
    is_ready(&auth.client()).await;
    auth.program.wait_for_line(BACK[1], PATIENCE);
    one_outage(&auth.program);
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
}

/// Starts the authentication service on this store, and nothing else.
fn auth_on(site: &Site, store: &str) -> (Program, Client) {
    let mut auth = checkin(site.directory.path());
    auth.args(["auth", "--listen", "127.0.0.1:0", "--store", store, "--session-secret", SECRET]);
    let auth = Program::spawn(auth);
    let line = auth.wait_for_line("listening on port", PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    (auth, client)
}

/// A service on a store whose server is down starts, says why it is not ready, and becomes it.
async fn starts_without(store: &str, down: &mut RedisServer) {
    let site = Site::empty_sqlite();
    down.kill();
    let (auth, client) = auth_on(&site, store);
    let ready = client.clone().get("/readyz").await;
    expect_problem(&ready, 503, &[]);
    assert!(!ready.json()["detail"].as_str().unwrap().is_empty());
    down.restart();
    is_ready(&client).await;
    assert_eq!(auth.text(Stream::Stderr), "");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_service_starts_before_the_master_of_its_sentinels() {
    let mut sentinel = Sentinel::start();
    // No fail-over: the master itself comes back.
    let mut never = redis::cmd("SENTINEL");
    never.arg(&["SET", "m", "down-after-milliseconds", "600000"]);
    never.exec(&mut sentinel.connection()).unwrap();
    let store = sentinel.url();
    starts_without(&store, sentinel.master()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_service_starts_before_a_node_of_its_cluster() {
    let mut cluster = RedisCluster::start(2);
    let store = cluster.url();
    starts_without(&store, cluster.server_mut(1)).await;
}

/// Whatever its address names, a store that cannot be reached is an outage and not a wrong setting.
#[tokio::test]
async fn a_service_starts_while_nothing_answers() {
    let site = Site::empty_sqlite();
    let (one, two) = (free_port(), free_port());
    let nodes = format!("127.0.0.1:{one},127.0.0.1:{two}");
    for store in [
        format!("rediss://127.0.0.1:{one}"),
        format!("redis-sentinel://{nodes}/m"),
        format!("redis-cluster://{nodes}"),
        format!("rediss-cluster://{nodes}"),
    ] {
        let (auth, client) = auth_on(&site, &store);
        is_unready(&client, "refused").await;
        expect_plain(&client.clone().get("/healthz").await, 200, "OK");
        let login = log_in(&mut client.clone()).await;
        expect_problem(&login, 503, &[]);
        assert!(retry_after(&login) >= 1);
        auth.wait_for_line("WARN", PATIENCE);
        assert_eq!(logged(&auth, &["WARN"]), 1, "{auth:?}");
    }
}

/// Starts a receiver on a disk that takes no more than so many blocks of 512 bytes in a file.
fn on_a_full_disk(site: &Site, blocks: u64) -> (Program, Client) {
    let ours = checkin(site.directory.path());
    let mut shell = std::process::Command::new("sh");
    let limited = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
    shell.args(["-c", &limited]);
    shell.arg(ours.get_program()).args(["receiver", "--no-auth", "--listen", "127.0.0.1:0"]);
    shell.args(["--duplicate-window", "0", "--checkin-rate", "0", "--store", &site.store]);
    let receiver = Program::spawn(shell);
    let line = receiver.wait_for_line("receiver listening on port", PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    (receiver, client)
}

/// Checks in until the disk is full. Returns the number of accepted check-ins.
async fn fill(client: &mut Client) -> u64 {
    let (mut accepted, mut refused) = (0, 0);
    // Once or twice the write-ahead log is what is too long. Then it is moved into the file.
    while refused < 3 {
        let answer = client.post("/api/checkin", &at(1 + accepted % 220, 1)).await;
        if answer.status == 202 {
            (accepted, refused) = (accepted + 1, 0);
        } else {
            expect_problem(&answer, 503, &[]);
            assert!(retry_after(&answer) >= 1);
            refused += 1;
            // The file is probed twice a second, which may move the log and make room once more.
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        }
    }
    accepted
}

#[tokio::test]
async fn a_full_disk_is_an_outage_that_passes() {
    let site = Site::sqlite();
    // Room for half a megabyte beside the demo data.
    let blocks =
        std::fs::metadata(site.directory.path().join("checkin.db")).unwrap().len() / 512 + 1000;
    let (mut receiver, mut client) = on_a_full_disk(&site, blocks);
    is_ready(&client).await;
    let mut accepted = fill(&mut client).await;
    for is_new in [false, true] {
        if is_new {
            // It starts again, because everything can be read.
            receiver.kill();
            (receiver, client) = on_a_full_disk(&site, blocks);
        }
        for _ in 0..3 {
            is_unready(&client, "the database file cannot be written").await;
            assert_eq!(client.get("/healthz").await.status, 200);
            let answer = client.post("/api/checkin", &at(1, 1)).await;
            match answer.status {
                // The log was moved into the file a moment ago.
                202 => accepted += 1 + fill(&mut client).await,
                _ => expect_problem(&answer, 503, &[]),
            }
        }
    }
    assert_eq!(logged(&receiver, &AWAY), 1, "{receiver:?}");
    let api = site.api(&[]);
    assert_eq!(api.client().get("/api/location/1").await.status, 200);
    drop(api);
    // There is room again.
    let limit = ["--fsize=unlimited", "--pid", &receiver.pid().to_string()];
    let raised = std::process::Command::new("prlimit").args(limit).status().unwrap();
    assert!(raised.success());
    is_ready(&client).await;
    assert_eq!(client.post("/api/checkin", &at(1, 1)).await.status, 202);
    receiver.wait_for_line(BACK[1], PATIENCE);
    assert_eq!(logged(&receiver, &AWAY), 1, "{receiver:?}");
    drop(receiver);
    let holds = format!("and {} check-ins", 19_735 + accepted + 1);
    let doctor = site.run("doctor", &[]).stdout;
    assert!(doctor.contains(&holds), "{holds}: {doctor}");
}
