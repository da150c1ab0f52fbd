//! Hears from Redis which keys change: for a cache in front of it.

use std::convert::Infallible;
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

/// What is heard of the keys under a prefix; see [`Client::track`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tracked<'a> {
    /// This key was changed, or is gone.
    Changed(&'a [u8]),
    /// Any key may have changed: the connection was lost, or all keys were flushed. What is remembered
    /// must be dropped, and nothing be remembered before the next [`Current`](Self::Current).
    Lost,
    /// Each change from before this moment has been heard.
    Current(Instant),
}

impl Client {
    /// Hears of each change of a key under `prefix`, whoever makes it, on a connection of its own that
    /// is made again whenever it is lost. Goes on until the future is dropped.
    ///
    /// A cache is right if it drops what is [changed](Tracked::Changed), drops everything when the
    /// connection is [lost](Tracked::Lost), and answers nothing when the last
    /// [heartbeat](Tracked::Current) is longer ago than its lease. `heartbeat` is how often Redis is
    /// asked whether all has been heard. `heard` is called on the task of the connection and must not
    /// block.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) {
    /// use std::time::Duration;
    /// use redis_link::Tracked;
    ///
    /// let heard = |tracked: Tracked<'_>| match tracked {
    ///     Tracked::Changed(key) => { /* drop this key from the cache */ }
    ///     Tracked::Current(since) => { /* the lease ends a while after `since` */ }
    ///     _ => { /* drop everything */ }
    /// };
    /// let tracking = client.clone();
    /// let task = tokio::spawn(async move {
    ///     tracking.track("app:", Duration::from_millis(100), heard).await
    /// });
    /// task.abort(); // ends it
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on a cluster, whose servers would each have to be listened to, and
    /// for a client of a [connection](Self::from_connection) of the caller's own.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn track(
        &self,
        prefix: &str,
        heartbeat: Duration,
        heard: impl Fn(Tracked<'_>) + Send + Sync + 'static,
    ) -> Result<Infallible, Error> {
        if self.is_cluster() {
            let text = "keys of a cluster cannot be tracked";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let heard = Arc::new(heard);
        let mut failures = 0;
        loop {
            // A connection that ended may have kept something from us.
            heard(Tracked::Lost);
            let mut was_up = false;
            match self.follow(prefix, heartbeat, &heard, &mut was_up).await? {
                Ok(never) => match never {},
                Err(cause) => {
                    failures = if was_up { 0 } else { failures + 1 };
                    // An outage is logged by the commands that fail; this is for what only we may not do.
                    if failures <= 1 && kind(&cause) != ErrorKind::Unavailable {
                        tracing::warn!(%cause, "keys in Redis cannot be tracked: nothing is cached");
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
        heard: &Arc<F>,
        was_up: &mut bool,
    ) -> Result<Result<Infallible, RedisError>, Error>
    where
        F: Fn(Tracked<'_>) + Send + Sync + 'static,
    {
        let (listener, links) = (Arc::clone(heard), self.links());
        let on_push = move |push: PushInfo| hear(&push, &*listener);
        match links.source.connect(links.timeouts, on_push).await {
            Ok(Connection::Server(connection)) => {
                Ok(keep_up(connection, prefix, heartbeat, &**heard, was_up).await)
            }
            Ok(_) => Err(Error::has_no_address()),
            Err(cause) => Ok(Err(cause)),
        }
    }
}

async fn keep_up(
    mut connection: MultiplexedConnection,
    prefix: &str,
    heartbeat: Duration,
    heard: &impl Fn(Tracked<'_>),
    was_up: &mut bool,
) -> Result<Infallible, RedisError> {
    send(&mut connection, &listen(prefix)).await?;
    // What is heard begins only now, with nothing from before.
    heard(Tracked::Lost);
    // A write command, since a replica and a master without enough replicas refuse it; on a key that
    // is never there, so that nothing is written and nobody hears of it.
    let heartbeat_key = format!("{{{prefix}}}:heartbeat");
    loop {
        let sent = Instant::now();
        send(&mut connection, &[b"DEL", heartbeat_key.as_bytes()]).await?;
        heard(Tracked::Current(sent));
        *was_up = true;
        tokio::time::sleep_until((sent + heartbeat).into()).await;
    }
}

/// Changes of all keys, whoever makes them: in broadcasting mode Redis sends them before it answers the
/// writer, and remembers nothing about us.
fn listen(prefix: &str) -> Vec<&[u8]> {
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

/// Hands on what Redis said by itself. The connection calls this before it hands out the next answer.
fn hear(push: &PushInfo, heard: &impl Fn(Tracked<'_>)) {
    match (&push.kind, push.data.first()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => {
            for key in keys {
                if let Value::BulkString(key) = key {
                    heard(Tracked::Changed(key));
                }
            }
        }
        // All keys were flushed, or something was said that we do not understand.
        (PushKind::Invalidate | PushKind::Disconnection, _) => heard(Tracked::Lost),
        _ => {}
    }
}
