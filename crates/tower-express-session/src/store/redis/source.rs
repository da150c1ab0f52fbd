//! Where connections come from.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError,
};

use super::client::Timeouts;
use super::url::{Address, SentinelAddress};
use crate::error::ConfigError;

/// Commands that wait to be written to the connection. Beyond it callers wait.
const QUEUE: usize = 1024;

/// A deployment of Redis.
pub(super) enum Source {
    Server(Box<redis::Client>),
    /// With each login that may be right.
    Sentinel(tokio::sync::Mutex<Vec<SentinelClient>>),
    Cluster(Box<redis::cluster::ClusterClient>),
}

/// What commands go over.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Source {
    pub(super) fn open(address: Address, timeouts: Timeouts) -> Result<Self, ConfigError> {
        // The TLS library has no default; that another one was chosen before is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
        let source = match address {
            Address::Server(info) => {
                open_server(info).map(|client| Source::Server(Box::new(client)))
            }
            Address::Sentinel(address) => sentinel_clients(&address)
                .map(|clients| Source::Sentinel(tokio::sync::Mutex::new(clients))),
            Address::Cluster(nodes) => redis::cluster::ClusterClient::builder(nodes)
                .connection_timeout(timeouts.connect)
                .response_timeout(timeouts.response)
                .use_protocol(ProtocolVersion::RESP3)
                .tcp_settings(tcp_settings())
                // By default a command whose reply was lost is sent up to 16 times more.
                .retries(0)
                .build()
                .map(|client| Source::Cluster(Box::new(client))),
        };
        source.map_err(|cause| {
            ConfigError::option("store", format!("not a Redis address: {}", cause.category()))
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Sentinel(_) => "sentinel",
            Self::Cluster(_) => "cluster",
        }
    }

    pub(super) async fn connect(
        &self,
        timeouts: Timeouts,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.response))
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(move |push: PushInfo| {
                on_push(push);
                Ok::<(), redis::aio::SendError>(())
            });
        let connect = async {
            match self {
                Self::Server(client) => client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
                    .map(Connection::Server),
                Self::Sentinel(clients) => {
                    let connected = connect_to_master(&mut clients.lock().await, &config).await;
                    connected.map(Connection::Server)
                }
                Self::Cluster(client) => {
                    client.get_async_connection().await.map(Connection::Cluster)
                }
            }
        };
        let connected = tokio::time::timeout(timeouts.connect, connect).await;
        connected.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

fn open_server(info: ConnectionInfo) -> Result<redis::Client, RedisError> {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    redis::Client::open(
        info.set_redis_settings(settings)
            .set_tcp_settings(tcp_settings())
            .into_connection_info()?,
    )
}

/// Commands are small, so nothing waits to fill a packet; a peer that went away without a word is
/// found out within seconds.
fn tcp_settings() -> redis::io::tcp::TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    redis::io::tcp::TcpSettings::default().set_nodelay(true).set_keepalive(keepalive)
}

/// One client for each login to try.
fn sentinel_clients(address: &SentinelAddress) -> Result<Vec<SentinelClient>, RedisError> {
    address.logins.iter().map(|login| sentinel_client(address, login)).collect()
}

fn sentinel_client(
    address: &SentinelAddress,
    login: &RedisConnectionInfo,
) -> Result<SentinelClient, RedisError> {
    let SentinelAddress { sentinels, master, server, has_tls, .. } = address;
    let (sentinels, master) = (sentinels.clone(), master.clone());
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(server.db())
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_tcp_settings(tcp_settings());
    if let Some(user) = server.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = server.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = login.username() {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = login.password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if *has_tls {
        builder = builder
            .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(redis::TlsMode::Secure);
    }
    builder.build()
}

/// Asks with each login in turn. The one that worked is the first next time.
async fn connect_to_master(
    clients: &mut [SentinelClient],
    config: &AsyncConnectionConfig,
) -> Result<MultiplexedConnection, RedisError> {
    let mut failure = None;
    for at in 0..clients.len() {
        match clients[at].get_async_connection_with_config(config).await {
            Ok(connection) => {
                clients.swap(0, at);
                return Ok(connection);
            }
            Err(cause) => failure = Some(cause),
        }
    }
    Err(failure.expect("there is a login to try, if only the empty one"))
}
