//! Follows one server.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{FromRedisValue as _, PushInfo, PushKind, RedisError, Value};

use super::slots::View;
use super::{Heartbeat, Tracked, Tracking};
use crate::cause::kind;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::error::{Error, ErrorKind};
use crate::link::pause;
use crate::request::{Request, pipeline};
use crate::together::Together;

impl Tracking {
    /// Follows a server on one connection after another.
    pub(super) async fn follow(
        self: &Arc<Self>,
        server: Arc<Connector>,
    ) -> Result<Infallible, Error> {
        let mut failures = 0;
        loop {
            let mut was_up = false;
            match self.follow_once(&server, &mut was_up).await? {
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
            self.news.notify_one();
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// Follows a server on one connection until that fails.
    async fn follow_once(
        self: &Arc<Self>,
        server: &Connector,
        was_up: &mut bool,
    ) -> Result<Result<Infallible, RedisError>, Error> {
        let source = Source {
            tracking: Arc::clone(self),
            number: self.connections.fetch_add(1, Ordering::Relaxed),
        };
        let (listener, number, links) = (Arc::clone(self), source.number, self.client.links());
        let on_push = move |push: PushInfo| listener.forward(&push, number);
        let generation = server.generation();
        match server.connect(links.timeouts, on_push).await {
            Ok(Connection::Server(connection)) => {
                links.observer.connected();
                tokio::select! {
                    ended = source.beat(connection, was_up) => Ok(ended),
                    () = server.superseded(generation) => Ok(Err(aborted())),
                }
            }
            Ok(_) => Err(Error::has_no_address()),
            Err(cause) => Ok(Err(cause)),
        }
    }

    /// Forwards a push message of Redis. The connection calls this before it returns the next reply.
    fn forward(&self, push: &PushInfo, source: u64) {
        match (&push.kind, push.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        (self.notify)(Tracked::Changed(key));
                    }
                }
            }
            // All keys were flushed, or the message is of an unknown form.
            (PushKind::Invalidate | PushKind::Disconnection, _) => {
                (self.notify)(Tracked::Lost { source });
            }
            _ => {}
        }
    }
}

/// A connection on which a server is followed. When it is dropped, it is lost.
struct Source {
    tracking: Arc<Tracking>,
    number: u64,
}

impl Source {
    async fn beat(
        &self,
        connection: Together,
        was_up: &mut bool,
    ) -> Result<Infallible, RedisError> {
        let Tracking { client, prefix, heartbeat: interval, notify, news, .. } = &*self.tracking;
        let is_primary = client.is_cluster();
        let reader = is_primary.then(|| client.reader(connection.clone()));
        let mut connection = connection.into_inner();
        send(&mut connection, &[&subscribe(prefix)]).await?;
        // Notifications begin now. Earlier changes are unknown.
        notify(Tracked::Lost { source: self.number });
        let ask: &[&[u8]] = &[b"CLUSTER", b"NODES"];
        let mut view = View::single();
        if is_primary {
            view = read(send(&mut connection, &[ask]).await?)?;
            // A server that was suspended while another one replaced it learns this within
            // milliseconds, and then refuses the first heartbeat.
            tokio::time::sleep(*interval).await;
        }
        let Some(key) = view.slots.heartbeat_key(prefix) else { return Err(aborted()) };
        // The heartbeat is a write command, because a replica and a master without enough replicas
        // refuse it. Its key never exists, so that nothing is written and nobody is notified.
        let delete: &[&[u8]] = &[b"DEL", key.as_bytes()];
        let commands: &[_] = if is_primary { &[delete, ask] } else { &[delete] };
        loop {
            let sent = Instant::now();
            let replies = send(&mut connection, commands).await?;
            if is_primary {
                let current = read(replies)?;
                if current.epoch != view.epoch {
                    return Err(aborted());
                }
                if current != view {
                    news.notify_one();
                }
                view = current;
            }
            let (slots, reader) = (view.slots.clone(), reader.clone());
            let source = self.number;
            notify(Tracked::Current(&Heartbeat { source, sent, slots, epoch: view.epoch, reader }));
            *was_up = true;
            tokio::time::sleep_until((sent + *interval).into()).await;
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        (self.tracking.notify)(Tracked::Lost { source: self.number });
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

async fn send(
    connection: &mut MultiplexedConnection,
    commands: &[&[&[u8]]],
) -> Result<Vec<Value>, RedisError> {
    let pipeline = pipeline(Request::Several(commands).commands());
    let replies = connection.req_packed_commands(&pipeline, 0, commands.len()).await?;
    replies.into_iter().map(Value::extract_error).collect()
}

/// Reads what a primary says about itself in its last reply.
fn read(replies: Vec<Value>) -> Result<View, RedisError> {
    let nodes = String::from_redis_value(replies.into_iter().next_back().unwrap_or_default())?;
    View::parse(&nodes).ok_or_else(aborted)
}

fn aborted() -> RedisError {
    io::Error::from(io::ErrorKind::ConnectionAborted).into()
}
