//! Hears from Redis which sessions change, and keeps up the lease under which they are remembered.

use std::sync::{Arc, Weak};
use std::time::Instant;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{PushInfo, PushKind, RedisError, Value};

use super::cache::Cache;
use super::client::{Client, command, pause};
use super::obstacle::kind;
use crate::error::ErrorKind;
use crate::id::SessionId;

/// Keeps `cache` right until nobody has it any more. On a cluster nothing is ever remembered: its
/// servers would each have to be listened to, and to be found again whenever slots move.
pub(super) fn start(client: Client, prefix: Box<str>, cache: &Arc<Cache>) {
    if client.is_cluster() {
        return tracing::info!("sessions are not cached in front of a Redis cluster");
    }
    tokio::spawn(track(client, prefix, Arc::downgrade(cache)));
}

async fn track(client: Client, prefix: Box<str>, cache: Weak<Cache>) {
    let mut failures = 0;
    while let Some(current) = cache.upgrade() {
        // A connection that ended may have kept something from us.
        current.clear();
        drop(current);
        let mut was_up = false;
        if let Err(cause) = follow(&client, &prefix, &cache, &mut was_up).await {
            failures = if was_up { 0 } else { failures + 1 };
            // An outage is logged by the commands that fail; this is for what only we may not do.
            if failures <= 1 && kind(&cause) != ErrorKind::Unavailable {
                tracing::warn!(%cause, "sessions are read from Redis until it can be followed again");
            }
        }
        tokio::time::sleep(pause(failures)).await;
    }
}

/// Follows the changes on one connection until it fails.
async fn follow(
    client: &Client,
    prefix: &str,
    cache: &Weak<Cache>,
    was_up: &mut bool,
) -> Result<(), RedisError> {
    let listener = (Weak::clone(cache), Box::<str>::from(prefix));
    let mut connection =
        client.connect_apart(move |push| hear(&push, &listener.1, &listener.0)).await?;
    send(&mut connection, &listen(prefix)).await?;
    // Another lease begins only now, with nothing from before.
    if let Some(cache) = cache.upgrade() {
        cache.clear();
    }
    // A write command, since a replica and a master without enough replicas refuse it; on a key that
    // is never there, so that nothing is written and nobody hears of it.
    let heartbeat_key = format!("{{{prefix}}}:heartbeat");
    loop {
        let sent = Instant::now();
        send(&mut connection, &[b"DEL", heartbeat_key.as_bytes()]).await?;
        let Some(cache) = cache.upgrade() else { return Ok(()) };
        cache.renew(sent);
        *was_up = true;
        let next = sent + cache.options.heartbeat;
        drop(cache);
        tokio::time::sleep_until(next.into()).await;
    }
}

/// Tidings of all sessions, whoever writes them: in broadcasting mode Redis sends them before it
/// answers the writer, and remembers nothing about us.
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

/// Takes up what Redis said by itself. The connection calls this before it hands out the next answer.
fn hear(push: &PushInfo, prefix: &str, cache: &Weak<Cache>) {
    let Some(cache) = cache.upgrade() else { return };
    match (&push.kind, push.data.first()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => {
            for key in keys {
                let Value::BulkString(key) = key else { continue };
                let id = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(prefix));
                if let Some(id) = id {
                    cache.forget(&SessionId::from(id));
                }
            }
        }
        // All keys were flushed, or something was said that we do not understand.
        (PushKind::Invalidate | PushKind::Disconnection, _) => cache.clear(),
        _ => {}
    }
}
