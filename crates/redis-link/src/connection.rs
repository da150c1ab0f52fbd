//! The kinds of connections that carry commands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
#[cfg(feature = "cluster")]
use redis::cluster_async::ClusterConnection;
use redis::{RedisError, Value};

#[cfg(feature = "cluster")]
use crate::cluster;
use crate::request::{Request, Words};
use crate::together::Together;
use crate::tracking::Slots;

#[derive(Clone)]
pub(crate) enum Connection {
    Server(Together),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
    Own(Own),
}

/// A connection that the user of this crate made.
#[derive(Clone)]
pub(crate) struct Own {
    /// Returns another handle on the connection.
    handle: Arc<dyn Fn() -> Box<dyn ConnectionLike + Send> + Send + Sync>,
    /// The time limit of a command.
    response: Duration,
}

impl Own {
    pub(crate) fn new<C>(connection: C, response: Duration) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        let handle =
            Arc::new(move || Box::new(connection.clone()) as Box<dyn ConnectionLike + Send>);
        Self { handle, response }
    }

    async fn send(&self, request: &Request<'_>) -> Result<Value, RedisError> {
        let mut connection = (self.handle)();
        let answer =
            tokio::time::timeout(self.response, request.send(request.commands(), &mut *connection));
        answer
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

impl Connection {
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<Value, RedisError> {
        match self {
            Self::Server(connection) => connection.send(request).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => cluster::send(connection, request).await,
            Self::Own(own) => own.send(request).await,
        }
    }

    /// Sends a request to a node of a cluster that is getting its slot, and would refuse it otherwise.
    pub(crate) async fn ask(
        &mut self,
        request: &Request<'_>,
        node: &str,
    ) -> Result<Value, RedisError> {
        #[cfg(feature = "cluster")]
        if let Self::Cluster(connection) = self
            && let Some((host, Ok(port))) =
                node.rsplit_once(':').map(|(host, port)| (host, port.parse()))
        {
            return cluster::ask(connection, request, (host, port)).await;
        }
        let _ = node;
        self.send(request).await
    }

    /// Returns the slots of the primaries of a cluster to which this is not connected; `None` if there are none.
    pub(crate) async fn missing(&self) -> Result<Option<Slots>, RedisError> {
        match self {
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => {
                let missing = cluster::missing(&mut connection.clone()).await?;
                Ok((!missing.is_empty()).then_some(missing))
            }
            _ => Ok(None),
        }
    }

    /// Sends a command to the primary of a slot; outside a cluster, to the server.
    pub(crate) async fn send_to(
        &mut self,
        words: Words<'_>,
        slot: u16,
    ) -> Result<Value, RedisError> {
        #[cfg(feature = "cluster")]
        if let Self::Cluster(connection) = self
            && let Some(slot) = redis::cluster_routing::Slot::new(slot)
        {
            return cluster::send_to(connection, words, slot).await;
        }
        let _ = slot;
        self.send(&Request::One(words)).await
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("response", &self.response).finish_non_exhaustive()
    }
}
