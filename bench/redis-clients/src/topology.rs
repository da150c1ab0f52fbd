//! Cluster, Sentinel, TLS, scripts and binary arguments.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fred::interfaces::{ClientLike, KeysInterface};
use rustis::commands::StringCommands;
use tokio::time::{sleep, timeout};

use crate::link::{CONNECT_LIMIT, Candidate, Link, Options};
use crate::proxy::Proxy;
use crate::server::{Server, free_port};

const HUNG: Duration = Duration::from_secs(8);

pub async fn measure(candidate: Candidate) -> Result<()> {
    println!("## {}", candidate.name());
    for (name, library_retries) in [("our settings", false), ("default retries", true)] {
        let options = Options { library_retries, cluster: true, ..Options::default() };
        for cuts in [1, 50] {
            cluster_lost_reply(candidate, options, name, cuts).await?;
        }
        cluster_moved(candidate, options, name).await?;
    }
    scripts(candidate).await?;
    failover(candidate).await?;
    tls(candidate).await
}

/// A cluster of one node, which announces the proxy as its address.
async fn cluster_lost_reply(
    candidate: Candidate,
    options: Options,
    name: &str,
    cuts: usize,
) -> Result<()> {
    let announced = free_port()?.to_string();
    let server = cluster_node(&["--cluster-announce-port", &announced])?;
    let mut raw = server.raw()?;
    raw.call(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])?;
    until_ok(&server).await?;
    let proxy = Proxy::start(announced.parse()?, server.port).await?;
    let mut link = Link::connect(candidate, proxy.port, options).await?;
    proxy.faults.lose_replies.store(cuts, Ordering::Relaxed);
    let started = Instant::now();
    let answer = describe(timeout(HUNG, link.increment("n")).await);
    let took = started.elapsed();
    sleep(Duration::from_secs(1)).await;
    let executed = raw.call(&["GET", "n"])?;
    let seen = proxy.faults.seen.load(Ordering::Relaxed);
    println!(
        "- cluster, lost reply, {name}, up to {cuts} cut(s): sent {seen}, executed {executed} time(s); caller got {answer} after {took:.0?}"
    );
    proxy.faults.lose_replies.store(0, Ordering::Relaxed);
    let started = Instant::now();
    while started.elapsed() < HUNG && !matches!(timeout(HUNG, link.increment("m")).await, Ok(Ok(_)))
    {
        sleep(Duration::from_millis(5)).await;
    }
    println!("  works again after {:.0?}", started.elapsed());
    Ok(())
}

/// The slot of the key moves to the other node, without the client's knowledge.
async fn cluster_moved(candidate: Candidate, options: Options, name: &str) -> Result<()> {
    let (first, second) = (cluster_node(&[])?, cluster_node(&[])?);
    let (mut to_first, mut to_second) = (first.raw()?, second.raw()?);
    to_first.call(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"])?;
    to_second.call(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"])?;
    let bus = to_second.call(&["CONFIG", "GET", "cluster-port"])?;
    let bus = bus.rsplit(' ').next().unwrap_or_default();
    to_first.call(&["CLUSTER", "MEET", "127.0.0.1", &second.port.to_string(), bus])?;
    until_ok(&first).await?;
    until_ok(&second).await?;
    let slot = to_first.call(&["CLUSTER", "KEYSLOT", "n"])?;
    let target = if slot.parse::<u32>()? < 8192 {
        to_second.call(&["CLUSTER", "MYID"])?
    } else {
        to_first.call(&["CLUSTER", "MYID"])?
    };
    let mut link = Link::connect(candidate, first.port, options).await?;
    to_first.call(&["CLUSTER", "SETSLOT", &slot, "NODE", &target])?;
    to_second.call(&["CLUSTER", "SETSLOT", &slot, "NODE", &target])?;
    let one = describe(timeout(HUNG, link.increment("n")).await);
    sleep(Duration::from_millis(200)).await;
    let two = describe(timeout(HUNG, link.increment("n")).await);
    println!("- cluster, slot moved, {name}: first command {one}; next {two}");
    Ok(())
}

fn cluster_node(extra: &[&str]) -> Result<Server> {
    // By default the bus port is the port + 10 000, which may not be a valid port.
    let bus = free_port()?.to_string();
    let base =
        ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-announce-ip", "127.0.0.1"];
    Server::start(&[&base[..], extra].concat())
}

async fn until_ok(server: &Server) -> Result<()> {
    let mut raw = server.raw()?;
    let started = Instant::now();
    while !raw.call(&["CLUSTER", "INFO"])?.contains("cluster_state:ok") {
        ensure!(started.elapsed() < HUNG, "the cluster did not form");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn scripts(candidate: Candidate) -> Result<()> {
    let server = Server::start(&[])?;
    let hash = server.raw()?.call(&["SCRIPT", "LOAD", "return KEYS[1] .. ARGV[1]"])?;
    let mut link = Link::connect(candidate, server.port, Options::default()).await?;
    let bytes: Vec<u8> = (0..=255).collect();
    let answer = link.run_script(&hash, &bytes, &bytes).await?;
    ensure!(answer == [bytes.clone(), bytes].concat(), "bytes were changed");
    let unknown = link.run_script(&"0".repeat(40), b"k", b"v").await;
    println!(
        "- EVALSHA with all 256 byte values as key and argument: unchanged; unknown hash: {:?}",
        unknown.map_err(|error| error.to_string())
    );
    Ok(())
}

/// One master, one replica, one sentinel; the master is killed.
async fn failover(candidate: Candidate) -> Result<()> {
    let mut master = Server::start(&[])?;
    let master_port = master.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master_port])?;
    let port = free_port()?;
    let folder =
        std::env::temp_dir().join(format!("redis-clients-sentinel-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {master_port} 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
        folder.display()
    );
    std::fs::write(&file, text)?;
    let sentinel =
        Server::start_on(port, &[file.to_str().context("a path in UTF-8")?, "--sentinel"])?;
    let started = Instant::now();
    while !sentinel
        .raw()?
        .call(&["SENTINEL", "REPLICAS", "main"])?
        .contains(&replica.port.to_string())
    {
        ensure!(
            started.elapsed() < Duration::from_secs(15),
            "the sentinel did not see the replica"
        );
        sleep(Duration::from_millis(50)).await;
    }
    let mut link = through_sentinel(candidate, port).await?;
    link.increment("n").await?;
    master.kill()?;
    let (killed, mut failures, mut longest) = (Instant::now(), 0, Duration::ZERO);
    loop {
        let started = Instant::now();
        if matches!(timeout(HUNG, link.increment("n")).await, Ok(Ok(_))) {
            break;
        }
        failures += 1;
        longest = longest.max(started.elapsed());
        if killed.elapsed() > Duration::from_secs(30) {
            println!("- sentinel: no write within 30 s");
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
        // The sentinel client of `redis` finds the master once. The caller must detect a fail-over.
        if matches!(candidate, Candidate::RedisMultiplexed | Candidate::RedisManager)
            && let Ok(Ok(found)) = timeout(CONNECT_LIMIT, through_sentinel(candidate, port)).await
        {
            link = found;
        }
    }
    println!(
        "- sentinel: first write {:.0?} after the master was killed, {failures} failures, longest {longest:.0?}",
        killed.elapsed()
    );
    drop(sentinel);
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

async fn through_sentinel(candidate: Candidate, port: u16) -> Result<Link> {
    match candidate {
        Candidate::RedisMultiplexed | Candidate::RedisManager => {
            use redis::sentinel::{SentinelClient, SentinelServerType};
            let address = vec![format!("redis://127.0.0.1:{port}")];
            let mut client =
                SentinelClient::build(address, "main", None, SentinelServerType::Master)?;
            let config =
                redis::AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_LIMIT));
            Ok(Link::Multiplexed(client.get_async_connection_with_config(&config).await?))
        }
        Candidate::Fred => {
            use fred::types::config::{Config, ReconnectPolicy, ServerConfig};
            let server = ServerConfig::new_sentinel(vec![("127.0.0.1", port)], "main");
            let client = fred::types::Builder::from_config(Config { server, ..Config::default() })
                .with_connection_config(|connection| connection.max_command_attempts = 1)
                .with_performance_config(|performance| {
                    performance.default_command_timeout = Duration::from_millis(250);
                })
                .set_policy(ReconnectPolicy::new_exponential(0, 20, 500, 2))
                .build()?;
            client.init().await?;
            Ok(Link::Fred(client))
        }
        Candidate::Rustis => {
            use rustis::client::{Client, Config, IntoConfig, ReconnectionConfig};
            let mut config: Config =
                format!("redis+sentinel://127.0.0.1:{port}/main").into_config()?;
            config.command_timeout = Duration::from_millis(250);
            config.connect_timeout = CONNECT_LIMIT;
            config.reconnection = ReconnectionConfig::new_exponential(0, 20, 500, 2);
            Ok(Link::Rustis(Client::connect(config).await?))
        }
    }
}

/// Connects with a user, a database and a private authority, then with an authority that did not
/// sign the certificate.
async fn tls(candidate: Candidate) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("redis-clients-tls-{}", std::process::id()));
    let (good, other) = (authority(&folder.join("good"))?, authority(&folder.join("other"))?);
    let port = free_port()?;
    let port_text = port.to_string();
    let path = |name: &str| good.join(name).display().to_string();
    let (certificate, key, root) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let _server = Server::start(&[
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &root,
        "--tls-auth-clients",
        "no",
        "--user",
        "app",
        "on",
        ">secret",
        "~*",
        "&*",
        "+@all",
    ])?;
    for (name, folder) in [("the right authority", &good), ("another authority", &other)] {
        let root = std::fs::read(folder.join("ca.pem"))?;
        let answer = match timeout(HUNG, through_tls(candidate, port, root)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => format!("rejected: {error:#}"),
            Err(_) => "hung".to_owned(),
        };
        println!("- TLS, {name}: {answer}");
    }
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

async fn through_tls(candidate: Candidate, port: u16, root: Vec<u8>) -> Result<String> {
    let url = format!("rediss://app:secret@127.0.0.1:{port}/3");
    match candidate {
        Candidate::RedisMultiplexed | Candidate::RedisManager => {
            let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(root) };
            let client = redis::Client::build_with_tls(url, certificates)?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            let user: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut connection).await?;
            let _: () = redis::cmd("SET").arg("k").arg("v").query_async(&mut connection).await?;
            let info: String =
                redis::cmd("CLIENT").arg("INFO").query_async(&mut connection).await?;
            Ok(format!("user {user}, {}", field(&info, "db=")))
        }
        Candidate::Fred => {
            use fred::types::config::Config;
            let mut config = Config::from_url(&url)?;
            config.tls =
                Some(fred::types::config::TlsConnector::from(rustls_config(&root)?).into());
            config.database = Some(3);
            let client = fred::types::Builder::from_config(config).build()?;
            client.init().await?;
            client.set::<(), _, _>("k", "v", None, None, false).await?;
            let info: String = fred::interfaces::ClientInterface::client_info(&client).await?;
            Ok(format!("{}, {}", field(&info, "user="), field(&info, "db=")))
        }
        Candidate::Rustis => {
            use rustis::client::{Client, Config, IntoConfig, TlsConfig};
            let mut config: Config = url.into_config()?;
            config.tls_config = Some(TlsConfig::new(Arc::new(rustls_config(&root)?)));
            let client = Client::connect(config).await?;
            client.set("k", "v").await?;
            let info: String = client.send(rustis::resp::cmd("CLIENT").arg("INFO"), None).await?;
            Ok(format!("{}, {}", field(&info, "user="), field(&info, "db=")))
        }
    }
}

fn rustls_config(root: &[u8]) -> Result<rustls::ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root)?)?;
    Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn field<'text>(info: &'text str, name: &str) -> &'text str {
    info.split_whitespace().find(|part| part.starts_with(name)).unwrap_or("?")
}

/// Creates a certificate authority and a server certificate for 127.0.0.1 with the `openssl` tool.
fn authority(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let openssl = |line: &str| -> Result<()> {
        let status = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(folder)
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "openssl {line}");
        Ok(())
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=bench-ca",
    )?;
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost")?;
    std::fs::write(folder.join("san.txt"), "subjectAltName=IP:127.0.0.1,DNS:localhost")?;
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san.txt",
    )?;
    Ok(folder.to_path_buf())
}

fn describe(answer: Result<Result<i64>, tokio::time::error::Elapsed>) -> String {
    match answer {
        Ok(Ok(_)) => "a reply".to_owned(),
        Ok(Err(error)) => format!("error {:?}", format!("{error:#}")),
        Err(_) => "nothing (hung)".to_owned(),
    }
}
