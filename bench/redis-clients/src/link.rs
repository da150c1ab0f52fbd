//! One interface for all candidates, so that each measurement is written once.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use fred::interfaces::{ClientLike, KeysInterface};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use rustis::commands::StringCommands;
use rustis::resp::BulkString;

pub const CONNECT_LIMIT: Duration = Duration::from_millis(500);
pub const RESPONSE_LIMIT: Duration = Duration::from_millis(250);

/// The candidates. `RedisMultiplexed` and `RedisManager` are two connection types of `redis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    RedisMultiplexed,
    RedisManager,
    Fred,
    Rustis,
}

impl Candidate {
    pub const ALL: [Self; 4] =
        [Self::RedisMultiplexed, Self::RedisManager, Self::Fred, Self::Rustis];

    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|candidate| candidate.name() == name)
            .with_context(|| format!("no client named {name}"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::RedisMultiplexed => "redis-multiplexed",
            Self::RedisManager => "redis-manager",
            Self::Fred => "fred",
            Self::Rustis => "rustis",
        }
    }
}

/// The settings of a connection. The default is the one for this project; `library_retries` keeps
/// the default retry settings of each library.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub resp3: bool,
    pub library_retries: bool,
    /// Only for the manager of `redis`: one attempt to connect per failed command, no waiting.
    pub impatient: bool,
    pub cluster: bool,
}

/// A connection that tasks share by cloning it.
#[derive(Clone)]
pub enum Link {
    Multiplexed(MultiplexedConnection),
    Manager(ConnectionManager),
    /// A manager that reconnects without end, with a time-out around every command.
    Bounded(ConnectionManager),
    RedisCluster(redis::cluster_async::ClusterConnection),
    Fred(fred::clients::Client),
    Rustis(rustis::client::Client),
}

macro_rules! with_redis {
    ($self:expr, $connection:ident => $redis:expr, fred $fred:ident => $for_fred:expr, rustis $rustis:ident => $for_rustis:expr) => {
        match $self {
            Link::Multiplexed($connection) => $redis.map_err(anyhow::Error::from),
            Link::Manager($connection) => $redis.map_err(anyhow::Error::from),
            Link::Bounded($connection) => tokio::time::timeout(RESPONSE_LIMIT, async { $redis })
                .await
                .map_err(|_| anyhow!("the command exceeded {RESPONSE_LIMIT:?}"))?
                .map_err(anyhow::Error::from),
            Link::RedisCluster($connection) => $redis.map_err(anyhow::Error::from),
            Link::Fred($fred) => $for_fred.map_err(anyhow::Error::from),
            Link::Rustis($rustis) => $for_rustis.map_err(anyhow::Error::from),
        }
    };
}

impl Link {
    pub async fn connect(candidate: Candidate, port: u16, options: Options) -> Result<Self> {
        match candidate {
            Candidate::RedisMultiplexed if !options.cluster => {
                let config = redis::AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_LIMIT))
                    .set_response_timeout(Some(RESPONSE_LIMIT));
                let client = redis_client(port, options)?;
                Ok(Self::Multiplexed(
                    client.get_multiplexed_async_connection_with_config(&config).await?,
                ))
            }
            Candidate::RedisManager if !options.cluster => {
                let config = manager_config(options);
                let client = redis_client(port, options)?;
                if options.library_retries || options.impatient {
                    return Ok(Self::Manager(
                        client.get_connection_manager_with_config(config).await?,
                    ));
                }
                // Created without connecting. The retries never end, so the first command sets the
                // time-out.
                let manager = ConnectionManager::new_lazy_with_config(client, config)?;
                let mut link = Self::Bounded(manager);
                link.get_two("", "").await?;
                Ok(link)
            }
            Candidate::RedisMultiplexed | Candidate::RedisManager => {
                let mut builder =
                    redis::cluster::ClusterClient::builder([redis_info(port, options)?])
                        .connection_timeout(CONNECT_LIMIT)
                        .response_timeout(RESPONSE_LIMIT);
                if !options.library_retries {
                    builder = builder.retries(0);
                }
                Ok(Self::RedisCluster(builder.build()?.get_async_connection().await?))
            }
            Candidate::Fred => fred_client(port, options).await.map(Self::Fred),
            Candidate::Rustis => rustis_client(port, options).await.map(Self::Rustis),
        }
    }

    pub async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        with_redis!(self,
            connection => redis::cmd("GET").arg(key).query_async(connection).await,
            fred client => client.get::<Vec<u8>, _>(key).await,
            rustis client => client.get::<BulkString>(key).await.map(Into::into))
    }

    pub async fn get_two(&mut self, first: &str, second: &str) -> Result<Vec<Option<Vec<u8>>>> {
        with_redis!(self,
            connection => redis::cmd("MGET").arg(first).arg(second).query_async(connection).await,
            fred client => client.mget::<Vec<Option<Vec<u8>>>, _>(vec![first, second]).await,
            rustis client => client.mget::<Vec<Option<BulkString>>>([first, second]).await
                .map(|values| values.into_iter().map(|value| value.map(Into::into)).collect()))
    }

    pub async fn set_for_a_day(&mut self, key: &str, value: &[u8]) -> Result<()> {
        const DAY_SECONDS: u32 = 86_400;
        with_redis!(self,
            connection => redis::cmd("SET").arg(key).arg(value).arg("EX").arg(DAY_SECONDS)
                .query_async(connection).await,
            fred client => client
                .set(key, value, Some(fred::types::Expiration::EX(DAY_SECONDS.into())), None, false).await,
            rustis client => client.send(rustis::resp::cmd("SET").key(key).arg(BulkString::new(value))
                .arg("EX").arg(DAY_SECONDS), None).await)
    }

    pub async fn increment(&mut self, key: &str) -> Result<i64> {
        with_redis!(self,
            connection => redis::cmd("INCR").arg(key).query_async(connection).await,
            fred client => client.incr(key).await,
            rustis client => client.incr(key).await)
    }

    /// Enables `CLIENT TRACKING` for the keys that this connection reads from now on.
    pub async fn track(&mut self) -> Result<()> {
        with_redis!(self,
            connection => redis::cmd("CLIENT").arg(&["TRACKING", "ON"]).query_async(connection).await,
            fred client => fred::interfaces::TrackingInterface::start_tracking(
                client, Vec::<String>::new(), false, false, false, false).await,
            rustis client => client.send(rustis::resp::cmd("CLIENT").arg("TRACKING").arg("ON"), None).await)
    }

    /// Runs a script by its hash with one key and one argument, which may be any bytes.
    pub async fn run_script(&mut self, hash: &str, key: &[u8], argument: &[u8]) -> Result<Vec<u8>> {
        with_redis!(self,
            connection => redis::cmd("EVALSHA").arg(hash).arg(1).arg(key).arg(argument)
                .query_async(connection).await,
            fred client => fred::interfaces::LuaInterface::evalsha::<Vec<u8>, _, _, _>(
                client, hash, vec![key], vec![argument]).await,
            rustis client => client.send::<BulkString>(rustis::resp::cmd("EVALSHA").arg(hash).arg(1)
                .key(BulkString::new(key)).arg(BulkString::new(argument)), None).await.map(Into::into))
    }
}

pub fn manager_config(options: Options) -> ConnectionManagerConfig {
    let config = ConnectionManagerConfig::new().set_connection_timeout(Some(CONNECT_LIMIT));
    if options.library_retries {
        return config.set_response_timeout(Some(RESPONSE_LIMIT));
    }
    if options.impatient {
        return config.set_response_timeout(Some(RESPONSE_LIMIT)).set_number_of_retries(0);
    }
    // These retries are only for connecting. This library never repeats a command.
    config
        .set_response_timeout(None)
        .set_number_of_retries(usize::MAX)
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(200))
}

pub fn redis_info(port: u16, options: Options) -> Result<redis::ConnectionInfo> {
    let protocol = if options.resp3 { "?protocol=resp3" } else { "" };
    let info: redis::ConnectionInfo = redis::IntoConnectionInfo::into_connection_info(format!(
        "redis://127.0.0.1:{port}/{protocol}"
    ))?;
    Ok(info.set_tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true)))
}

fn redis_client(port: u16, options: Options) -> Result<redis::Client> {
    Ok(redis::Client::open(redis_info(port, options)?)?)
}

async fn fred_client(port: u16, options: Options) -> Result<fred::clients::Client> {
    use fred::types::config::{Config, ReconnectPolicy, ServerConfig};
    let host = vec![("127.0.0.1", port)];
    let server = if options.cluster {
        ServerConfig::new_clustered(host)
    } else {
        ServerConfig::new_centralized("127.0.0.1", port)
    };
    let version = if options.resp3 {
        fred::types::RespVersion::RESP3
    } else {
        fred::types::RespVersion::RESP2
    };
    let client = fred::types::Builder::from_config(Config { server, version, ..Config::default() })
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_LIMIT;
            connection.internal_command_timeout = CONNECT_LIMIT;
            connection.tcp.nodelay = Some(true);
            if !options.library_retries {
                connection.max_command_attempts = 1;
            }
        })
        .with_performance_config(|performance| performance.default_command_timeout = RESPONSE_LIMIT)
        .set_policy(ReconnectPolicy::new_exponential(0, 20, 500, 2))
        .build()?;
    client.init().await?;
    Ok(client)
}

async fn rustis_client(port: u16, options: Options) -> Result<rustis::client::Client> {
    use rustis::client::{Client, Config, IntoConfig, ReconnectionConfig};
    let scheme = if options.cluster { "redis+cluster" } else { "redis" };
    let mut config: Config = format!("{scheme}://127.0.0.1:{port}").into_config()?;
    config.connect_timeout = CONNECT_LIMIT;
    config.command_timeout = RESPONSE_LIMIT;
    let mut reconnection = ReconnectionConfig::new_exponential(0, 20, 500, 2);
    reconnection.set_jitter(20);
    config.reconnection = reconnection;
    Client::connect(config).await.map_err(|error| anyhow!(error))
}
