//! Finds out why Redis cannot be used, with short-lived connections that test one thing after
//! another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    RedisConnectionInfo, RedisError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::{Deployment, SentinelAddress, info};
use crate::cause::of_io;
use crate::link::Links;
use crate::obstacle::Obstacle;
use crate::timeouts::Timeouts;
use crate::tls;

/// The role in which an address names a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Standalone,
    SentinelMaster,
    ClusterNode,
}

/// Checks whether the deployment can be used, as far as that can be known without writing. Connects to a
/// cluster, which may take longer than a command may.
pub(crate) async fn check(deployment: &Deployment, links: &Links) -> Result<(), Obstacle> {
    let timeouts = links.timeouts;
    match deployment {
        Deployment::Server(server) => check_server(server, Role::Standalone, timeouts).await,
        Deployment::Cluster(nodes) => {
            let mut found = Obstacle::Other;
            for node in nodes {
                match check_server(node, Role::ClusterNode, timeouts).await {
                    Ok(()) => {
                        let connected = links.connect().await;
                        return connected.map(drop).map_err(|cause| Obstacle::from(&cause));
                    }
                    Err(obstacle) => found = found.or(obstacle),
                }
            }
            Err(found)
        }
        Deployment::Sentinel(address) => check_master(address, timeouts).await,
    }
}

/// Checks the master that the sentinels name with the highest epoch, as a connection uses it. A sentinel that is cut
/// off may name a server that is not the master any more. If the highest epoch has several, one that can be used is enough.
async fn check_master(address: &SentinelAddress, timeouts: Timeouts) -> Result<(), Obstacle> {
    let (mut found, mut named) = (Obstacle::Other, BTreeMap::<_, BTreeSet<_>>::new());
    for sentinel in &address.sentinels {
        match ask_sentinel(sentinel, address, timeouts).await {
            Ok(Named { epoch, master }) => _ = named.entry(epoch).or_default().insert(master),
            Err(obstacle) => found = found.or(obstacle),
        }
    }
    let Some((_, masters)) = named.pop_last() else { return Err(found) };
    let mut found = Obstacle::Other;
    for (host, port) in masters {
        let master = tls::address(host, port, address.tls.as_ref());
        let Ok(master) = info(master, &address.server) else { continue };
        match check_server(&master, Role::SentinelMaster, timeouts).await {
            Ok(()) => return Ok(()),
            Err(obstacle) => found = found.or(obstacle),
        }
    }
    Err(found)
}

/// The sections of `INFO` that show what a server is. All of them together are too much for a slow network.
const SECTIONS: [&str; 4] = ["server", "persistence", "cluster", "replication"];

async fn check_server(
    server: &ConnectionInfo,
    role: Role,
    timeouts: Timeouts,
) -> Result<(), Obstacle> {
    let mut connection = connect(server.addr(), timeouts).await?;
    let settings = server.redis_settings();
    log_in(&mut connection, settings).await?;
    let mut facts = String::new();
    for section in SECTIONS {
        match ask::<String>(&mut connection, &["INFO", section]).await {
            Ok(found) => facts.push_str(&found),
            // An access control list may forbid INFO.
            Err(error) => match Obstacle::from(&error) {
                Obstacle::NoPermission | Obstacle::Other => {}
                obstacle => return Err(obstacle),
            },
        }
    }
    let has = |fact: &str| facts.lines().any(|line| line.trim_end() == fact);
    // Valkey calls it `server_mode`.
    if has("redis_mode:sentinel") || has("server_mode:sentinel") {
        return Err(Obstacle::Sentinel);
    }
    if has("loading:1") {
        return Err(Obstacle::Loading);
    }
    match role {
        Role::ClusterNode if has("cluster_enabled:0") => return Err(Obstacle::NotCluster),
        Role::Standalone if has("cluster_enabled:1") => {
            require_single_node(&mut connection).await?;
        }
        _ => {}
    }
    if settings.db() != 0 {
        let select = ["SELECT", &settings.db().to_string()];
        ask::<()>(&mut connection, &select).await.map_err(|error| Obstacle::from(&error))?;
    }
    match role {
        Role::Standalone if has("role:slave") => Err(Obstacle::Replica),
        Role::SentinelMaster if has("role:slave") => Err(Obstacle::MasterDown),
        _ => Ok(()),
    }
}

/// Accepts a cluster of one server, which works like a standalone server. A server of a larger
/// cluster has only a part of the keys.
async fn require_single_node(connection: &mut MultiplexedConnection) -> Result<(), Obstacle> {
    let facts: String = ask(connection, &["CLUSTER", "INFO"]).await.unwrap_or_default();
    let size = facts.lines().find_map(|line| line.trim_end().strip_prefix("cluster_size:"));
    if matches!(size, Some("0" | "1") | None) { Ok(()) } else { Err(Obstacle::Cluster) }
}

/// The host and port of the master as a sentinel names it, and the epoch, 0 if it is unknown.
struct Named {
    epoch: u64,
    master: (String, u16),
}

/// Asks a sentinel for the address of the master.
async fn ask_sentinel(
    sentinel: &ConnectionAddr,
    address: &SentinelAddress,
    timeouts: Timeouts,
) -> Result<Named, Obstacle> {
    let (mut connection, master) = enter_sentinel(sentinel, address, timeouts).await?;
    // An access control list may forbid it.
    let facts: HashMap<String, String> =
        ask(&mut connection, &["SENTINEL", "MASTER", &address.master]).await.unwrap_or_default();
    let epoch = facts.get("config-epoch").and_then(|epoch| epoch.parse().ok());
    Ok(Named { epoch: epoch.unwrap_or(0), master })
}

/// Connects to a sentinel that monitors the master, with the login that it accepts. Also returns the host and port of
/// the master.
pub(crate) async fn enter_sentinel(
    sentinel: &ConnectionAddr,
    address: &SentinelAddress,
    timeouts: Timeouts,
) -> Result<(MultiplexedConnection, (String, u16)), Obstacle> {
    let mut found = Obstacle::Other;
    for login in &address.logins {
        let mut connection = connect(sentinel, timeouts).await?;
        let logged_in = log_in(&mut connection, login).await;
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &address.master];
        // Sent even if the login failed: the answer shows whether the server is a sentinel at all.
        let answer = ask::<Option<(String, u16)>>(&mut connection, &question).await;
        let answer = answer.map_err(|error| Obstacle::from(&error));
        found = match answer {
            Err(Obstacle::Other) => Obstacle::NotSentinel,
            _ if logged_in.is_err() => Obstacle::SentinelLogin,
            Ok(Some(master)) => return Ok((connection, master)),
            Ok(None) => return Err(Obstacle::UnknownMaster),
            Err(obstacle) => match obstacle {
                Obstacle::LoginRequired => Obstacle::SentinelLoginRequired,
                Obstacle::NoPermission => Obstacle::SentinelLogin,
                obstacle => obstacle,
            },
        };
    }
    Err(found)
}

async fn log_in(
    connection: &mut MultiplexedConnection,
    settings: &RedisConnectionInfo,
) -> Result<(), Obstacle> {
    let Some(password) = settings.password() else { return Ok(()) };
    let words: Vec<&str> =
        ["AUTH"].into_iter().chain(settings.username()).chain([password]).collect();
    match ask::<()>(connection, &words).await.map_err(|error| Obstacle::from(&error)) {
        Err(Obstacle::Other) => Err(Obstacle::WrongLogin),
        answered => answered,
    }
}

pub(crate) async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> Result<T, RedisError> {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query_async(connection).await
}

/// Opens a connection without a login, after checking that the server speaks the expected protocol.
async fn connect(
    address: &ConnectionAddr,
    timeouts: Timeouts,
) -> Result<MultiplexedConnection, Obstacle> {
    let (host, port, has_tls) = match address {
        ConnectionAddr::Tcp(host, port) => (host, *port, false),
        ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
        _ => return Err(Obstacle::Other),
    };
    match (has_tls, greeting(host, port, timeouts.connect).await?) {
        (false, Greeting::Redis) | (true, Greeting::Closed | Greeting::Silence | Greeting::Tls) => {
        }
        (true, Greeting::Redis) => return Err(Obstacle::PlainPort),
        (_, Greeting::Refused(obstacle)) => return Err(obstacle),
        (_, Greeting::Foreign) => return Err(Obstacle::NotRedis),
        (false, Greeting::Tls) => return Err(Obstacle::TlsPort),
        (false, words) => {
            let address = tls::plain_address(host.clone(), port);
            return Err(match open(&address, timeouts).await.map(drop) {
                // The handshake failed, but the server speaks TLS.
                Ok(()) | Err(Obstacle::Certificate | Obstacle::TlsRefused) => Obstacle::TlsPort,
                Err(_) if matches!(words, Greeting::Silence) => Obstacle::TimedOut,
                Err(_) => Obstacle::Closed,
            });
        }
    }
    open(address, timeouts).await
}

async fn open(
    address: &ConnectionAddr,
    timeouts: Timeouts,
) -> Result<MultiplexedConnection, Obstacle> {
    if matches!(address, ConnectionAddr::TcpTls { .. }) && !tls::has_provider() {
        return Err(Obstacle::Other);
    }
    let bare = info(address.clone(), &RedisConnectionInfo::default());
    let client = redis::Client::open(bare.map_err(|_| Obstacle::Other)?);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeouts.connect))
        .set_response_timeout(Some(timeouts.response));
    let opened = match client {
        Ok(client) => client.get_multiplexed_async_connection_with_config(&config).await,
        Err(error) => Err(error),
    };
    opened.map_err(|error| Obstacle::from(&error))
}

/// The answer of a server to `PING` in plain text.
enum Greeting {
    /// An answer of Redis.
    Redis,
    /// Redis refuses the connection.
    Refused(Obstacle),
    /// A TLS alert.
    Tls,
    Closed,
    Silence,
    /// An answer of another kind of server.
    Foreign,
}

async fn greeting(host: &str, port: u16, limit: Duration) -> Result<Greeting, Obstacle> {
    let connected = timeout(limit, TcpStream::connect((host, port))).await;
    let mut stream = connected.map_err(|_| Obstacle::TimedOut)?.map_err(|error| of_io(&error))?;
    let mut answer = [0; 64];
    let talk = async {
        stream.write_all(b"PING\r\n").await?;
        stream.read(&mut answer).await
    };
    let length = match timeout(limit, talk).await {
        Err(_) => return Ok(Greeting::Silence),
        Ok(Err(_) | Ok(0)) => return Ok(Greeting::Closed),
        Ok(Ok(length)) => length,
    };
    let text = String::from_utf8_lossy(&answer[..length]);
    Ok(match answer[0] {
        // A TLS record of the type "alert".
        0x15 => Greeting::Tls,
        b'-' if text.starts_with("-DENIED") => Greeting::Refused(Obstacle::ProtectedMode),
        b'-' if text.contains("max number of clients") => {
            Greeting::Refused(Obstacle::TooManyClients)
        }
        b'+' | b'-' if is_redis(&text[1..]) => Greeting::Redis,
        _ => Greeting::Foreign,
    })
}

/// Returns whether the text is `PONG` or begins with an error code of Redis.
fn is_redis(text: &str) -> bool {
    let code = text.split([' ', '\r']).next().unwrap_or_default();
    code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}
