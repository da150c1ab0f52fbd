//! A Redis that cannot be used: each reason has its name, in `doctor` and at the start. What stays
//! wrong ends a service with exit code 2; what may pass does not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use checkin::config::StoreUrl;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use redis_link::{Client, ErrorKind, Timeouts};
use tempfile::TempDir;
use testkit::{Program, RedisCluster, RedisServer, Sentinel, free_port, wait_until};

use crate::harness::{Ended, SECRET, checkin};

/// Stands in passwords, and never in what is printed.
const HUNTER: &str = "hunter2";

struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn run(&self, args: &[&str], store: &str) -> Ended {
        let mut command = checkin(self.0.path());
        command.args(args).env("CHECKIN_STORE", store).env("CHECKIN_SESSION_SECRET", SECRET);
        let ended = Ended::of(Program::spawn(command));
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!printed.contains(HUNTER), "{printed}");
        ended
    }

    /// The doctor's one problem, with its advice.
    #[track_caller]
    fn doctor_says(&self, store: &str, words: &[&str]) {
        let doctor = self.run(&["doctor"], store);
        assert_eq!((doctor.code, doctor.stderr.as_str()), (1, ""), "{doctor:?}");
        let problem: Vec<&str> =
            doctor.stdout.lines().skip_while(|line| !line.starts_with("PROBLEM")).collect();
        assert_eq!(problem.len(), 2, "one problem and its advice: {}", doctor.stdout);
        for word in words {
            assert!(problem.concat().contains(word), "{word} is not said of {store}: {problem:?}");
        }
    }

    /// What is wrong for good.
    #[track_caller]
    fn stays_wrong(&self, store: &str, words: &[&str]) {
        self.doctor_says(store, words);
        for args in [&["auth", "--listen", "127.0.0.1:0"][..], &["export", "--user", "1"]] {
            let ended = self.run(args, store);
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?} {ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
            for word in words {
                assert!(ended.stderr.contains(word), "{word} is not said: {}", ended.stderr);
            }
        }
    }

    /// What may pass; services that start all the same are tried elsewhere.
    #[track_caller]
    fn may_pass(&self, store: &str, words: &[&str]) {
        self.doctor_says(store, words);
        let ended = self.run(&["export", "--user", "1"], store);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

fn command(server: &RedisServer, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).exec(&mut server.connection()).unwrap();
}

#[cfg(feature = "external-tests")]
#[test]
fn logins() {
    let desk = Desk::new();
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port());
    desk.stays_wrong(&at(":hunter2@"), &["requires none", "--store"]);
    desk.stays_wrong(&at("al:hunter2@"), &["WRONGPASS"]);
    command(&server, &["ACL", "SETUSER", "reader", "on", ">hunter2", "~ncc:*", "+info", "+select"]);
    desk.stays_wrong(&at("reader:hunter2@"), &["NOPERM", "ACL SETUSER"]);
    command(&server, &["ACL", "SETUSER", "al", "on", ">right", "allkeys", "allcommands"]);
    command(&server, &["CONFIG", "SET", "requirepass", "right"]);
    desk.stays_wrong(&at(""), &["NOAUTH", "user:password@host"]);
    desk.stays_wrong(&at(":hunter2@"), &["WRONGPASS", "correct"]);
    desk.stays_wrong(&at("al:hunter2@"), &["WRONGPASS"]);
    for login in [":right@", "al:right@", "default:right@"] {
        let doctor = desk.run(&["doctor"], &at(login));
        assert_eq!(doctor.code, 0, "{login} {}", doctor.stdout);
    }
    let doctor = desk.run(&["doctor"], &format!("{}?password=right&db=15", at("")));
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
}

#[cfg(feature = "external-tests")]
#[test]
fn databases_and_the_number_of_partitions() {
    let desk = Desk::new();
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    desk.stays_wrong(&server.url_db(16), &["no database with this number", "databases"]);
    let in_two = format!("{}?db=2", server.url());
    let loaded = desk.run(&["load", "--demo"], &in_two);
    assert_eq!(loaded.code, 0, "{loaded:?}");
    let keys = |db| redis::cmd("DBSIZE").query::<u64>(&mut server.connection_db(db)).unwrap();
    assert_eq!(keys(0), 0, "nothing went into database 0");
    assert!(keys(2) > 1000);

    let other = desk.run(&["auth", "--partitions", "4"], &in_two);
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.stderr.contains("--partitions 1"), "{other:?}");
    let doctor = desk.run(&["doctor", "--partitions", "4"], &server.url());
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    assert_eq!(keys(0), 0, "the doctor writes nothing");
}

#[cfg(feature = "external-tests")]
#[test]
fn what_is_not_reached() {
    let desk = Desk::new();
    let nobody = format!("127.0.0.1:{}", free_port());
    desk.may_pass(&format!("redis://al:hunter2@{nobody}"), &["refused", "start Redis"]);
    desk.may_pass("redis://no-such-host.invalid", &["cannot be resolved", "DNS"]);
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    server.pause();
    desk.may_pass(&server.url(), &["in time", "firewall"]);
    server.resume();
    let mut only = server.connection();
    redis::cmd("CONFIG").arg(&["SET", "maxclients", "1"]).exec(&mut only).unwrap();
    desk.may_pass(&server.url(), &["maxclients"]);
}

#[test]
fn what_is_no_redis() {
    let desk = Desk::new();
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail.example ESMTP\r\n", "-bad\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 64]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        desk.stays_wrong(&format!("redis://{address}"), &["is not Redis", "port"]);
        desk.stays_wrong(&format!("rediss://{address}"), &["is not Redis"]);
    }
}

#[cfg(feature = "external-tests")]
#[test]
fn tls() {
    if !testkit::server_has_tls() {
        return;
    }
    let desk = Desk::new();
    let [certificate, key] = certificate_in(&desk);
    let port = free_port();
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
    let more = ["--tls-ca-cert-file", &certificate, "--tls-port", &port.to_string()];
    let server = RedisServer::start_with(
        &[&files[..], &more, &["--tls-auth-clients", "no", "--appendonly", "yes"]].concat(),
    );

    desk.stays_wrong(&format!("redis://localhost:{port}"), &["requires TLS", "rediss"]);
    let plain = format!("rediss://localhost:{}", server.port());
    desk.stays_wrong(&plain, &["does not use TLS", "redis in place"]);
    desk.stays_wrong(&format!("rediss://localhost:{port}"), &["not trusted", "ssl_ca_certs"]);

    let trusting = |host: &str| {
        let mut doctor = checkin(desk.0.path());
        let store = format!("rediss://{host}:{port}");
        doctor.args(["doctor", "--store", &store, "--session-secret", SECRET]);
        Ended::of(Program::spawn({
            doctor.env("SSL_CERT_FILE", &certificate);
            doctor
        }))
    };
    assert_eq!(trusting("localhost").code, 0, "{:?}", trusting("localhost"));
    let other_name = trusting("127.0.0.1");
    assert!(other_name.stdout.contains("not trusted"), "{other_name:?}");
    command(&server, &["CONFIG", "SET", "tls-auth-clients", "yes"]);
    let refused = trusting("localhost");
    assert!(refused.stdout.contains("tls-auth-clients"), "{refused:?}");
    let with = |parameters: String| format!("rediss://localhost:{port}?{parameters}");
    let files = format!("ssl_ca_certs={certificate}&ssl_certfile={certificate}&ssl_keyfile={key}");
    let accepted = desk.run(&["doctor"], &with(files.clone()));
    assert_eq!(accepted.code, 0, "{accepted:?}");
    let works = desk.run(&["dead-letters", "list"], &with(files));
    assert_eq!(works.code, 0, "{works:?}");
}

/// They may be replaced between the check of the settings and the first connection.
#[test]
fn the_files_of_an_address_are_read_once() {
    let desk = Desk::new();
    let [certificate, _] = certificate_in(&desk);
    let url = format!("rediss://localhost?ssl_ca_certs={certificate}");
    let StoreUrl::Redis(parsed) = url.parse().unwrap() else { panic!("{url}") };
    fs::remove_file(&certificate).unwrap();
    // Without a crypto provider, which this program may have or not, there is no client either.
    let is_unread = |client: Result<Client, redis_link::Error>| {
        client.is_err_and(|error| error.kind() == ErrorKind::Address)
    };
    assert!(is_unread(Client::open(&url)));
    assert!(!is_unread(Client::at(parsed.address, Timeouts::default())));
}

/// Each server is found through another one, and needs the same certificates.
#[cfg(feature = "external-tests")]
#[test]
fn client_certificates_of_clusters_and_sentinels() {
    if !testkit::server_has_tls() {
        return;
    }
    let desk = Desk::new();
    let [certificate, key] = certificate_in(&desk);
    let parameters =
        format!("?ssl_ca_certs={certificate}&ssl_certfile={certificate}&ssl_keyfile={key}");
    let tls = |port: u16| {
        let files = [
            ("tls-port", port.to_string()),
            ("tls-cert-file", certificate.clone()),
            ("tls-key-file", key.clone()),
            ("tls-ca-cert-file", certificate.clone()),
        ];
        files.map(|(name, value)| [format!("--{name}"), value]).concat()
    };
    let start = |port: u16, more: &[&str]| {
        let tls = tls(port);
        let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
        RedisServer::start_with(&[&tls[..], &["--appendonly", "yes"], more].concat())
    };
    let works = |store: String| {
        for command in [&["doctor"][..], &["dead-letters", "list"]] {
            let ended = desk.run(command, &store);
            assert_eq!(ended.code, 0, "{store}: {ended:?}");
        }
    };

    let port = free_port();
    let node = start(port, &["--cluster-enabled", "yes", "--tls-cluster", "yes"]);
    command(&node, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until("the cluster is up", || {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut node.connection()).unwrap();
        info.contains("cluster_state:ok")
    });
    works(format!("rediss-cluster://localhost:{port}{parameters}"));

    let (master, sentinel) = (free_port(), free_port());
    let _server = start(master, &[]);
    let configuration = desk.0.path().join("sentinel.conf");
    let settings = format!(
        "port 0\ntls-port {sentinel}\ntls-replication yes\ntls-cert-file {certificate}\ntls-key-file {key}\n\
         tls-ca-cert-file {certificate}\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n\
         sentinel monitor m localhost {master} 1\n"
    );
    fs::write(&configuration, settings).unwrap();
    let mut program = testkit::server_program();
    program.arg(&configuration).arg("--sentinel");
    let _sentinel = Program::spawn(program);
    let store = format!("rediss-sentinel://localhost:{sentinel}/m{parameters}");
    wait_until("the sentinel names its master", || desk.run(&["doctor"], &store).code == 0);
    works(store);
}

#[cfg(feature = "external-tests")]
#[test]
fn files_for_tls_that_cannot_be_used() {
    let desk = Desk::new();
    let [certificate, _] = certificate_in(&desk);
    let other = Desk::new();
    let [_, key] = certificate_in(&other);
    let path = |name: &str| desk.0.path().join(name).to_str().unwrap().to_owned();
    let (pipe, unsupported, at) = (path("pipe"), path("p521.pem"), path("a@b.pem"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&unsupported, P521).unwrap();
    fs::write(&at, "no certificate").unwrap();
    for (url, rule) in [
        (
            format!("rediss://localhost?ssl_ca_certs={pipe}"),
            "ssl_ca_certs must name a regular file",
        ),
        (
            format!("rediss://localhost?ssl_ca_certs={at}"),
            "ssl_ca_certs must name a file with certificates",
        ),
        ("rediss://:pa?ss@localhost".to_owned(), "must write / ? and @ in a user or password"),
        (
            format!("rediss://localhost?ssl_certfile={certificate}&ssl_keyfile={unsupported}"),
            "ssl_keyfile must name a key of a kind that TLS supports here",
        ),
        (format!("redis://localhost?ssl_ca_certs={certificate}"), "the scheme must be rediss"),
        ("rediss://localhost?ssl_ca_certs=/nowhere".to_owned(), "must name a readable file"),
        (format!("rediss://localhost?ssl_ca_certs={key}"), "must name a file with certificates"),
        (format!("rediss://localhost?ssl_certfile={certificate}"), "must have ssl_keyfile"),
        (format!("rediss://localhost?ssl_keyfile={key}"), "must have ssl_certfile"),
        (
            format!("rediss://localhost?ssl_certfile={certificate}&ssl_keyfile={certificate}"),
            "must name a file with a private key",
        ),
        (
            format!("rediss://localhost?ssl_certfile={certificate}&ssl_keyfile={key}"),
            "must name the key of the certificate",
        ),
    ] {
        let ended = desk.run(&["users", "list"], &url);
        assert_eq!(ended.code, 2, "{url}: {ended:?}");
        assert!(ended.stderr.contains(rule), "{url}: {ended:?}");
    }
}

/// A key of a kind that the TLS library does not support, made for this test.
#[cfg(feature = "external-tests")]
const P521: &str = "\
-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBVO/M4tyLksC/22lp
01KIltH3Yt7zPrFYc4bfzaSzUM5AF0MOiSnwDO3wptDyqjxVTNqAGmu8uNqJqE2r
anEumnGhgYkDgYYABACEsrWG+6Ke95FBBf5+ajl4jW7vO5refumjHPZ+0kY5/Nh0
Wz6wHVRFbLcrLQUHXY8eNidVsXe1f9K465wMpLz1PwFAhEpcye34I1JAanVVon5D
bxc/qt82uUCascVX8eL4wT+RjdVbv+ATA4xC1cPXqxeZf6epZECta/LZoc7gvXUA
Gw==
-----END PRIVATE KEY-----
";

/// Makes a certificate for `localhost`, which is its own authority, and returns both files.
#[cfg(feature = "external-tests")]
fn certificate_in(desk: &Desk) -> [String; 2] {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    [("cert.pem", cert.pem()), ("key.pem", signing_key.serialize_pem())].map(|(name, text)| {
        let path = desk.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[cfg(feature = "external-tests")]
#[test]
fn replicas_and_clusters() {
    let desk = Desk::new();
    let master = RedisServer::start_with(&["--appendonly", "yes"]);
    let of = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &of]);
    desk.stays_wrong(&replica.url(), &["replica", "name the master"]);
    command(&replica, &["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    desk.stays_wrong(&replica.url(), &["replica"]);

    let cluster_of = |server: &RedisServer| server.url().replace("redis:", "redis-cluster:");
    desk.stays_wrong(&cluster_of(&master), &["not part of a cluster", "redis://"]);
    let cluster = RedisCluster::start(2);
    desk.stays_wrong(&cluster.servers()[0].url(), &["part of a cluster", "redis-cluster://"]);
    assert_eq!(desk.run(&["doctor"], &cluster.url()).code, 0);
    let sentinel = format!("redis-sentinel://127.0.0.1:{of}/m");
    desk.stays_wrong(&sentinel, &["not a sentinel", "26379"]);
    for login in [":hunter2@", "al:hunter2@"] {
        let sentinel = sentinel.replace("://", &format!("://{login}"));
        desk.stays_wrong(&sentinel, &["not a sentinel"]);
    }
    desk.stays_wrong(&format!("{sentinel}?sentinel_password=hunter2"), &["not a sentinel"]);
}

/// Whichever node is silent: each has other keys.
#[cfg(feature = "external-tests")]
#[test]
fn a_silent_node_hides_nothing_that_the_others_say() {
    let desk = Desk::new();
    let mut cluster = RedisCluster::start(3);
    cluster.suspect_nobody();
    let doctor = |url: &str, silent: &str, other: &str| {
        let doctor = desk.run(&["doctor"], url);
        assert_eq!((doctor.code, doctor.stderr.as_str()), (1, ""), "{doctor:?}");
        for line in [
            format!("PROBLEM  the node {silent} does not answer or refuses the login"),
            format!("PROBLEM  on {other}: with appendfsync no"),
            "ok       Redis keeps an append-only file".to_owned(),
        ] {
            assert!(doctor.stdout.contains(&line), "{line}: {}", doctor.stdout);
        }
        assert!(!doctor.stdout.contains("allow "), "{}", doctor.stdout);
    };
    let url = cluster.url();
    for number in 0..3 {
        let other = (number + 1) % 3;
        let [silent, address] = [number, other].map(|node| cluster.servers()[node].address());
        let sync = |policy| {
            command(&cluster.servers()[other], &["CONFIG", "SET", "appendfsync", policy]);
        };
        sync("no");
        cluster.servers()[number].pause();
        doctor(&url, &silent, &address);
        cluster.servers()[number].resume();
        sync("everysec");
    }
    command(&cluster.servers()[0], &["CONFIG", "SET", "appendfsync", "no"]);
    let [address, silent] = [0, 2].map(|node| cluster.servers()[node].address());
    command(&cluster.servers()[2], &["ACL", "SETUSER", "default", "-info", "-config"]);
    let refusing = desk.run(&["doctor"], &url).stdout;
    for (severity, word) in [("warning ", "INFO"), ("ok      ", "CONFIG GET")] {
        let line = format!("{severity} on {silent}: the login may not use {word}, so ");
        assert!(refusing.contains(&line), "{line}: {refusing}");
    }
    command(&cluster.servers()[2], &["ACL", "SETUSER", "default", "resetpass", ">hunter2"]);
    doctor(&url, &silent, &address);
    cluster.server_mut(2).kill();
    doctor(&url, &silent, &address);
}

#[cfg(feature = "external-tests")]
#[test]
fn a_silent_replica_of_a_cluster_is_no_problem() {
    let desk = Desk::new();
    let cluster = RedisCluster::with_replicas(3);
    cluster.suspect_nobody();
    cluster.replicas()[0].pause();
    let doctor = desk.run(&["doctor"], &cluster.url());
    cluster.replicas()[0].resume();
    assert!(doctor.stdout.contains("cannot be examined"), "{}", doctor.stdout);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
}

#[cfg(feature = "external-tests")]
#[test]
fn sentinels() {
    let desk = Desk::new();
    let mut sentinel = Sentinel::start();
    let url = sentinel.url();
    let works = |store: &str| {
        let doctor = desk.run(&["doctor"], store);
        assert_eq!(doctor.code, 0, "{store}\n{}", doctor.stdout);
        let loaded = desk.run(&["dead-letters", "list"], store);
        assert_eq!(loaded.code, 0, "{store}\n{}", loaded.stderr);
    };
    let with = |login: &str, query: &str| url.replace("://", &format!("://{login}")) + query;
    works(&url);
    let as_server = url.replace("-sentinel", "").replace("/m", "");
    desk.stays_wrong(&as_server, &["is a sentinel", "redis-sentinel://"]);
    desk.stays_wrong(&url.replace("/m", "/other"), &["no master with this name"]);

    // The servers have a password, the sentinel has none.
    let mut at_sentinel = sentinel.connection();
    let mut ask = |words: &[&str]| {
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut at_sentinel).unwrap();
    };
    // No fail-over while the passwords change.
    ask(&["SENTINEL", "SET", "m", "down-after-milliseconds", "600000"]);
    ask(&["SENTINEL", "SET", "m", "auth-pass", "of-servers"]);
    let connections = [sentinel.replica().connection(), sentinel.master().connection()];
    for mut connection in connections {
        for setting in ["masterauth", "requirepass"] {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg(setting).arg("of-servers").exec(&mut connection).unwrap();
        }
    }
    works(&with(":of-servers@", ""));
    desk.stays_wrong(&url, &["NOAUTH"]);
    desk.stays_wrong(&with(":hunter2@", ""), &["WRONGPASS"]);

    // The same password.
    ask(&["ACL", "SETUSER", "default", "resetpass", ">of-servers"]);
    works(&with(":of-servers@", ""));
    works(&with("default:of-servers@", ""));
    desk.stays_wrong(&url, &["sentinels require", "correct the password", "sentinel_password"]);
    let wrong = &["sentinels reject", "correct the password", "sentinel_password"];
    desk.stays_wrong(&with(":hunter2@", ""), wrong);

    // Each their own.
    ask(&["AUTH", "of-servers"]);
    ask(&["ACL", "SETUSER", "default", "resetpass", ">of%sentinels"]);
    ask(&["ACL", "SETUSER", "watcher", "on", ">secret", "allcommands", "allchannels"]);
    works(&with(":of-servers@", "?sentinel_password=of%25sentinels"));
    works(&with(":of-servers@", "?sentinel_user=watcher&sentinel_password=secret"));
    desk.stays_wrong(&with(":of-servers@", ""), &["sentinels reject"]);
    desk.stays_wrong(&with(":of-servers@", "?sentinel_password=hunter2"), &["sentinels reject"]);
}
