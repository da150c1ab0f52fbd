//! Where connections come from.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisError,
};

use super::client::Timeouts;
use super::url::Address;
use crate::error::ConfigError;

/// Commands that wait to be written to the connection. Beyond it callers wait.
const QUEUE: usize = 1024;

/// A deployment of Redis.
pub(super) enum Source {
    Server(Box<redis::Client>),
    Sentinel(Box<tokio::sync::Mutex<SentinelClient>>),
    Cluster(Box<redis::cluster::ClusterClient>),
}

/// What commands go over.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Source {
    pub(super) fn open(url: &str, timeouts: Timeouts) -> Result<Self, ConfigError> {
        // The TLS library has no default; that another one was chosen before is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
        let source = match Address::parse(url)? {
            Address::Server(info) => {
                open_server(info).map(|client| Source::Server(Box::new(client)))
            }
            Address::Sentinel { sentinels, master, server } => {
                sentinel_client(sentinels, master, &server)
            }
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
                Self::Sentinel(sentinels) => sentinels
                    .lock()
                    .await
                    .get_async_connection_with_config(&config)
                    .await
                    .map(Connection::Server),
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

fn sentinel_client(
    sentinels: Vec<redis::ConnectionAddr>,
    master: String,
    server: &redis::ConnectionInfo,
) -> Result<Source, RedisError> {
    let settings = server.redis_settings();
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(settings.db())
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_tcp_settings(tcp_settings());
    if let Some(user) = settings.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if matches!(server.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        builder = builder
            .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(redis::TlsMode::Secure);
    }
    builder.build().map(|client| Source::Sentinel(Box::new(tokio::sync::Mutex::new(client))))
}
