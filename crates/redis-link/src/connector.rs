//! Opens connections to a deployment.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisError,
};

use crate::address::{Address, Deployment};
use crate::connection::Connection;
use crate::error::{Error, rule};
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinels;
use crate::tcp;
use crate::timeouts::Timeouts;
#[cfg(feature = "cluster")]
use crate::tls::Tls;
use crate::together::Together;

/// The maximum number of commands that wait to be written to the connection. Further callers wait
/// for a place.
const QUEUE: usize = 1024;

/// A deployment of Redis.
pub(crate) enum Connector {
    Server(Box<redis::Client>),
    #[cfg(feature = "sentinel")]
    Sentinel(Box<Sentinels>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
    /// A connection that the caller made. It cannot be replaced.
    Own(Connection),
}

impl Connector {
    pub(crate) fn open(address: Address, timeouts: Timeouts) -> Result<Self, Error> {
        if let Some(tls) = &address.tls {
            tls.ready()?;
        }
        let connector = match address.deployment {
            Deployment::Server(info) => {
                open_server(info).map(|client| Self::Server(Box::new(client)))
            }
            #[cfg(feature = "sentinel")]
            Deployment::Sentinel(address) => {
                Sentinels::open(&address).map(|sentinels| Self::Sentinel(Box::new(sentinels)))
            }
            #[cfg(not(feature = "sentinel"))]
            Deployment::Sentinel(_) => return Err(Error::needs_feature("sentinel")),
            #[cfg(feature = "cluster")]
            Deployment::Cluster(nodes) => open_cluster(nodes, address.tls, timeouts),
            #[cfg(not(feature = "cluster"))]
            Deployment::Cluster(_) => return Err(Error::needs_feature("cluster")),
        };
        let _ = timeouts;
        connector.map_err(|cause| {
            rule(&format!("must be an address that redis-rs accepts ({})", cause.category()))
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => "sentinel",
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => "cluster",
            Self::Own(_) => "own connection",
        }
    }

    /// Returns whether the deployment is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        match self {
            #[cfg(feature = "cluster")]
            Self::Cluster(_) | Self::Own(Connection::Cluster(_)) => true,
            _ => false,
        }
    }

    /// Returns a number that changes whenever all connections must be given up, because another
    /// server becomes the master.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => sentinels.generation(),
            _ => 0,
        }
    }

    /// Waits until connections of this generation must be given up.
    pub(crate) async fn superseded(&self, generation: u64) {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => sentinels.superseded(generation).await,
            _ => {
                let _ = generation;
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns the time limit for connecting. The client crate first connects to all nodes that the
    /// address names, and then to all that they name, each within `connect`. It goes on without those
    /// that do not respond, so the limit must not end before theirs.
    fn limit(&self, timeouts: Timeouts) -> Duration {
        match self {
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => 2 * (timeouts.connect + timeouts.response),
            _ => timeouts.connect,
        }
    }

    pub(crate) async fn connect(
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
                    .map(|connection| Connection::Server(Together::new(connection))),
                #[cfg(feature = "sentinel")]
                Self::Sentinel(sentinels) => sentinels
                    .connect_to_master(&config, timeouts)
                    .await
                    .map(|connection| Connection::Server(Together::new(connection))),
                #[cfg(feature = "cluster")]
                Self::Cluster(client) => {
                    client.get_async_connection().await.map(Connection::Cluster)
                }
                Self::Own(connection) => Ok(connection.clone()),
            }
        };
        let connected = tokio::time::timeout(self.limit(timeouts), connect).await;
        connected.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

pub(crate) fn open_server(info: ConnectionInfo) -> Result<redis::Client, RedisError> {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    redis::Client::open(
        info.set_redis_settings(settings)
            .set_tcp_settings(tcp::settings())
            .into_connection_info()?,
    )
}

#[cfg(feature = "cluster")]
fn open_cluster(
    nodes: Vec<ConnectionInfo>,
    tls: Option<Tls>,
    timeouts: Timeouts,
) -> Result<Connector, RedisError> {
    let builder = redis::cluster::ClusterClient::builder(nodes);
    #[cfg(feature = "tls")]
    let builder = match tls {
        Some(tls) => builder.certs(tls.certificates),
        None => builder,
    };
    #[cfg(not(feature = "tls"))]
    let _ = tls;
    builder
        .connection_timeout(timeouts.connect)
        .response_timeout(timeouts.response)
        .use_protocol(ProtocolVersion::RESP3)
        .tcp_settings(tcp::settings())
        // By default a command whose reply was lost is repeated up to 16 times.
        .retries(0)
        .build()
        .map(|client| Connector::Cluster(Box::new(client)))
}
