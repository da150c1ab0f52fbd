//! Notifications of changed keys, for a cache in front of Redis.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{PushInfo, PushKind, RedisError, Value};

use crate::cause::kind;
use crate::client::Client;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::link::pause;
use crate::request::command;

/// A notification about the keys with a prefix; see [`Client::track`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tracked<'a> {
    /// This key was changed or removed.
    Changed(&'a [u8]),
    /// Any key may have changed: the connection was lost, or all keys were flushed. The cache must
    /// drop all entries, and must add none before the next [`Current`](Self::Current).
    Lost,
    /// A heartbeat: all changes before this moment have been notified.
    Current(Instant),
}

impl Client {
    /// Calls `notify` for each change of a key that begins with `prefix`, whichever client makes
    /// it. It uses a dedicated connection, which is replaced when it is lost, and runs until the
    /// future is dropped.
    ///
    /// A cache is correct if it drops each entry that is [changed](Tracked::Changed), drops all
    /// entries when the connection is [lost](Tracked::Lost), and is not used while the last
    /// [heartbeat](Tracked::Current) is older than the lease. `heartbeat` is the interval between
    /// two heartbeats. `notify` is called on the task of the connection and must not block.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) {
    /// use std::time::Duration;
    /// use redis_link::Tracked;
    ///
    /// let notify = |tracked: Tracked<'_>| match tracked {
    ///     Tracked::Changed(key) => { /* drop this key from the cache */ }
    ///     Tracked::Current(since) => { /* the lease ends a while after `since` */ }
    ///     _ => { /* drop everything */ }
    /// };
    /// let tracking = client.clone();
    /// let task = tokio::spawn(async move {
    ///     tracking.track("app:", Duration::from_millis(100), notify).await
    /// });
    /// task.abort(); // ends it
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on a cluster, where each server would need a connection, and for
    /// a client made by [`from_connection`](Self::from_connection).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn track(
        &self,
        prefix: &str,
        heartbeat: Duration,
        notify: impl Fn(Tracked<'_>) + Send + Sync + 'static,
    ) -> Result<Infallible, Error> {
        if self.is_cluster() {
            let text = "keys of a cluster cannot be tracked";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let notify = Arc::new(notify);
        let mut failures = 0;
        loop {
            // Changes may have been missed when the last connection ended.
            notify(Tracked::Lost);
            let mut was_up = false;
            match self.follow(prefix, heartbeat, &notify, &mut was_up).await? {
                Ok(never) => match never {},
                Err(cause) => {
                    failures = if was_up { 0 } else { failures + 1 };
                    // An outage is logged by the commands that fail. This logs other errors, such
                    // as a missing permission for tracking.
                    if failures <= 1 && kind(&cause) != ErrorKind::Unavailable {
                        tracing::warn!(%cause, "cannot track keys in Redis, so nothing is cached");
                    }
                }
            }
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// Follows the changes on one connection until it fails.
    async fn follow<F>(
        &self,
        prefix: &str,
        heartbeat: Duration,
        notify: &Arc<F>,
        was_up: &mut bool,
    ) -> Result<Result<Infallible, RedisError>, Error>
    where
        F: Fn(Tracked<'_>) + Send + Sync + 'static,
    {
        let (listener, links) = (Arc::clone(notify), self.links());
        let on_push = move |push: PushInfo| forward(&push, &*listener);
        let generation = links.connector.generation();
        match links.connector.connect(links.timeouts, on_push).await {
            Ok(Connection::Server(connection)) => {
                links.observer.connected();
                let connection = connection.into_inner();
                let beat = send_heartbeats(connection, prefix, heartbeat, &**notify, was_up);
                tokio::select! {
                    ended = beat => Ok(ended),
                    () = links.connector.superseded(generation) => {
                        Ok(Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()))
                    }
                }
            }
            Ok(_) => Err(Error::has_no_address()),
            Err(cause) => Ok(Err(cause)),
        }
    }
}

async fn send_heartbeats(
    mut connection: MultiplexedConnection,
    prefix: &str,
    heartbeat: Duration,
    notify: &impl Fn(Tracked<'_>),
    was_up: &mut bool,
) -> Result<Infallible, RedisError> {
    send(&mut connection, &subscribe(prefix)).await?;
    // Notifications begin now. Earlier changes are unknown.
    notify(Tracked::Lost);
    // The heartbeat is a write command, because a replica and a master without enough replicas
    // refuse it. Its key never exists, so that nothing is written and nobody is notified.
    let heartbeat_key = format!("{{{prefix}}}:heartbeat");
    loop {
        let sent = Instant::now();
        send(&mut connection, &[b"DEL", heartbeat_key.as_bytes()]).await?;
        notify(Tracked::Current(sent));
        *was_up = true;
        tokio::time::sleep_until((sent + heartbeat).into()).await;
    }
}

/// Returns the command that subscribes to the changes of all keys with a prefix. In broadcasting
/// mode Redis sends a change before it replies to the writer, and keeps no state per key for this
/// client.
fn subscribe(prefix: &str) -> Vec<&[u8]> {
    let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON", b"BCAST"];
    if !prefix.is_empty() {
        words.extend([b"PREFIX", prefix.as_bytes()]);
    }
    words
}

async fn send(connection: &mut MultiplexedConnection, words: &[&[u8]]) -> Result<(), RedisError> {
    let answer = connection.req_packed_command(&command(words)).await?;
    answer.extract_error().map(drop)
}

/// Forwards a push message of Redis. The connection calls this before it returns the next reply.
fn forward(push: &PushInfo, notify: &impl Fn(Tracked<'_>)) {
    match (&push.kind, push.data.first()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => {
            for key in keys {
                if let Value::BulkString(key) = key {
                    notify(Tracked::Changed(key));
                }
            }
        }
        // All keys were flushed, or the message is of an unknown form.
        (PushKind::Invalidate | PushKind::Disconnection, _) => notify(Tracked::Lost),
        _ => {}
    }
}
