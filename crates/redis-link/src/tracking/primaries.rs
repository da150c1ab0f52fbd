//! Follows the primaries of a cluster.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{ConnectionAddr, ConnectionInfo, RedisError};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::Tracking;
use crate::address::{Address, Deployment, info};
use crate::connector::{Connector, open_server};
use crate::error::Error;
use crate::tls::{self, Tls};

/// The time between two questions which primaries there are, if nothing hints at a change.
const POLL: Duration = Duration::from_secs(1);

impl Tracking {
    /// Follows each primary, and those that join, until they are no primaries any more.
    pub(super) async fn follow_primaries(self: &Arc<Self>) -> Result<Infallible, Error> {
        let Some(Address { deployment: Deployment::Cluster(nodes), tls }) = self.client.address()
        else {
            return Err(Error::has_no_address());
        };
        let first = nodes.first().ok_or_else(Error::has_no_address)?;
        let mut tasks = JoinSet::new();
        let mut followed: HashMap<_, AbortHandle> = HashMap::new();
        loop {
            // During an outage the followed ones are tried again and again.
            if let Ok(primaries) = self.client.primaries().await {
                followed.retain(|primary, task| {
                    let stays = primaries.contains_key(primary);
                    if !stays {
                        task.abort();
                    }
                    stays
                });
                for primary in primaries.into_keys() {
                    if followed.contains_key(&primary) {
                        continue;
                    }
                    let Ok(server) = open(&primary, first, tls.as_ref()) else { continue };
                    let tracking = Arc::clone(self);
                    let follow = async move { drop(tracking.follow(Arc::new(server)).await) };
                    followed.insert(primary, tasks.spawn(follow));
                }
            }
            while tasks.try_join_next().is_some() {}
            let _ = timeout(POLL, self.news.notified()).await;
        }
    }
}

/// Opens a server of the cluster by the host and port that it announces. A server that knows no host of
/// its own has the one that the address of the cluster names.
fn open(
    (host, port): &(Option<Bytes>, i64),
    first: &ConnectionInfo,
    tls: Option<&Tls>,
) -> Result<Connector, RedisError> {
    let asked = match first.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
        _ => "",
    };
    let announced = host.as_deref().and_then(|host| std::str::from_utf8(host).ok());
    let host = announced.filter(|host| !matches!(*host, "" | "?")).unwrap_or(asked);
    let invalid = |text| RedisError::from((redis::ErrorKind::InvalidClientConfig, text));
    let port = u16::try_from(*port).map_err(|_| invalid("bad port"))?;
    let address = tls::address(host.to_owned(), port, tls);
    let server = info(address, first.redis_settings()).map_err(|_| invalid("bad address"))?;
    open_server(server).map(|client| Connector::Server(Box::new(client)))
}
