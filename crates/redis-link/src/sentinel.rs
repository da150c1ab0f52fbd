//! Finds the master through sentinels.

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError};

use crate::address::SentinelAddress;
use crate::tcp;

/// One client for each login to try.
pub(crate) struct Sentinels(tokio::sync::Mutex<Vec<SentinelClient>>);

impl Sentinels {
    pub(crate) fn open(address: &SentinelAddress) -> Result<Self, RedisError> {
        let clients = address.logins.iter().map(|login| sentinel_client(address, login));
        clients.collect::<Result<_, _>>().map(|clients| Self(tokio::sync::Mutex::new(clients)))
    }

    /// Connects to the master. It tries the logins in turn, and next time begins with the one that
    /// worked.
    pub(crate) async fn connect_to_master(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let mut clients = self.0.lock().await;
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
        Err(failure.expect("there is at least one login, which may be empty"))
    }
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
        .set_client_to_redis_tcp_settings(tcp::settings());
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
